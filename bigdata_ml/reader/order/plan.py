"""The plan: which rows every step of an epoch takes, known before step 1 and the same at every world size."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from bigdata_ml.reader.order.hashing import hash_word, key_of, permutation, row_order
from bigdata_ml.reader.order.pattern import Pace
from bigdata_ml.reader.order.selected_rows import EpochRows
from bigdata_ml.reader.order.settings import OrderSettings
from bigdata_ml.reader.order.streams import Layout, Stream, cut

__all__ = ["ORDER", "Course", "EpochPlan", "Plan", "StepRows"]

ORDER = "streams-1"
_GROUPS, _DELAYS, _ROWS = 1, 2, 3


@dataclass(frozen=True, slots=True)
class StepRows:
    """Rows of one step, all of shape [rows].

    Attributes:
        groups: index of each row's group in the dataset, int64.
        rows: its place in the group, int64.
        copies: 0; 1, 2 … for the further copies that its weight gives a row in this epoch, int64.
        repeats: 0; 1, 2 … for the first, second … repetition of a row in a short last batch, int64.
    """

    groups: np.ndarray
    rows: np.ndarray
    copies: np.ndarray
    repeats: np.ndarray

    @property
    def repeated(self) -> np.ndarray:
        """Whether a row fills a short last batch and was there before, bool."""
        return self.repeats > 0

    @property
    def numbers(self) -> np.ndarray:
        """What tells apart the times that a row comes in an epoch, int64; 0 for the first copy's first time."""
        return np.asarray(self.copies << 32 | self.repeats)


class Plan(Protocol):
    """What a reader needs of the order of an epoch, be it one dataset's or a mixture's."""

    @property
    def epoch(self) -> int:
        """Whose order, 0 …"""

    @property
    def settings(self) -> OrderSettings:
        """Of the order."""

    @property
    def steps(self) -> int:
        """Number of steps, the same on every rank."""

    @property
    def rows(self) -> int:
        """Number of rows of the epoch, copies and other passes counted, those that are left out too."""

    @property
    def usual_reach(self) -> int:
        """Ranks of a stream over which the rows of a row group leave at most, unless a cut goes through the row group."""

    def courses(self, index: int, step: int) -> "list[Iterator[Course]]":
        """Return, dataset by dataset, the courses of a stream that have rows to come at `step`."""

    def repeats(self, index: int) -> np.ndarray:
        """Return the numbers of repetition (1 …) of what fills a stream's last step, at its end, int64."""

    def step_rows(self, step: int, streams: range) -> StepRows:
        """Return the rows that `streams` give to global batch `step`, stream by stream."""


@dataclass(frozen=True, slots=True)
class Course:
    """The way of one dataset's rows through an epoch, or through one of the passes that a mixture makes over it.

    Attributes:
        plan: the order of its rows.
        pace: where they go in the global batches.
        offset: added to the indices of its row groups, to tell several datasets' apart.
        number: of the pass, 0 …
        is_filled: whether its own last rows fill the last step.
    """

    plan: "EpochPlan"
    pace: Pace
    offset: int = 0
    number: int = 0
    is_filled: bool = False

    def group_rows(self, group: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what `EpochPlan.group_rows` does; the rows of a further pass are copies of that number."""
        rows, copies = self.plan.group_rows(group)
        return rows, copies if self.number == 0 else np.full(len(rows), self.number, np.int32)


@dataclass(frozen=True)
class EpochPlan:
    """The order of one epoch: a pure function of the selection, the settings and the epoch.

    It holds some 24 bytes a row group and nothing a row; any step is worked out from nothing in milliseconds.
    """

    selection: EpochRows
    settings: OrderSettings
    epoch: int

    @cached_property
    def steps(self) -> int:
        """Number of steps, the same on every rank."""
        return self.settings.steps(self.selection.total)

    @property
    def rows(self) -> int:
        """Number of selected rows, copies counted."""
        return self.selection.total

    @property
    def usual_reach(self) -> int:
        """Ranks of a stream over which the rows of a row group leave: its length and the window's."""
        return min(int(self.selection.counts.max()), self.rows // self.settings.streams) + self.settings.delay

    def courses(self, index: int, step: int) -> list[Iterator[Course]]:  # noqa: ARG002
        """Return the one course there is."""
        return [iter([Course(self, Pace(self.settings.stream_batch, self.steps), is_filled=True)])]

    def repeats(self, index: int) -> np.ndarray:
        """Return the numbers of repetition (1 …) of what fills a stream's last step, int64."""
        return self.filling(index)[1]

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
            Positions in the layout and numbers of the repetition (1 …), both int64 [missing].
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

    def group_rows(self, group: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the selected rows of a group in the order of this epoch.

        Returns:
            Their places in it, int32 [counts[group]], and the number of each one's copy, int32 of the same shape; None
            where each is there once.
        """
        rows, copies = self.selection.entries(group)
        if not self.settings.shuffles_rows:
            return rows, copies
        words = rows if copies is None else rows | copies.astype(np.int64) << 32
        order = row_order(hash_word(self._rows_key, group), words)
        return rows[order], None if copies is None else copies[order]

    def step_rows(self, step: int, streams: range) -> StepRows:
        """Return the rows that `streams` give to global batch `step` (0 … steps − 1), stream by stream."""
        positions, repeats = (
            np.concatenate(part) for part in zip(*(self._leaving(step, stream) for stream in streams), strict=True)
        )
        places = self.layout.places(positions)
        inside = positions - self.layout.starts[places]
        groups = self.layout.groups[places]
        rows, copies = np.empty(len(positions), np.int64), np.zeros(len(positions), np.int64)
        used, which = np.unique(groups, return_inverse=True)
        order = np.argsort(which, kind="stable")
        borders = np.searchsorted(which[order], np.arange(len(used) + 1)).tolist()
        for number, group in enumerate(used.tolist()):
            places_in_group = order[borders[number] : borders[number + 1]]
            ordered, numbers = self.group_rows(group)
            rows[places_in_group] = ordered[inside[places_in_group]]
            if numbers is not None:
                copies[places_in_group] = numbers[inside[places_in_group]]
        return StepRows(groups, rows, copies, repeats)

    def _leaving(self, step: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        size, stream = self.settings.stream_batch, self.stream(index)
        begin, end = step * size, (step + 1) * size
        own = stream.leaving(min(begin, stream.rows), min(end, stream.rows))
        repeats = np.zeros(size, np.int64)
        if len(own) == size:
            return own, repeats
        # Streams differ by a row at most, so only the last step lacks rows, and all that a stream lacks is there.
        filling, repeats[len(own) :] = self.filling(index)
        return np.concatenate([own, filling]), repeats

    @cached_property
    def _rows_key(self) -> int:
        return key_of(self.settings.seed, self.epoch, _ROWS)
