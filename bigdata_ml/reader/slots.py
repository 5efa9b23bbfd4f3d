"""Columns of rows in slots: written in any order as row groups arrive, read batch by batch.

A slot holds a value of fixed width: numbers and tensors themselves, text and bytes as Arrow's views of 16 bytes (values up to
12 bytes lie in the view, longer ones stay in the row group's own buffer), everything else as its row group and row. So a
row group is scattered by one assignment a column, and nothing is taken from chunked arrays (measured: benchmarks/gather.py).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Slots", "slots_for"]

_INLINE = 12


class Slots:
    """Slots of one column; subclasses say how values become fixed-width and back."""

    def __init__(self, field: pa.Field, arrays: Mapping[str, tuple[Any, tuple[int, ...]]]) -> None:
        self._field = field
        self._shapes = dict(arrays)
        if field.nullable:
            self._shapes["valid"] = (np.bool_, ())
        self._arrays = {name: np.zeros((0, *shape), dtype) for name, (dtype, shape) in self._shapes.items()}

    @property
    def nbytes(self) -> int:
        """Bytes that the slots take, row groups' own buffers left out."""
        return sum(array.nbytes for array in self._arrays.values())

    def resize(self, slots: int, moves: Iterable[tuple[slice, slice]]) -> None:
        """Make room for that many slots, moving the values of each (old, new) pair of slices."""
        moves = list(moves)
        for name, (dtype, shape) in self._shapes.items():
            grown = np.empty((slots, *shape), dtype)
            for old, new in moves:
                grown[new] = self._arrays[name][old]
            self._arrays[name] = grown

    def scatter(self, token: int, column: pa.Array, rows: np.ndarray, slots: np.ndarray) -> None:
        """Put `rows` of a row group's column into `slots`; `token` (0 …) is the group's name until `release`."""
        if self._field.nullable:
            valid = pc.is_valid(column).to_numpy(zero_copy_only=False)
            self._arrays["valid"][slots] = valid[rows] if column.null_count else True
        self._put(token, column, rows, slots)

    def clear(self, slots: np.ndarray) -> None:
        """Put zeros, empty text or lists, or null where the field is nullable, into `slots`."""
        for name, array in self._arrays.items():
            array[slots] = self._zero(name)

    def release(self, token: int) -> None:
        """Let go of what is held of a row group."""

    def batch(self, part: slice) -> pa.Array:
        """Return the values of consecutive slots as an array of its own memory and of the field's type."""
        raise NotImplementedError

    def _put(self, token: int, column: pa.Array, rows: np.ndarray, slots: np.ndarray) -> None:
        raise NotImplementedError

    def _zero(self, name: str) -> Any:
        return np.zeros((), self._shapes[name][0])

    def _validity(self, part: slice) -> pa.Buffer | None:
        if not self._field.nullable or self._arrays["valid"][part].all():
            return None
        return pa.py_buffer(np.packbits(self._arrays["valid"][part], bitorder="little"))


class _Fixed(Slots):
    """Values that all have one width."""

    def __init__(self, field: pa.Field) -> None:
        dtype, shape = _dtype_of(field.type)
        super().__init__(field, {"value": (dtype, shape)})

    def _put(self, token: int, column: pa.Array, rows: np.ndarray, slots: np.ndarray) -> None:  # noqa: ARG002
        self._arrays["value"][slots] = self._values(column)[rows]

    def _values(self, column: pa.Array) -> np.ndarray:
        dtype, shape = self._shapes["value"]
        if pa.types.is_boolean(column.type):
            return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False))
        if isinstance(column.type, pa.FixedShapeTensorType):
            storage = column.storage
            whole, begin = storage.values, storage.offset * int(np.prod(shape))
            return _buffer(whole, dtype, begin, len(column) * int(np.prod(shape))).reshape(-1, *shape)
        return _buffer(column, dtype, 0, len(column))

    def batch(self, part: slice) -> pa.Array:
        values, kind = self._arrays["value"][part], self._field.type
        if pa.types.is_boolean(kind):
            data = pa.py_buffer(np.packbits(values, bitorder="little"))
            return pa.Array.from_buffers(kind, len(values), [self._validity(part), data])
        data = pa.py_buffer(_bytes_of(values.copy()))
        if not isinstance(kind, pa.FixedShapeTensorType):
            return pa.Array.from_buffers(kind, len(values), [self._validity(part), data])
        flat = pa.Array.from_buffers(kind.value_type, values.size, [None, data])
        storage = pa.Array.from_buffers(kind.storage_type, len(values), [self._validity(part)], children=[flat])
        return pa.ExtensionArray.from_storage(kind, storage)


class _Views(Slots):
    """Text and bytes."""

    def __init__(self, field: pa.Field) -> None:
        super().__init__(field, {"view": (np.int32, (4,))})
        text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        self._view = pa.string_view() if text else pa.binary_view()
        # By place in the list, as the views name them; a released place is used again.
        self._empty = pa.py_buffer(b"")
        self._buffers: list[pa.Buffer] = []
        self._free: list[int] = []
        self._held: dict[int, list[int]] = {}

    def _put(self, token: int, column: pa.Array, rows: np.ndarray, slots: np.ndarray) -> None:
        views = column.cast(self._view)
        _, data, *buffers = views.buffers()
        taken = np.frombuffer(data, np.int32, len(views) * 4, views.offset * 16).reshape(-1, 4)[rows]
        long = taken[:, 0] > _INLINE
        if long.any():
            if token not in self._held:
                self._held[token] = [self._hold(buffer) for buffer in buffers]
            taken[long, 2] = np.array(self._held[token], np.int32)[taken[long, 2]]
        self._arrays["view"][slots] = taken

    def _hold(self, buffer: pa.Buffer) -> int:
        if not self._free:
            self._free.append(len(self._buffers))
            self._buffers.append(self._empty)
        place = self._free.pop()
        self._buffers[place] = buffer
        return place

    def release(self, token: int) -> None:
        for place in self._held.pop(token, []):
            self._buffers[place] = self._empty
            self._free.append(place)

    def batch(self, part: slice) -> pa.Array:
        views = self._arrays["view"][part].copy()
        if self._field.nullable:
            views[~self._arrays["valid"][part]] = 0
        array = pa.Array.from_buffers(self._view, len(views), [self._validity(part), pa.py_buffer(views), *self._buffers])
        # Copies the bytes, so the batch holds no row group's buffer.
        return array.cast(self._field.type)


class _Held(Slots):
    """Lists and everything else: the row group's array is held and its rows are taken batch by batch."""

    def __init__(self, field: pa.Field) -> None:
        super().__init__(field, {"token": (np.int64, ()), "row": (np.int64, ())})
        self._columns: dict[int, pa.Array] = {}

    def _put(self, token: int, column: pa.Array, rows: np.ndarray, slots: np.ndarray) -> None:
        self._columns[token] = column
        self._arrays["token"][slots] = token
        self._arrays["row"][slots] = rows

    def _zero(self, name: str) -> Any:
        return -1 if name == "token" else super()._zero(name)

    def release(self, token: int) -> None:
        self._columns.pop(token, None)

    def batch(self, part: slice) -> pa.Array:
        tokens, rows = self._arrays["token"][part], self._arrays["row"][part]
        pieces, places = [], []
        for token in np.unique(tokens).tolist():
            mine = np.flatnonzero(tokens == token)
            pieces.append(self._nothing(len(mine)) if token < 0 else self._columns[token].take(pa.array(rows[mine])))
            places.append(mine)
        whole = pa.concat_arrays(pieces)
        return whole if len(pieces) == 1 else whole.take(pa.array(np.argsort(np.concatenate(places), kind="stable")))

    def _nothing(self, rows: int) -> pa.Array:
        kind = self._field.type
        if self._field.nullable or pa.types.is_null(kind):
            return pa.nulls(rows, kind)
        if pa.types.is_dictionary(kind):
            return pa.nulls(rows, kind.value_type).fill_null(_zero_of(kind.value_type)).cast(kind)
        return pa.array([_zero_of(kind)] * rows, kind)


def slots_for(field: pa.Field) -> Slots:
    """Return empty slots for a field's values."""
    kind = field.type
    if isinstance(kind, pa.FixedShapeTensorType):
        return _Fixed(field)
    if any(check(kind) for check in (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)):
        return _Views(field)
    if pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_fixed_size_binary(kind):
        return _Fixed(field)
    return _Held(field)


def _dtype_of(kind: pa.DataType) -> tuple[Any, tuple[int, ...]]:
    if isinstance(kind, pa.FixedShapeTensorType):
        return _dtype_of(kind.value_type)[0], tuple(kind.shape)
    if pa.types.is_boolean(kind):
        return np.bool_, ()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype()), ()
    width = kind.bit_width // 8
    return np.dtype(f"i{width}") if pa.types.is_temporal(kind) else np.dtype(f"V{width}"), ()


def _buffer(column: pa.Array, dtype: Any, begin: int, values: int) -> np.ndarray:
    """Return values of an array's data buffer, its offset heeded."""
    data = column.buffers()[1]
    if not values:
        return np.zeros(values, dtype)
    return np.frombuffer(data, dtype, values, (column.offset + begin) * np.dtype(dtype).itemsize)


def _bytes_of(values: np.ndarray) -> np.ndarray:
    # numpy's void values export no buffer format that Arrow takes.
    return values.view(np.uint8) if values.dtype.kind == "V" else values


def _zero_of(kind: pa.DataType) -> Any:
    if pa.types.is_fixed_size_list(kind):
        return [_zero_of(kind.value_type)] * kind.list_size
    if pa.types.is_nested(kind):
        return []
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return ""
    return b"" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else 0
