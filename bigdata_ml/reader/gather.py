"""A rank's batches: which row groups to read when, and where each of their rows belongs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.fetch import GroupSource
from bigdata_ml.reader.open_batches import OpenBatches
from bigdata_ml.reader.plan import EpochPlan, StepRows
from bigdata_ml.reader.streams import StreamWalk

__all__ = ["Entries", "Gathered", "Gatherer", "Share", "StreamReader", "Unreadable"]

Unreadable = Callable[[int, DatasetInvalid], None]


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of an epoch is gathered: some streams' rows of every `stride`th step from `first` on."""

    streams: range
    first: int = 0
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Gathered:
    """The rows of one step: where they came from, whether their row group could not be read (bool [rows]), and their values."""

    rows: StepRows
    skipped: np.ndarray
    batch: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Entries:
    """Rows of one stream in one row group.

    Attributes:
        stream: which one.
        places: of the rows in the group, in the epoch's order: a stretch, or int64 [rows].
        ranks: at which they leave, int64 [rows].
    """

    stream: int
    places: slice | np.ndarray
    ranks: np.ndarray


class Gatherer:
    """Reads the row groups of a share in the order of a plan and hands out its batches one after the other.

    A row group is read when the first of its rows that is still to come leaves, scattered into the batches it belongs to, and
    let go; streams of one rank that need it in the same step share the reading.
    """

    def __init__(self, plan: EpochPlan, share: Share, source: GroupSource, *, on_unreadable: Unreadable | None = None) -> None:
        self._plan, self._share, self._source = plan, share, source
        self._on_unreadable = on_unreadable
        self._streams = {index: StreamReader(plan, index, share) for index in share.streams}
        self._size = plan.settings.stream_batch
        self.steps = range(share.first, plan.steps, share.stride)
        self.open = OpenBatches(source.schema, self._size * len(share.streams), ahead=self._ahead())
        self._done = 0
        self._failure: BaseException | None = None
        self.reads = 0

    def next(self) -> Gathered:
        """Return the rows of the share's next step.

        Raises:
            IndexError: the epoch has no more.
            DatasetInvalid: a row group that cannot be read, unless `on_unreadable` was given, which is then told.
            ValueError: more text or bytes than a batch can hold.
            Whatever was raised once is raised by every call after it, since rows are missing then.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return self._gather(self.steps[self._done])
        except BaseException as error:
            self._failure = error
            raise

    def close(self) -> None:
        """End the reading: nothing reads ahead here."""

    def _gather(self, step: int) -> Gathered:
        needed: dict[int, list[Entries]] = {}
        for stream in self._streams.values():
            for group, entries in stream.needed(step):
                needed.setdefault(group, []).append(entries)
        for group, parts in needed.items():
            self._add(group, parts)
        full = self.open.take()
        self._done += 1
        rows = StepRows(full.groups, full.rows, full.copies, self._repeats(step))
        return Gathered(rows, full.skipped, full.columns)

    def _add(self, group: int, parts: list[Entries]) -> None:
        self.reads += 1
        columns = None
        try:
            columns = self._source.read(group)
        except DatasetInvalid as error:
            if self._on_unreadable is None:
                raise
            self._on_unreadable(group, error)
        ordered, numbers = self._plan.group_rows(group)
        rows = np.concatenate([ordered[one.places] for one in parts])
        copies = None if numbers is None else np.concatenate([numbers[one.places] for one in parts])
        ranks = np.concatenate([one.ranks for one in parts])
        lines = np.repeat([one.stream - self._share.streams.start for one in parts], [len(one.ranks) for one in parts])
        batches = (ranks // self._size - self._share.first) // self._share.stride
        self.open.add(group, columns, rows, batches, lines * self._size + ranks % self._size, copies=copies)

    def _ahead(self) -> int:
        """Return the batches that rows usually lie ahead: those of a row group leave over its length and the window's."""
        rows = min(int(self._plan.selection.counts.max()), self._plan.layout.rows // self._plan.settings.streams)
        usual = (rows + self._plan.settings.delay) // (self._size * self._share.stride) + 2
        return max(1, min(usual, len(self.steps)))

    def _repeats(self, step: int) -> np.ndarray:
        repeats = np.zeros(self._size * len(self._share.streams), np.int64)
        if step == self._plan.steps - 1:
            for line, stream in enumerate(self._streams.values()):
                numbers = stream.repeats
                end = (line + 1) * self._size
                repeats[end - len(numbers) : end] = numbers
        return repeats


class StreamReader:
    """Says which row groups a stream needs for a step, each once, and which of their rows are still to come."""

    def __init__(self, plan: EpochPlan, index: int, share: Share) -> None:
        self._plan, self._index, self._share = plan, index, share
        self._stream = plan.stream(index)
        self._size = plan.settings.stream_batch
        first = min(share.first * self._size, self._stream.rows)
        self._first = first
        self._filling, self.repeats = plan.filling(index)
        begin = max(0, first - self._stream.delay) + self._stream.begin
        if len(self._filling) and self._stream.rows:
            begin = min(begin, int(self._filling.min()))
        self._next = int(plan.layout.places(np.array([begin]))[0])
        self._walk = StreamWalk(self._stream, first, lowest=self._begin(self._next) - self._stream.begin)
        self._due = self._due_step()

    def needed(self, step: int) -> list[tuple[int, Entries]]:
        """Return (group, its rows) of the row groups that must be there before `step` is full and were not named before."""
        if step < self._due:
            return []
        if self._stream.rows == 0:
            self._due = self._plan.steps
            return self._borrowed()
        found = []
        while self._due <= step:
            entries = self._entries(self._next)
            if len(entries.ranks):
                found.append((int(self._plan.layout.groups[self._next]), entries))
            self._next += 1
            self._due = self._due_step()
        return found

    def _due_step(self) -> int:
        """Return the step for which the next group must be there; past the last one if there is none."""
        stream, steps = self._stream, self._plan.steps
        if stream.rows == 0:
            return steps - 1 if len(self._filling) else steps
        if self._next == len(self._plan.layout.groups) or self._begin(self._next) >= stream.begin + stream.rows:
            return steps
        rank = self._walk.due(self._begin(self._next) - stream.begin)
        # What has left before is needed once more where it fills the last step.
        return steps - 1 if rank == stream.rows and len(self._filling) else rank // self._size

    def _entries(self, place: int) -> Entries:
        layout, stream = self._plan.layout, self._stream
        start, begin = int(layout.starts[place]), self._begin(place)
        end = min(int(layout.starts[place + 1]), stream.begin + stream.rows)
        ranks = self._walk.ranks(begin - stream.begin, end - stream.begin)
        if self._is_inside(begin - stream.begin, end - stream.begin):
            return Entries(self._index, slice(begin - start, end - start), ranks)
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
        last, delay = self._plan.steps * self._size, self._stream.delay
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
        mine = (ranks >= self._first) & (ranks < self._plan.steps * self._size)
        if self._share.stride > 1:
            mine &= (ranks // self._size - self._share.first) % self._share.stride == 0
        return Entries(self._index, places[mine], ranks[mine])
