"""The plan: which rows every step of an epoch takes, known before step 1 and the same at every world size."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bigdata_ml.errors import WorldSizeNotAllowed
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order import key_of, permutation
from bigdata_ml.reader.selection import Selection

__all__ = ["ORDER", "EpochPlan", "Rank", "StepRows"]

ORDER = "groups-1"
_GROUPS, _ROWS = 1, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Rank:
    """Which of `world_size` equal parts of each global batch this process reads."""

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.world_size < 1 or not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank must lie in [0, {self.world_size}), got {self.rank}")

    def share(self, global_batch_size: int) -> slice:
        """Return this rank's places in a global batch.

        Raises:
            WorldSizeNotAllowed: the global batch is not a multiple of the world size.
        """
        if global_batch_size % self.world_size:
            allowed = [size for size in range(1, global_batch_size + 1) if global_batch_size % size == 0]
            raise WorldSizeNotAllowed(
                f"a global batch of {global_batch_size} rows cannot be divided among {self.world_size} ranks; "
                f"allowed world sizes are {', '.join(map(str, allowed))}"
            )
        size = global_batch_size // self.world_size
        return slice(self.rank * size, (self.rank + 1) * size)


@dataclass(frozen=True, slots=True)
class StepRows:
    """Rows of one step, all of shape [rows].

    Attributes:
        groups: index of each row's group in the dataset, int64.
        rows: its position in the group, int64.
        repeated: whether it fills a short last batch and was there before, bool.
    """

    groups: np.ndarray
    rows: np.ndarray
    repeated: np.ndarray


@dataclass(frozen=True)
class EpochPlan:
    """The order of one epoch: a pure function of selection, seed, epoch, global batch and remainder.

    Row groups come in the order of a hash of (seed, epoch, group), the rows of a group in that of (seed, epoch, group,
    row). The order is held whole: 16 bytes a row.
    """

    selection: Selection
    read: ReadOptions
    global_batch_size: int
    epoch: int

    @property
    def rows(self) -> int:
        """Number of selected rows."""
        return int(self.selection.counts.sum())

    @property
    def steps(self) -> int:
        """Number of steps, the same on every rank."""
        return steps_of(self.rows, self.global_batch_size, self.read)

    def step_rows(self, step: int, share: slice) -> StepRows:
        """Return the rows of the places `share` in global batch `step` (0 … steps − 1)."""
        groups, rows = self._order
        first = step * self.global_batch_size
        places = np.arange(first, first + self.global_batch_size)[share]
        repeated = places >= self.rows
        # A short last batch goes on with its own rows, so that no group is read for the filling alone.
        short = self.rows - first
        places = np.where(repeated, first + (places - first) % max(short, 1), places)
        return StepRows(groups[places], rows[places], repeated)

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        counts = self.selection.counts
        groups = np.flatnonzero(counts)
        if self.read.shuffle:
            groups = groups[permutation(key_of(self.read.seed, self.epoch, _GROUPS), len(groups))]
        inside = [self._rows_of(int(group)) for group in groups]
        return np.repeat(groups, counts[groups]), np.concatenate(inside) if inside else np.zeros(0, np.int64)

    def _rows_of(self, group: int) -> np.ndarray:
        if self.selection.rows is not None:
            rows = self.selection.rows[group]
        else:
            rows = np.arange(self.selection.counts[group], dtype=np.int64)
        if self.read.shuffle:
            rows = rows[permutation(key_of(self.read.seed, self.epoch, _ROWS, group), len(rows))]
        return rows


def steps_of(rows: int, global_batch_size: int, read: ReadOptions) -> int:
    """Return the steps of an epoch of that many rows: ⌊rows / batch⌋ for `drop`, ⌈rows / batch⌉ otherwise.

    Raises:
        ValueError: no step at all, with the numbers.
    """
    if global_batch_size < 1:
        raise ValueError(f"global_batch_size must be at least 1, got {global_batch_size}")
    steps = rows // global_batch_size if read.remainder == "drop" else -(-rows // global_batch_size)
    if steps == 0:
        raise ValueError(
            f"{rows} selected rows make no step of {global_batch_size} rows with remainder={read.remainder!r}; "
            "take a smaller batch, remainder='pad' or 'exact', or a predicate that leaves rows"
        )
    return steps
