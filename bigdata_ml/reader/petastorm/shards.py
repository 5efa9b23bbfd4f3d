"""The order of the engine `petastorm`: whole row groups assigned to ranks, with the steps known before step 1."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bigdata_ml.errors import WorldSizeNotAllowed
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.hashing import hash_words, key_of
from bigdata_ml.reader.order.plan import EpochPlan
from bigdata_ml.reader.rank import Rank, divisors

__all__ = ["ShardPlan", "check_shards"]

# Hash keys; the native order, augmentation and weights use 1 … 5.
_SHARDS, _GROUPS = 6, 7


def check_shards(read: ReadOptions, *, global_batch_size: int, rank: Rank) -> None:
    """Refuse options that an order of whole row groups per rank does not support.

    Raises:
        ValueError: streams or a window.
        WorldSizeNotAllowed: a world size that does not divide the global batch.
    """
    if read.streams is not None:
        raise ValueError(
            f"engine='petastorm' assigns whole row groups to ranks, not streams; got streams={read.streams}: omit it, or use "
            "engine='arrow', which reads the same global batches at several world sizes"
        )
    if read.window:
        raise ValueError(
            f"engine='petastorm' mixes rows only within their row group; got window={read.window}: omit it, or use "
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
    """The row groups that each rank reads in an epoch, and the number of steps on all ranks.

    Row groups are assigned in order of size, the largest first, to the rank with the fewest rows. If the order is shuffled, row
    groups of equal size are assigned randomly per epoch. A rank has the same number of rows in each epoch. Petastorm itself
    draws the order of a rank's row groups from the seed.
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
                f"engine='petastorm' assigns whole row groups; {len(groups)} with selected rows are too few for {ranks} ranks: "
                "use fewer ranks, write smaller row groups, or use engine='arrow', which divides them"
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
        return tuple(np.sort(np.array(shard, np.int64)) for shard in dealt)

    @cached_property
    def rank_rows(self) -> np.ndarray:
        """Number of rows of each rank, int64 [ranks]."""
        return np.array([self.selection.counts[groups].sum() for groups in self.shards], np.int64)

    @cached_property
    def steps(self) -> int:
        """Number of steps, the same on every rank: with `drop`, those of the rank with the fewest rows, else with the most.

        Raises:
            ValueError: there is no step.
        """
        batch, dropping = self.settings.stream_batch, self.settings.remainder == "drop"
        # Raises a clearer error if there are no rows, or fewer than one global batch.
        self.settings.steps(self.selection.total)
        fewest, most = int(self.rank_rows.min()), int(self.rank_rows.max())
        steps = fewest // batch if dropping else -(-most // batch)
        if steps == 0:
            raise ValueError(
                f"the row groups of one of {self.settings.streams} ranks have {fewest} selected rows, fewer than a step of "
                f"{batch} rows with remainder='drop'; use a smaller batch, remainder='pad' or 'exact', or engine='arrow'"
            )
        return steps

    @property
    def group_seed(self) -> int:
        """Seed of Petastorm's order of row groups: 1 … 2^63, because Petastorm treats 0 as no seed."""
        return 1 + (key_of(self.settings.seed, self.epoch, _GROUPS) >> 1)
