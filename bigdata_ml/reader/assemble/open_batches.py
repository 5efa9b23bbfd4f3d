"""The batches that are being filled: rows are scattered into them as row groups arrive, each is handed out when it is full."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from bigdata_ml.reader.assemble.slot_columns import SequenceColumn, sequence_type, slot_column
from bigdata_ml.reader.assemble.slots import Packed, Slots
from bigdata_ml.reader.assemble.step_batch import BatchColumns, StepBatch
from bigdata_ml.reader.order.plan import StepRows

__all__ = ["OpenBatches", "PackedGroup"]

# Parts of a slot beside its columns' (whose names begin with the column's number): the token of its row's group, and the row.
_MARKS = {name: np.dtype(np.int32) for name in ("row", "token")}
# One more from when on a group's rows have copies.
_COPY = "copy"
_SKIPPED = -1


@dataclass(frozen=True, slots=True)
class PackedGroup:
    """A row group's rows side by side, and the columns, by their number, that are still to be added to them."""

    packed: Packed
    left: Mapping[int, pa.Array]


class OpenBatches:
    """A ring of batches; batch i lies in the slots from (i mod capacity) × rows on, and grows where rows come from farther ahead.

    Args:
        schema: of the columns.
        rows: rows of a batch.
        ahead: batches that there is room for at once, so that growing is rare.
        sequence: how many values from a row's on make its value; None where each row is by itself.
    """

    def __init__(self, schema: pa.Schema, rows: int, *, ahead: int = 1, sequence: int | None = None) -> None:
        self._schema, self._sequence = schema, sequence
        self._rows = rows
        self._next = 0
        self._capacity = 0
        self._columns = [slot_column(field) if sequence is None else SequenceColumn(field, sequence) for field in schema]
        if sequence is not None:
            types = [pa.field(field.name, sequence_type(field, sequence), nullable=False) for field in schema]
            self._schema = pa.schema(types)
        # By column: its parts' names in the slots.
        self._names = [{name: f"{number} {name}" for name in column.parts} for number, column in enumerate(self._columns)]
        parts = {
            names[name]: column.parts[name] for column, names in zip(self._columns, self._names, strict=True) for name in names
        }
        self._slots = Slots({**_MARKS, **parts})
        # By token: rows that were not handed out, and which group it is.
        self._pending: dict[int, int] = {}
        self._groups = np.zeros(0, np.int64)
        self._tokens: list[int] = []
        self._has_copies = False
        self._make_room(ahead - 1)

    @property
    def held_rows(self) -> int:
        """Rows that came and were not handed out."""
        return sum(self._pending.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all slots; the buffers of row groups with long text or bytes come on top."""
        return self._slots.nbytes

    @property
    def held_groups(self) -> int:
        """Row groups with rows that were not handed out."""
        return len(self._pending)

    def add(
        self,
        group: int,
        columns: Mapping[str, pa.Array] | PackedGroup | None,
        rows: np.ndarray,
        batches: np.ndarray,
        places: np.ndarray,
        *,
        copies: np.ndarray | None = None,
    ) -> None:
        """Scatter rows of a row group.

        Args:
            group: its index in the dataset.
            columns: its columns, each one array, or what `pack` made of them; None if it could not be read: zeros are put in
                place of its rows.
            rows: places in the group, int64 [count].
            batches: number of the batch that each row belongs to, the next one or later, int64 [count].
            places: its place there, int64 [count].
            copies: the number of its copy, int32 [count]; None for 0.
        """
        self._make_room(int(batches.max()))
        slots = batches % self._capacity * self._rows + places
        token = self._token(group)
        self._pending[token] = len(rows)
        if columns is None:
            # A group that could not be read is marked by the sign.
            marks = {"row": rows, "token": _SKIPPED - token}
            nothing = (one.nothing(len(rows)) for one in self._columns)
            packed, places = self._slots.pack({**marks, **self._named(enumerate(nothing))}, len(rows)), np.arange(len(rows))
        else:
            if not isinstance(columns, PackedGroup):
                columns, rows = self._narrowed(columns, rows)
            packed, places = columns.packed, rows
            left = ((number, self._columns[number].split(token, column)) for number, column in columns.left.items())
            for name, values in self._named(left).items():
                packed.set(name, values)
            packed.set("token", token)
        if copies is not None and not self._has_copies:
            self._slots.add_part(_COPY, np.dtype(np.int32))
            self._has_copies = True
        if self._has_copies:
            packed.set(_COPY, 0)
        self._slots.scatter(packed, places, slots)
        if copies is not None:
            self._slots.put(_COPY, copies, slots)

    def pack(self, columns: Mapping[str, pa.Array], numbers: np.ndarray | None = None) -> PackedGroup:
        """Do what can be done of `add` by the thread that reads a row group; several may at once.

        Args:
            columns: its columns, each one array.
            numbers: places of their rows in the group; None if all rows are there.
        """
        size = len(next(iter(columns.values())))
        done, left = {}, {}
        for number, (column, name) in enumerate(zip(self._columns, self._schema.names, strict=True)):
            if column.is_alone:
                done[number] = column.split(0, columns[name])
            else:
                left[number] = columns[name]
        marks = {"row": np.arange(size) if numbers is None else numbers}
        return PackedGroup(self._slots.pack({**marks, **self._named(done.items())}, size), left)

    def _narrowed(self, columns: Mapping[str, pa.Array], rows: np.ndarray) -> tuple[PackedGroup, np.ndarray]:
        """Return the group, and the places of the rows in it; of one of which few are wanted, these alone are held."""
        if 2 * len(rows) >= len(next(iter(columns.values()))) or self._sequence is not None:
            return self.pack(columns), rows
        return self.pack({name: values.take(pa.array(rows)) for name, values in columns.items()}, rows), np.arange(len(rows))

    def take(self, repeats: np.ndarray | None = None) -> StepBatch:
        """Return the next batch, whose rows must all be there, and release the row groups that no later batch needs.

        Args:
            repeats: as in `StepRows`; None for 0.

        Raises:
            ValueError: more text or bytes than a batch can hold.
        """
        begin = self._next % self._capacity * self._rows
        parts = self._slots.take(slice(begin, begin + self._rows))
        tokens = readable = parts["token"]
        skipped = tokens < 0
        if skipped.any():
            tokens, readable = np.where(skipped, _SKIPPED - tokens, tokens), np.where(skipped, -1, tokens)
        numbers: dict[str, np.ndarray] = {}
        arrays: dict[str, pa.Array | Callable[[], pa.Array]] = {}
        try:
            for column, name, own_names in zip(self._columns, self._schema.names, self._names, strict=True):
                own = {part_name: parts[slot_name] for part_name, slot_name in own_names.items()}
                if not column.is_alone:
                    own = {"token": readable, "row": parts["row"], **own}
                found = column.numbers(own)
                if found is None:
                    arrays[name] = column.array(own)
                else:
                    numbers[name], arrays[name] = found, partial(column.array, own)
        except (pa.ArrowInvalid, pa.ArrowCapacityError) as error:
            raise ValueError(
                f"a batch of {self._rows} rows cannot be made, most likely because it holds more than 2 GiB of text or bytes: "
                f"{error}; take a smaller batch"
            ) from error
        copies = parts[_COPY].astype(np.int64) if self._has_copies else np.zeros(self._rows, np.int64)
        columns = BatchColumns(self._schema, arrays, numbers)
        repeats = np.zeros(self._rows, np.int64) if repeats is None else repeats
        rows = StepRows(self._groups[tokens], parts["row"].astype(np.int64), copies, repeats)
        self._release(tokens)
        self._next += 1
        return StepBatch(rows, skipped, columns)

    def _named(self, split: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, Any]:
        return {self._names[number][name]: part for number, parts in split for name, part in parts.items()}

    def _token(self, group: int) -> int:
        """Return the number by which a group is known until its last row is handed out."""
        token = self._tokens.pop() if self._tokens else len(self._pending)
        if token == len(self._groups):
            self._groups = np.append(self._groups, group)
        self._groups[token] = group
        return token

    def _release(self, tokens: np.ndarray) -> None:
        for token, count in enumerate(np.bincount(tokens).tolist()):
            if not count:
                continue
            self._pending[token] -= count
            if not self._pending[token]:
                del self._pending[token]
                self._tokens.append(token)
                for column in self._columns:
                    column.release(token)

    def _make_room(self, batch: int) -> None:
        wanted = batch - self._next + 1
        if wanted <= self._capacity:
            return
        capacity = wanted + self._capacity // 8
        kept = range(self._next, self._next + self._capacity)
        self._slots.resize(
            capacity * self._rows, [(self._slice(buffer, self._capacity), self._slice(buffer, capacity)) for buffer in kept]
        )
        self._capacity = capacity

    def _slice(self, batch: int, capacity: int) -> slice:
        begin = batch % capacity * self._rows
        return slice(begin, begin + self._rows)
