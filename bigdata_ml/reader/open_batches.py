"""The batches that are being filled: rows are scattered into them as row groups arrive, each is handed out when it is full."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bigdata_ml.reader.slots import slots_for

__all__ = ["FullBatch", "OpenBatches"]

_MARKS = {"group": np.int64, "row": np.int64, "token": np.int64}
_SKIPPED = -1


@dataclass(frozen=True, slots=True)
class FullBatch:
    """The rows of one batch.

    Attributes:
        groups, rows: where each row came from: index of its row group, place in it; int64 [rows].
        skipped: whether its row group could not be read, bool [rows].
        columns: the values.
    """

    groups: np.ndarray
    rows: np.ndarray
    skipped: np.ndarray
    columns: pa.RecordBatch


class OpenBatches:
    """A ring of batches; batch i lies in the slots from (i mod capacity) × rows on, and grows where rows come from farther ahead.

    Args:
        schema: of the columns.
        rows: rows of a batch.
        first: number of the batch that is handed out first.
    """

    def __init__(self, schema: pa.Schema, rows: int, *, first: int = 0) -> None:
        self._schema = schema
        self._rows = rows
        self._next = first
        self._last = first - 1
        self._capacity = 0
        self._columns = {field.name: slots_for(field) for field in schema}
        self._marks = {name: np.zeros(0, dtype) for name, dtype in _MARKS.items()}
        self._pending: dict[int, int] = {}
        self._tokens: list[int] = []

    @property
    def held_rows(self) -> int:
        """Rows that came and were not handed out."""
        return sum(self._pending.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all slots; the buffers of row groups with long text or bytes come on top."""
        return sum(column.nbytes for column in self._columns.values()) + sum(mark.nbytes for mark in self._marks.values())

    @property
    def held_groups(self) -> int:
        """Row groups with rows that were not handed out."""
        return len(self._pending)

    def add(
        self, group: int, columns: Mapping[str, pa.Array] | None, rows: np.ndarray, batches: np.ndarray, places: np.ndarray
    ) -> None:
        """Scatter rows of a row group.

        Args:
            group: its index in the dataset.
            columns: its columns, each one array; None if it could not be read: zeros are put in place of its rows.
            rows: places in the group, int64 [count].
            batches: number of the batch that each row belongs to, the next one or later, int64 [count].
            places: its place there, int64 [count].
        """
        self._make_room(int(batches.max()))
        slots = batches % self._capacity * self._rows + places
        token = self._tokens.pop() if self._tokens else len(self._pending)
        self._marks["group"][slots] = group
        self._marks["row"][slots] = rows
        # A group that could not be read is marked by the sign.
        self._marks["token"][slots] = token if columns is not None else _SKIPPED - token
        for name, column in self._columns.items():
            if columns is None:
                column.clear(slots)
            else:
                column.scatter(token, columns[name], rows, slots)
        self._pending[token] = len(rows)

    def take(self) -> FullBatch:
        """Return the next batch, all of whose rows were added, and let go of row groups that it was the last to need.

        Raises:
            ValueError: more text or bytes than a batch can hold.
        """
        begin = self._next % self._capacity * self._rows
        part = slice(begin, begin + self._rows)
        try:
            columns = pa.RecordBatch.from_arrays(
                [self._columns[name].batch(part) for name in self._schema.names], schema=self._schema
            )
        except (pa.ArrowInvalid, pa.ArrowCapacityError) as error:
            raise ValueError(
                f"a batch of {self._rows} rows cannot be made, most likely because it holds more than 2 GiB of text or bytes: "
                f"{error}; take a smaller batch"
            ) from error
        tokens = self._marks["token"][part]
        full = FullBatch(self._marks["group"][part].copy(), self._marks["row"][part].copy(), tokens < 0, columns)
        self._release(np.where(tokens < 0, _SKIPPED - tokens, tokens))
        self._next += 1
        return full

    def _release(self, tokens: np.ndarray) -> None:
        for token, count in enumerate(np.bincount(tokens).tolist()):
            if not count:
                continue
            self._pending[token] -= count
            if not self._pending[token]:
                del self._pending[token]
                self._tokens.append(token)
                for column in self._columns.values():
                    column.release(token)

    def _make_room(self, batch: int) -> None:
        self._last = max(self._last, batch)
        wanted = self._last - self._next + 1
        if wanted <= self._capacity:
            return
        capacity = max(wanted, min(2 * self._capacity, wanted + 8))
        moves = [
            (self._slice(one, self._capacity), self._slice(one, capacity))
            for one in range(self._next, self._next + self._capacity)
            if self._capacity
        ]
        for column in self._columns.values():
            column.resize(capacity * self._rows, moves)
        for name, mark in self._marks.items():
            grown = np.empty(capacity * self._rows, mark.dtype)
            for old, new in moves:
                grown[new] = mark[old]
            self._marks[name] = grown
        self._capacity = capacity

    def _slice(self, batch: int, capacity: int) -> slice:
        begin = batch % capacity * self._rows
        return slice(begin, begin + self._rows)
