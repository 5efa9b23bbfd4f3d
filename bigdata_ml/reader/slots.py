"""Slots: places for rows of fixed width, written in any order and read one stretch at a time.

The narrow parts of a row lie together in one record, so that a row group is scattered by one assignment of whole records,
not by one a column: 28 against 122 µs a column of 8,192 rows, packing included. Wide parts, tensors, have arrays of their own.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

__all__ = ["Slots"]

_NARROW = 64


class Slots:
    """Rows of parts, each of a dtype of its own.

    Args:
        parts: dtype by name.
    """

    def __init__(self, parts: Mapping[str, np.dtype[Any]]) -> None:
        narrow = sorted((one for one in parts.items() if one[1].itemsize <= _NARROW), key=lambda one: -one[1].itemsize)
        self._record = np.dtype([(name, part) for name, part in narrow], align=True)
        self._whole = np.dtype((np.void, self._record.itemsize))
        self._records = np.empty(0, self._whole)
        self._packed = np.empty(0, self._record)
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

    def scatter(self, parts: Mapping[str, Any], rows: np.ndarray, slots: np.ndarray) -> None:
        """Put rows into slots.

        Args:
            parts: all parts by name: arrays, or one number for all rows.
            rows: places in those arrays, int64 [count].
            slots: int64 [count].
        """
        if not len(rows):
            return
        # In the arrays' order, so that they are read from front to end and, where all rows are wanted, as they are.
        order = np.argsort(rows.astype(np.uint16) if rows.max() < 1 << 16 else rows, kind="stable")
        rows, slots = rows[order], slots[order]
        begin, end = int(rows[0]), int(rows[-1]) + 1
        places: slice | np.ndarray = slice(begin, end) if (np.diff(rows) == 1).all() else rows
        for name, array in self._wide.items():
            array[slots] = _at(parts[name], places)
        if len(self._packed) < len(rows):
            self._packed = np.empty(len(rows), self._record)
        packed = self._packed[: len(rows)]
        for name in self._record.names or ():
            packed[name] = _at(parts[name], places)
        self._records[slots] = packed.view(self._whole)

    def put(self, name: str, values: np.ndarray, slots: np.ndarray) -> None:
        """Put values of one narrow part into slots that hold rows already, int64 [count] both."""
        self._records.view(self._record)[name][slots] = values

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


def _at(part: Any, places: Any) -> Any:
    return part[places] if np.ndim(part) else part
