"""The plan: which rows every step of an epoch takes, known before step 1 and the same at every world size."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bigdata_ml.reader.order import hash_word, key_of, permutation, row_permutation
from bigdata_ml.reader.selection import Selection
from bigdata_ml.reader.settings import OrderSettings
from bigdata_ml.reader.streams import Layout, Stream, cut

__all__ = ["ORDER", "EpochPlan", "StepRows"]

ORDER = "streams-1"
_GROUPS, _DELAYS, _ROWS = 1, 2, 3


@dataclass(frozen=True, slots=True)
class StepRows:
    """Rows of one step, all of shape [rows].

    Attributes:
        groups: index of each row's group in the dataset, int64.
        rows: its place in the group, int64.
        copies: 0; 1, 2 … for the first, second … repetition of a row in a short last batch, int64.
    """

    groups: np.ndarray
    rows: np.ndarray
    copies: np.ndarray

    @property
    def repeated(self) -> np.ndarray:
        """Whether a row fills a short last batch and was there before, bool."""
        return self.copies > 0


@dataclass(frozen=True)
class EpochPlan:
    """The order of one epoch: a pure function of the selection, the settings and the epoch.

    It holds some 24 bytes a row group and nothing a row; any step is worked out from nothing in milliseconds.
    """

    selection: Selection
    settings: OrderSettings
    epoch: int

    @cached_property
    def steps(self) -> int:
        """Number of steps, the same on every rank."""
        return self.settings.steps(self.layout.rows)

    @cached_property
    def layout(self) -> Layout:
        """The row groups of this epoch, laid end to end and cut into streams."""
        groups = np.flatnonzero(self.selection.counts)
        if self.settings.shuffles_groups:
            groups = groups[permutation(key_of(self.settings.seed, self.epoch, _GROUPS), len(groups))]
        return cut(self.selection.counts, groups, self.settings.streams)

    def stream(self, index: int) -> Stream:
        """Return stream 0 … streams − 1."""
        begin, end = self.layout.bounds[index : index + 2].tolist()
        key = key_of(self.settings.seed, self.epoch, _DELAYS, index)
        return Stream(key, begin, end - begin, self.settings.delay)

    def filling(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what a stream repeats after its own rows so that the last step is full.

        Its rows of that step, in a cycle; those of its step before if it has none there; stream 0's last ones if it has none at
        all. So no row group is read for the filling alone, but by a rank without rows.

        Returns:
            Positions in the layout and numbers of copy (1 …), both int64 [missing].
        """
        size, end = self.settings.stream_batch, self.steps * self.settings.stream_batch
        stream = self.stream(index)
        missing = end - stream.rows
        if missing <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        if stream.rows == 0:
            stream = self.stream(0)
        begin = end - size if stream.rows > end - size else max(0, stream.rows - size)
        places = np.arange(missing)
        last = stream.leaving(begin, stream.rows)
        return last[places % len(last)], places // len(last) + 1

    def group_rows(self, group: int) -> np.ndarray:
        """Return the selected rows of a group in the order of this epoch, by their place in it, int32 [counts[group]]."""
        rows = self.selection.rows(group)
        return row_permutation(hash_word(self._rows_key, group), rows) if self.settings.shuffles_rows else rows

    def step_rows(self, step: int, streams: range) -> StepRows:
        """Return the rows that `streams` give to global batch `step` (0 … steps − 1), stream by stream."""
        positions, copies = (np.concatenate(part) for part in zip(*(self._leaving(step, one) for one in streams), strict=True))
        places = self.layout.places(positions)
        inside = positions - self.layout.starts[places]
        groups = self.layout.groups[places]
        rows = np.empty(len(positions), np.int64)
        used, which = np.unique(groups, return_inverse=True)
        order = np.argsort(which, kind="stable")
        borders = np.searchsorted(which[order], np.arange(len(used) + 1)).tolist()
        for number, group in enumerate(used.tolist()):
            mine = order[borders[number] : borders[number + 1]]
            rows[mine] = self.group_rows(group)[inside[mine]]
        return StepRows(groups, rows, copies)

    def _leaving(self, step: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        size, stream = self.settings.stream_batch, self.stream(index)
        begin, end = step * size, (step + 1) * size
        own = stream.leaving(min(begin, stream.rows), min(end, stream.rows))
        copies = np.zeros(size, np.int64)
        if len(own) == size:
            return own, copies
        # Streams differ by a row at most, so only the last step lacks rows, and all that a stream lacks is there.
        filling, copies[len(own) :] = self.filling(index)
        return np.concatenate([own, filling]), copies

    @cached_property
    def _rows_key(self) -> int:
        return key_of(self.settings.seed, self.epoch, _ROWS)
