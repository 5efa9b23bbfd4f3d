"""Slots: places for rows of fixed width, written in any order and read one stretch at a time.

The narrow parts of a row lie together in one record, so that a row group is scattered by one assignment of whole records,
not by one a column: 28 against 122 µs a column of 8,192 rows, packing included. Wide parts, tensors, have arrays of their own.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Packed", "Slots"]

_NARROW = 64
# Bytes of records that are packed together: a processor's cache holds them while part after part is put in. Fewer were slower,
# since the threads take turns at Python's lock more often.
_TOGETHER = 4 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows side by side: their narrow parts as records [rows], at the beginning of a room, the wide ones as arrays by name."""

    room: np.ndarray
    records: np.ndarray
    wide: dict[str, np.ndarray]

    def set(self, name: str, values: Any) -> None:
        """Set a part of all rows, to an array or one number."""
        if name in (self.records.dtype.names or ()):
            self.records[name] = values
        else:
            self.wide[name] = values


class Slots:
    """Rows of parts, each of a dtype of its own.

    Args:
        parts: dtype by name.
    """

    def __init__(self, parts: Mapping[str, np.dtype[Any]]) -> None:
        narrow = sorted(
            (item for item in parts.items() if item[1].itemsize <= _NARROW), key=lambda item_of_parts: -item_of_parts[1].itemsize
        )
        self._record = np.dtype([(name, part) for name, part in narrow], align=True)
        self._whole = np.dtype((np.void, self._record.itemsize))
        self._records = np.empty(0, self._whole)
        # Memory of packed rows that were scattered, for the next ones: asking for it anew costs more than the packing.
        self._spare: list[np.ndarray] = []
        self._wide = {name: np.empty(0, part) for name, part in parts.items() if part.itemsize > _NARROW}

    @property
    def nbytes(self) -> int:
        """Bytes of all slots."""
        return self._records.nbytes + sum(array.nbytes for array in self._wide.values())

    def resize(self, slots: int, moves: Iterable[tuple[slice, slice]]) -> None:
        """Make room for that many slots, moving the rows of each (old, new) pair of stretches."""
        moves = list(moves)
        self._records = _grown(self._records, slots, moves)
        self._wide = {name: _grown(array, slots, moves) for name, array in self._wide.items()}

    def pack(self, parts: Mapping[str, Any], rows: int) -> Packed:
        """Return rows side by side, for `scatter`; may be called by several threads at once.

        Args:
            parts: by name: arrays, or one number for all rows. What is missing is to be set afterwards.
            rows: how many.
        """
        room = self._room(rows)
        records = room[:rows]
        step = max(1, _TOGETHER // max(1, self._record.itemsize))
        for begin in range(0, rows, step):
            some = slice(begin, begin + step)
            for name in self._record.names or ():
                if name in parts:
                    records[name][some] = _at(parts[name], some)
        return Packed(room, records, {name: parts[name] for name in self._wide if name in parts})

    def scatter(self, packed: Packed, rows: np.ndarray, slots: np.ndarray) -> None:
        """Put some of the packed rows, by their places, into slots, int64 [count] both; they are not there any more then."""
        if not len(rows):
            return
        # In the order in which they are packed, so that they are read from front to end.
        rows, slots = _by_row(rows, slots)
        begin, end = int(rows[0]), int(rows[-1]) + 1
        places = slice(begin, end) if end - begin == len(rows) and (np.diff(rows) == 1).all() else rows
        for name, array in self._wide.items():
            array[slots] = _at(packed.wide[name], places)
        self._records[slots] = packed.records.view(self._whole)[places]
        self._spare.append(packed.room)

    def _room(self, rows: int) -> np.ndarray:
        # Taken in one step, since several threads may ask.
        with suppress(IndexError):
            room = self._spare.pop()
            if len(room) >= rows:
                return room
        return np.empty(rows, self._record)

    def add_part(self, name: str, part: np.dtype[Any]) -> None:
        """Add a part, of zeros in all slots; it has an array of its own, however narrow it is."""
        self._wide[name] = np.zeros(len(self._records), part)

    def put(self, name: str, values: np.ndarray, slots: np.ndarray) -> None:
        """Put values of a part with an array of its own into slots that hold rows already, int64 [count] both."""
        self._wide[name][slots] = values

    def take(self, part: slice) -> dict[str, np.ndarray]:
        """Return the parts of a stretch of slots, in memory of their own."""
        records = self._records[part].view(self._record)
        narrow = {name: records[name].copy() for name in self._record.names or ()}
        return {**narrow, **{name: array[part].copy() for name, array in self._wide.items()}}


def _grown(array: np.ndarray, slots: int, moves: list[tuple[slice, slice]]) -> np.ndarray:
    grown = np.zeros((slots, *array.shape[1:]), array.dtype)
    for old, new in moves:
        grown[new] = array[old]
    return grown


def _by_row(rows: np.ndarray, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both in ascending order of the rows."""
    begin, end = int(rows.min()), int(rows.max()) + 1
    slot_of = np.full(end - begin, -1, np.int64)
    slot_of[rows - begin] = slots
    filled = np.flatnonzero(slot_of >= 0)
    if len(filled) == len(rows):
        return filled + begin, slot_of[filled]
    # A row that goes into several slots.
    order = np.argsort(rows, kind="stable")
    return rows[order], slots[order]


def _at(part: Any, places: Any) -> Any:
    return part[places] if np.ndim(part) else part
