"""A rank's batches: when to read each row group, and where each of its rows belongs."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pyarrow as pa

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.assemble.assembler import Assembler, Unreadable
from bigdata_ml.reader.assemble.open_batches import OpenBatches, PackedGroup
from bigdata_ml.reader.assemble.step_batch import StepBatch
from bigdata_ml.reader.fetch.read_ahead import Need, ReadAhead
from bigdata_ml.reader.fetch.source import Source
from bigdata_ml.reader.order.plan import Course, Plan
from bigdata_ml.reader.order.stream_reader import Entries, Lane, Share

__all__ = ["BatchAssembler"]

_Need = Need[tuple[Course, list[Entries]]]
_Read = dict[str, pa.Array] | PackedGroup


class BatchAssembler(Assembler):
    """Reads the row groups of a share in the order of a plan.

    A row group is read when a step needs its first row. Its rows are scattered into their batches, and it is released.
    Streams of one rank that need it in the same step share the reading. `ahead` threads each read one row group ahead.
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
        super().__init__(range(share.first, plan.steps, share.stride))
        self._plan, self._share = plan, share
        self._on_unreadable = on_unreadable
        self._lanes = [Lane(courses, index, share) for index in share.streams for courses in plan.courses(index, share.first)]
        self._size = plan.settings.stream_batch
        self.open = OpenBatches(source.schema, self._size * len(share.streams), ahead=self._ahead(), sequence=sequence)
        # A bound method would make a reference cycle, which only the garbage collector could free.
        self._groups = ReadAhead(self._needs(), partial(_read, source, self.open), groups=ahead)
        self.reads = 0

    def stop(self) -> None:
        """Ask the reading to end, without waiting for it; a finaliser may call it."""
        self._groups.stop()

    def close(self) -> None:
        """End the reading and wait for it."""
        self._groups.close()

    def _assemble(self, step: int) -> StepBatch:
        for need, columns in self._groups.due(step):
            self._add(need, columns)
        return self.open.take(self._repeats(step))

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
        rows = np.concatenate([ordered[entries.places] for entries in parts])
        copies = None if numbers is None else np.concatenate([numbers[entries.places] for entries in parts])
        ranks = np.concatenate([entries.ranks for entries in parts])
        lines = np.repeat(
            [entries.stream - self._share.streams.start for entries in parts], [len(entries.ranks) for entries in parts]
        )
        batches = (ranks // self._size - self._share.first) // self._share.stride
        self.open.add(group, columns, rows, batches, lines * self._size + ranks % self._size, copies=copies)

    def _ahead(self) -> int:
        """Return how many batches ahead rows usually belong: a row group's rows leave within its length plus the window."""
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
    size, wanted = len(next(iter(columns.values()))), sum(len(entries.ranks) for entries in need.use[1])
    # If few rows of the group are needed, they are selected first, once they are known.
    return batches.pack(columns) if 2 * wanted >= size else columns
