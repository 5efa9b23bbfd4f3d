"""One stream's row groups: which of them a step needs, each once, and which of their rows are still to come."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bigdata_ml.reader.order.plan import Course
from bigdata_ml.reader.order.streams import StreamWalk

__all__ = ["Entries", "Lane", "Share", "StreamReader"]


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of an epoch is assembled: some streams' rows of every `stride`th step from `first` on."""

    streams: range
    first: int = 0
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Entries:
    """Rows of one stream in one row group.

    Attributes:
        stream: which one.
        places: of the rows in the group, in the epoch's order: a stretch, or int64 [rows].
        ranks: at which they leave, among the rows of all datasets that are read, int64 [rows].
    """

    stream: int
    places: slice | np.ndarray
    ranks: np.ndarray


class Lane:
    """The courses of one stream and one dataset, one after the other."""

    def __init__(self, courses: Iterator[Course], index: int, share: Share) -> None:
        self._courses, self._index, self._share = courses, index, share
        self._next = next(courses, None)
        self._readers: list[StreamReader] = []

    def needed(self, step: int) -> list[tuple[Course, int, Entries]]:
        """Return (course, group, its rows) of the row groups that `step` needs and that were not named before."""
        while self._next is not None and self._next.pace.step(0) <= step:
            self._readers.append(StreamReader(self._next, self._index, self._share))
            self._next = next(self._courses, None)
        needed_groups = [(reader.course, group, entries) for reader in self._readers for group, entries in reader.needed(step)]
        self._readers = [reader_left for reader_left in self._readers if not reader_left.is_done]
        return needed_groups


class StreamReader:
    """Says which row groups a stream needs for a step, each once, and which of their rows are still to come.

    Ranks are the stream's own; its pace says what they are among all rows.
    """

    def __init__(self, course: Course, index: int, share: Share) -> None:
        self.course, self._index, self._share = course, index, share
        self._plan, self._pace = course.plan, course.pace
        plan = self._plan
        self._stream = plan.stream(index)
        first = min(self._pace.first(share.first), self._stream.rows)
        self._first, self._last = first, self._pace.first(self._pace.steps)
        self._filling = plan.filling(index)[0] if course.is_filled else np.zeros(0, np.int64)
        begin = max(0, first - self._stream.delay) + self._stream.begin
        if len(self._filling) and self._stream.rows:
            begin = min(begin, int(self._filling.min()))
        self._next = int(plan.layout.places(np.array([begin]))[0])
        self._walk = StreamWalk(self._stream, first, lowest=self._begin(self._next) - self._stream.begin)
        self._due = self._due_step()

    @property
    def is_done(self) -> bool:
        """Whether no step needs another row group."""
        return self._due >= self._pace.steps

    def needed(self, step: int) -> list[tuple[int, Entries]]:
        """Return (group, its rows) of the row groups that must be there before `step` is full and were not named before."""
        if step < self._due:
            return []
        if self._stream.rows == 0:
            self._due = self._pace.steps
            return self._borrowed()
        groups = []
        while self._due <= step:
            entries = self._entries(self._next)
            if len(entries.ranks):
                groups.append((int(self._plan.layout.groups[self._next]), entries))
            self._next += 1
            self._due = self._due_step()
        return groups

    def _due_step(self) -> int:
        """Return the step for which the next group must be there; past the last one if there is none."""
        stream, steps = self._stream, self._pace.steps
        if stream.rows == 0:
            return steps - 1 if len(self._filling) else steps
        if self._next == len(self._plan.layout.groups) or self._begin(self._next) >= stream.begin + stream.rows:
            return steps
        rank = self._walk.due(self._begin(self._next) - stream.begin)
        if rank == stream.rows:
            # What has left before is needed once more where it fills the last step.
            return steps - 1 if len(self._filling) else steps
        return self._pace.step(rank)

    def _entries(self, place: int) -> Entries:
        layout, stream = self._plan.layout, self._stream
        start, begin = int(layout.starts[place]), self._begin(place)
        end = min(int(layout.starts[place + 1]), stream.begin + stream.rows)
        ranks = self._walk.ranks(begin - stream.begin, end - stream.begin)
        if self._is_inside(begin - stream.begin, end - stream.begin):
            return Entries(self._index, slice(begin - start, end - start), self._pace.ranks(ranks))
        places = np.arange(begin - start, end - start)
        if len(self._filling):
            more = np.flatnonzero((self._filling >= begin) & (self._filling < end))
            places = np.concatenate([places, self._filling[more] - start])
            ranks = np.concatenate([ranks, stream.rows + more])
        return self._mine(places, ranks)

    def _is_inside(self, begin: int, end: int) -> bool:
        """Whether rows begin … end − 1 of the stream all belong to this share, each once, as those far from both ends do."""
        if self._share.stride > 1 or (len(self._filling) and end > self._filling.min() - self._stream.begin):
            return False
        last, delay = self._last, self._stream.delay
        return (not self._first or begin - delay >= self._first) and (end + delay <= last or self._stream.rows <= last)

    def _begin(self, place: int) -> int:
        """Return where this stream's rows of a group begin in the layout."""
        return max(int(self._plan.layout.starts[place]), self._stream.begin)

    def _borrowed(self) -> list[tuple[int, Entries]]:
        """The rows of a stream that has none of its own."""
        layout = self._plan.layout
        (place,) = np.unique(layout.places(self._filling)).tolist()
        entries = self._mine(self._filling - layout.starts[place], np.arange(len(self._filling)))
        return [(int(layout.groups[place]), entries)] if len(entries.ranks) else []

    def _mine(self, places: np.ndarray, ranks: np.ndarray) -> Entries:
        """Keep the rows of this share's steps; under `drop` the last ones belong to none."""
        in_share = (ranks >= self._first) & (ranks < self._last)
        places, ranks = places[in_share], self._pace.ranks(ranks[in_share])
        if self._share.stride > 1:
            in_share = (ranks // self._pace.size - self._share.first) % self._share.stride == 0
            places, ranks = places[in_share], ranks[in_share]
        return Entries(self._index, places, ranks)
