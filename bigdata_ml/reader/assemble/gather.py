"""A rank's batches: which row groups to read when, and where each of their rows belongs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.assemble.open_batches import BatchColumns, OpenBatches, PackedGroup
from bigdata_ml.reader.fetch.read_ahead import Need, ReadAhead
from bigdata_ml.reader.fetch.source import Source
from bigdata_ml.reader.order.plan import Course, Plan, StepRows
from bigdata_ml.reader.order.stream_reader import Entries, Lane, Share

__all__ = ["Gathered", "Gatherer", "Unreadable"]

Unreadable = Callable[[int, DatasetInvalid], None]
_Need = Need[tuple[Course, list[Entries]]]
_Read = dict[str, pa.Array] | PackedGroup


@dataclass(frozen=True, slots=True)
class Gathered:
    """The rows of one step: where they came from, whether their row group could not be read (bool [rows]), and their values."""

    rows: StepRows
    skipped: np.ndarray
    columns: BatchColumns

    @property
    def batch(self) -> pa.RecordBatch:
        """The values as an Arrow batch."""
        return self.columns.batch


class Gatherer:
    """Reads the row groups of a share in the order of a plan and hands out its batches one after the other.

    A row group is scattered into the batches it belongs to when the first of its rows that is still to come leaves, and let go;
    streams of one rank that need it in the same step share the reading. `ahead` threads each read one that is needed later.
    """

    def __init__(
        self,
        plan: Plan,
        share: Share,
        source: Source,
        *,
        on_unreadable: Unreadable | None = None,
        sequence: int | None = None,
        ahead: int = 0,
    ) -> None:
        self._plan, self._share = plan, share
        self._on_unreadable = on_unreadable
        self._lanes = [Lane(courses, index, share) for index in share.streams for courses in plan.courses(index, share.first)]
        self._size = plan.settings.stream_batch
        self.steps = range(share.first, plan.steps, share.stride)
        self.open = OpenBatches(source.schema, self._size * len(share.streams), ahead=self._ahead(), sequence=sequence)
        # No method of ours: what reads is held by what we hold, and both would stay until the garbage is collected.
        self._groups = ReadAhead(self._needs(), partial(_read, source, self.open), groups=ahead)
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

    def stop(self) -> None:
        """Have the reading end by itself, without waiting for it; a finaliser may call it."""
        self._groups.stop()

    def close(self) -> None:
        """End the reading."""
        self._groups.close()

    def _gather(self, step: int) -> Gathered:
        for need, columns in self._groups.due(step):
            self._add(need, columns)
        full = self.open.take()
        self._done += 1
        rows = StepRows(full.groups, full.rows, full.copies, self._repeats(step))
        return Gathered(rows, full.skipped, full.columns)

    def _needs(self) -> Iterator[_Need]:
        for step in self.steps:
            needed: dict[tuple[int, int], tuple[Course, list[Entries]]] = {}
            for lane in self._lanes:
                for course, group, entries in lane.needed(step):
                    needed.setdefault((course.number, course.offset + group), (course, []))[1].append(entries)
            for (_, group), use in needed.items():
                yield Need(step, group, use)

    def _add(self, need: _Need, read: Callable[[], _Read]) -> None:
        group, (course, parts) = need.group, need.use
        self.reads += 1
        columns = None
        try:
            columns = read()
        except DatasetInvalid as error:
            if self._on_unreadable is None:
                raise
            self._on_unreadable(group, error)
        ordered, numbers = course.group_rows(group - course.offset)
        rows = np.concatenate([ordered[one.places] for one in parts])
        copies = None if numbers is None else np.concatenate([numbers[one.places] for one in parts])
        ranks = np.concatenate([one.ranks for one in parts])
        lines = np.repeat([one.stream - self._share.streams.start for one in parts], [len(one.ranks) for one in parts])
        batches = (ranks // self._size - self._share.first) // self._share.stride
        self.open.add(group, columns, rows, batches, lines * self._size + ranks % self._size, copies=copies)

    def _ahead(self) -> int:
        """Return the batches that rows usually lie ahead: those of a row group leave over its length and the window's."""
        usual = self._plan.usual_reach // (self._size * self._share.stride) + 2
        return max(1, min(usual, len(self.steps)))

    def _repeats(self, step: int) -> np.ndarray:
        repeats = np.zeros(self._size * len(self._share.streams), np.int64)
        if step == self._plan.steps - 1:
            for line, stream in enumerate(self._share.streams):
                numbers = self._plan.repeats(stream)
                end = (line + 1) * self._size
                repeats[end - len(numbers) : end] = numbers
        return repeats


def _read(source: Source, batches: OpenBatches, need: _Need) -> _Read:
    columns = source.read(need.group)
    size, wanted = len(next(iter(columns.values()))), sum(len(one.ranks) for one in need.use[1])
    # Of a group of which few rows are wanted, these are looked for first, when it is known which.
    return batches.pack(columns) if 2 * wanted >= size else columns
