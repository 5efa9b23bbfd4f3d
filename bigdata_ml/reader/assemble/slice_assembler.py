"""Batches whose rows keep the order of their row groups: slices of them, without copying row by row."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from bigdata_ml.reader.assemble.assembler import Assembler
from bigdata_ml.reader.assemble.slot_columns import numbers_of
from bigdata_ml.reader.assemble.step_batch import BatchColumns, StepBatch
from bigdata_ml.reader.fetch.read_ahead import Need, ReadAhead
from bigdata_ml.reader.fetch.source import Source
from bigdata_ml.reader.order.plan import EpochPlan, StepRows
from bigdata_ml.reader.order.stream_reader import Share

__all__ = ["SliceAssembler", "is_straight"]


def is_straight(plan: EpochPlan, share: Share) -> bool:
    """Whether a share is one stream whose rows are neither shuffled nor mixed with other row groups."""
    return len(share.streams) == 1 and not plan.settings.shuffles_rows and plan.settings.delay == 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """The selected rows of a row group: their places in it, copies, and columns; those of numbers as numpy has them, too."""

    group: int
    rows: np.ndarray
    copies: np.ndarray | None
    columns: dict[str, pa.Array]
    numbers: dict[str, np.ndarray]


class SliceAssembler(Assembler):
    """Reads each row group of a share for which `is_straight` holds once.

    `ahead` threads each read one row group ahead.
    """

    def __init__(self, plan: EpochPlan, share: Share, source: Source, *, ahead: int = 0) -> None:
        super().__init__(range(share.first, plan.steps, share.stride))
        self._plan, self._source = plan, source
        self._size = plan.settings.stream_batch
        self._stream = plan.stream(share.streams.start)
        self._filling, self._repeats = plan.filling(share.streams.start)
        # Row groups whose rows also fill the last step are kept.
        self._kept = set(plan.layout.places(self._filling).tolist())
        self._groups = ReadAhead(self._needs(), lambda need: source.read(need.group), groups=ahead)
        self._pieces: dict[int, _Piece] = {}
        self.reads = 0

    def stop(self) -> None:
        """Ask the reading to end, without waiting for it; a finaliser may call it."""
        self._groups.stop()

    def close(self) -> None:
        """End the reading and wait for it."""
        self._groups.close()

    def _assemble(self, step: int) -> StepBatch:
        parts = self._parts(step)
        for place in [place for place in self._pieces if place < parts[0][0] and place not in self._kept]:
            del self._pieces[place]
        for need, read in self._groups.due(step):
            self._pieces[need.use] = self._piece(need, read)
        pieces, places = [self._pieces[place] for place, _ in parts], [where for _, where in parts]
        columns = self._columns(pieces, places)
        listed = [(piece.group, piece.rows[where], piece.copies, where) for piece, where in zip(pieces, places, strict=True)]
        step_rows = np.concatenate([rows for _, rows, _, _ in listed]).astype(np.int64)
        groups = np.repeat([group for group, _, _, _ in listed], [len(rows) for _, rows, _, _ in listed])
        copies = np.concatenate([np.zeros(len(rows)) if all_ is None else all_[where] for _, rows, all_, where in listed])
        repeats = np.zeros(len(step_rows), np.int64)
        if step == self._plan.steps - 1 and len(self._repeats):
            repeats[-len(self._repeats) :] = self._repeats
        rows = StepRows(groups.astype(np.int64), step_rows, copies.astype(np.int64), repeats)
        return StepBatch(rows, np.zeros(len(step_rows), bool), columns)

    def _needs(self) -> Iterator[Need[int]]:
        """Yield the places in the layout of the row groups that are read, each once."""
        before, kept = -1, set(self._kept)
        for step in self.steps:
            for place, _ in self._parts(step):
                if place in kept or (place not in self._kept and place > before):
                    kept.discard(place)
                    yield Need(step, int(self._plan.layout.groups[place]), place)
                before = max(before, place)

    def _parts(self, step: int) -> list[tuple[int, slice | np.ndarray]]:
        """Return (place of a group in the layout, its rows) of a step's rows, in order."""
        end = min((step + 1) * self._size, self._stream.rows)
        begin = min(step * self._size, end)
        parts: list[tuple[int, slice | np.ndarray]] = []
        parts += self._own(begin + self._stream.begin, end + self._stream.begin)
        if step == self._plan.steps - 1 and len(self._filling):
            parts += self._again()
        return parts

    def _own(self, begin: int, end: int) -> list[tuple[int, slice]]:
        """Return (place of a group in the layout, its rows) of positions begin … end − 1."""
        starts, parts = self._plan.layout.starts, []
        place = int(np.searchsorted(starts, begin, side="right")) - 1
        while begin < end:
            start, stop = int(starts[place]), min(end, int(starts[place + 1]))
            parts.append((place, slice(begin - start, stop - start)))
            begin, place = stop, place + 1
        return parts

    def _again(self) -> list[tuple[int, np.ndarray]]:
        """Return (place of a group in the layout, its rows) of what fills the last step."""
        places = self._plan.layout.places(self._filling)
        borders = np.flatnonzero(np.diff(places)) + 1
        runs = np.split(np.arange(len(places)), borders)
        return [(int(places[run[0]]), self._filling[run] - self._plan.layout.starts[places[run[0]]]) for run in runs]

    def _piece(self, need: Need[int], read: Callable[[], dict[str, pa.Array]]) -> _Piece:
        self.reads += 1
        columns = read()
        rows, copies = self._plan.group_rows(need.group)
        if copies is not None or len(rows) < len(next(iter(columns.values()))):
            columns = {name: column.take(pa.array(rows)) for name, column in columns.items()}
        arrays = ((name, numbers_of(column)) for name, column in columns.items())
        return _Piece(need.group, rows, copies, columns, {name: array for name, array in arrays if array is not None})

    def _columns(self, pieces: Sequence[_Piece], places: Sequence[slice | np.ndarray]) -> BatchColumns:
        schema = self._source.schema
        numbers = [name for name in schema.names if all(name in piece.numbers for piece in pieces)]
        joined = {name: partial(self._joined, name, pieces, places) for name in schema.names}
        return BatchColumns(
            schema,
            {name: make if name in numbers else make() for name, make in joined.items()},
            {name: partial(_copied, name, pieces, places) for name in numbers},
        )

    def _joined(self, name: str, pieces: Sequence[_Piece], places: Sequence[slice | np.ndarray]) -> pa.Array:
        slices = [_part(piece.columns[name], where) for piece, where in zip(pieces, places, strict=True)]
        if len(slices) == 1:
            return slices[0]
        try:
            if pa.types.is_dictionary(slices[0].type):
                joined = pa.chunked_array(slices).unify_dictionaries().combine_chunks()
                return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined
            return pa.concat_arrays(slices)
        except (pa.ArrowInvalid, pa.ArrowCapacityError) as error:
            why = "most likely because it holds more than 2 GiB of text or bytes"
            text = f"field {name!r}: a batch of {self._size} rows cannot be made, {why}: {error}; take a smaller batch"
            raise ValueError(text) from error


def _copied(name: str, pieces: Sequence[_Piece], places: Sequence[slice | np.ndarray]) -> np.ndarray:
    # A single piece is copied too: other batches share its memory.
    return np.concatenate([piece.numbers[name][where] for piece, where in zip(pieces, places, strict=True)])


def _part(column: pa.Array, where: slice | np.ndarray) -> pa.Array:
    if isinstance(where, slice):
        return column.slice(where.start, where.stop - where.start)
    return column.take(pa.array(where))
