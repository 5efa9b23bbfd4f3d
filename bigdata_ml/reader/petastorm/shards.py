"""The order of the engine `petastorm`: whole row groups dealt to the ranks, counted before step 1."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bigdata_ml.errors import WorldSizeNotAllowed
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.hashing import hash_words, key_of
from bigdata_ml.reader.order.plan import EpochPlan
from bigdata_ml.reader.rank import Rank, divisors

__all__ = ["ShardPlan", "check_shards"]

# Beside those of the native order, of augmentation and weights: 1 … 5.
_SHARDS, _GROUPS = 6, 7


def check_shards(read: ReadOptions, *, global_batch_size: int, rank: Rank) -> None:
    """Refuse what an order has not in which each rank reads row groups of its own, one after the other.

    Raises:
        ValueError: streams or a window.
        WorldSizeNotAllowed: a world size that does not divide the global batch.
    """
    if read.streams is not None:
        raise ValueError(
            f"engine='petastorm' deals whole row groups to the ranks, not streams; got streams={read.streams}: leave it out, or "
            "take engine='arrow', which reads the same global batches at several world sizes"
        )
    if read.window:
        raise ValueError(
            f"engine='petastorm' mixes rows within their row group only; got window={read.window}: leave it out, or take "
            "engine='arrow', which mixes rows across row groups"
        )
    if global_batch_size > 0 and global_batch_size % rank.world_size:
        allowed = ", ".join(map(str, divisors(global_batch_size)))
        raise WorldSizeNotAllowed(
            f"a global batch of {global_batch_size} rows cannot be divided among {rank.world_size} ranks; "
            f"allowed world sizes are {allowed}"
        )


@dataclass(frozen=True)
class ShardPlan(EpochPlan):
    """Which row groups each rank reads in an epoch, and how many steps that makes on all of them.

    Row groups go, the largest first, to the rank that has the fewest rows so far. Which of equally large ones a rank gets is
    the epoch's draw where the order is shuffled; how many rows it gets is the same in each epoch. The order in which a rank
    reads its row groups is not planned here: Petastorm draws it from `seed`.
    """

    @cached_property
    def shards(self) -> tuple[np.ndarray, ...]:
        """By rank: the indices of its row groups, int64, ascending.

        Raises:
            WorldSizeNotAllowed: fewer row groups with selected rows than ranks.
        """
        counts, ranks = self.selection.counts, self.settings.streams
        groups = np.flatnonzero(counts)
        if 0 < len(groups) < ranks:
            raise WorldSizeNotAllowed(
                f"engine='petastorm' deals whole row groups, and {len(groups)} with selected rows are too few for {ranks} ranks; "
                "take fewer ranks, write smaller row groups, or take engine='arrow', which cuts them"
            )
        ties = groups
        if self.settings.shuffles_groups:
            ties = hash_words(key_of(self.settings.seed, self.epoch, _SHARDS), groups)
        rows = np.zeros(ranks, np.int64)
        dealt: list[list[int]] = [[] for _ in range(ranks)]
        for group in groups[np.lexsort((ties, -counts[groups]))].tolist():
            rank = int(rows.argmin())
            dealt[rank].append(group)
            rows[rank] += counts[group]
        return tuple(np.sort(np.array(one, np.int64)) for one in dealt)

    @cached_property
    def rank_rows(self) -> np.ndarray:
        """By rank: how many rows it reads, int64 [ranks]."""
        return np.array([self.selection.counts[groups].sum() for groups in self.shards], np.int64)

    @cached_property
    def steps(self) -> int:
        """Number of steps, the same on every rank: those of the rank with the fewest rows under `drop`, else with the most.

        Raises:
            ValueError: none at all, with the numbers.
        """
        batch, dropping = self.settings.stream_batch, self.settings.remainder == "drop"
        # Words of its own for no rows, or fewer than one global batch.
        self.settings.steps(self.selection.total)
        fewest, most = int(self.rank_rows.min()), int(self.rank_rows.max())
        steps = fewest // batch if dropping else -(-most // batch)
        if steps == 0:
            raise ValueError(
                f"the row groups of one of {self.settings.streams} ranks have {fewest} selected rows, which make no step of "
                f"{batch} rows with remainder='drop'; take a smaller batch, remainder='pad' or 'exact', or engine='arrow'"
            )
        return steps

    @property
    def group_seed(self) -> int:
        """What Petastorm draws the order of the row groups from: 1 … 2^63, since it takes 0 for no seed."""
        return 1 + (key_of(self.settings.seed, self.epoch, _GROUPS) >> 1)
