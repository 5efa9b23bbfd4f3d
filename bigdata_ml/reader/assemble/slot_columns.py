"""Columns of Arrow as values of fixed width, and back: what a slot of an open batch holds of each.

Numbers and tensors are held themselves. Text and bytes are held as Arrow's views of 16 bytes (values up to 12 bytes lie in the
view, longer ones stay in the row group's own buffer), everything else as its row group and row.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["SequenceColumn", "SlotColumn", "numbers_of", "sequence_type", "slot_column"]

_INLINE = 12
Parts = dict[str, np.ndarray]


class SlotColumn(ABC):
    """One column; subclasses say which parts a value of it has.

    Attributes:
        parts: dtype of each part of a value.
        is_alone: whether the parts are all there is, and name no row group: they can be made before it has a token.
    """

    is_alone = False

    def __init__(self, field: pa.Field, parts: Mapping[str, Any]) -> None:
        self._field = field
        self.parts = {name: np.dtype(part) for name, part in parts.items()}
        if field.nullable:
            self.parts["valid"] = np.dtype(bool)

    def split(self, token: int, column: pa.Array) -> Parts:
        """Return the parts of all values of a row group; `token` (0 …) is the group's name until `release`."""
        parts = self._split(token, column)
        if self._field.nullable:
            parts["valid"] = pc.is_valid(column).to_numpy(zero_copy_only=False)
        return parts

    def nothing(self, rows: int) -> Parts:
        """Return the parts of so many zeros, empty texts or empty lists, or nulls where the field is nullable."""
        return {name: np.zeros(rows, part) for name, part in self.parts.items()}

    def release(self, token: int) -> None:  # noqa: B027
        """Let go of what is held of a row group; numbers hold nothing."""

    @abstractmethod
    def array(self, parts: Parts) -> pa.Array:
        """Return an array of the field's type; it takes the parts' memory over."""

    def numbers(self, parts: Parts) -> np.ndarray | None:  # noqa: ARG002
        """Return the values as they lie where they are numbers, or tensors of them, without nulls: they need no Arrow array."""
        return None

    @abstractmethod
    def _split(self, token: int, column: pa.Array) -> Parts: ...

    def _validity(self, parts: Parts) -> pa.Buffer | None:
        if not self._field.nullable or parts["valid"].all():
            return None
        return pa.py_buffer(np.packbits(parts["valid"], bitorder="little"))


class _Fixed(SlotColumn):
    """Values that all have one width."""

    is_alone = True

    def __init__(self, field: pa.Field) -> None:
        super().__init__(field, {"value": _dtype_of(field.type)})
        kind = field.type
        if isinstance(kind, pa.FixedShapeTensorType):
            kind = kind.value_type if kind.permutation is None else None
        self._is_number = kind is not None and (pa.types.is_integer(kind) or pa.types.is_floating(kind))

    def _split(self, token: int, column: pa.Array) -> Parts:  # noqa: ARG002
        kind, dtype = column.type, self.parts["value"]
        if pa.types.is_boolean(kind):
            return {"value": np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False))}
        if not isinstance(kind, pa.FixedShapeTensorType):
            return {"value": _buffer(column, dtype, 0, len(column))}
        size = int(np.prod(dtype.shape))
        values = _buffer(column.storage.values, dtype.base, column.storage.offset * size, len(column) * size)
        return {"value": values.reshape(-1, *dtype.shape)}

    def numbers(self, parts: Parts) -> np.ndarray | None:
        return parts["value"] if self._is_number and self._validity(parts) is None else None

    def array(self, parts: Parts) -> pa.Array:
        values, kind, validity = parts["value"], self._field.type, self._validity(parts)
        if pa.types.is_boolean(kind):
            return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(np.packbits(values, bitorder="little"))])
        # numpy's void values export no format that Arrow takes.
        data = pa.py_buffer(values.view(np.uint8) if values.dtype.kind == "V" else values)
        if not isinstance(kind, pa.FixedShapeTensorType):
            return pa.Array.from_buffers(kind, len(values), [validity, data])
        flat = pa.Array.from_buffers(kind.value_type, values.size, [None, data])
        storage = pa.Array.from_buffers(kind.storage_type, len(values), [validity], children=[flat])
        return pa.ExtensionArray.from_storage(kind, storage)


class _Views(SlotColumn):
    """Text and bytes."""

    def __init__(self, field: pa.Field) -> None:
        super().__init__(field, {"view": "V16"})
        text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        self._view = pa.string_view() if text else pa.binary_view()
        # By place in the list, as the views name them; a released place is used again.
        self._empty = pa.py_buffer(b"")
        self._buffers: list[pa.Buffer] = []
        self._free: list[int] = []
        self._held: dict[int, list[int]] = {}

    def _split(self, token: int, column: pa.Array) -> Parts:
        views = column.cast(self._view)
        _, data, *buffers = views.buffers()
        words = np.frombuffer(data, np.int32, len(views) * 4, views.offset * 16).reshape(-1, 4)
        # What stands in the place of a null may be anything.
        long = (words[:, 0] > _INLINE) & pc.is_valid(views).to_numpy(zero_copy_only=False)
        if long.any():
            words = words.copy()
            self._held[token] = [self._hold(buffer) for buffer in buffers]
            words[long, 2] = np.array(self._held[token], np.int32)[words[long, 2]]
        return {"view": words.view("V16")[:, 0]}

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

    def array(self, parts: Parts) -> pa.Array:
        views = parts["view"].view(np.int32).reshape(-1, 4)
        if self._field.nullable:
            views[~parts["valid"]] = 0
        buffers = [self._validity(parts), pa.py_buffer(views), *self._buffers]
        # The cast copies the bytes, so the batch holds no row group's buffer.
        return pa.Array.from_buffers(self._view, len(views), buffers).cast(self._field.type)


class _Held(SlotColumn):
    """Lists and everything else: the row group's array is held and its rows are taken batch by batch."""

    def __init__(self, field: pa.Field) -> None:
        super().__init__(field, {"token": np.int64, "row": np.int64})
        self._columns: dict[int, pa.Array] = {}

    def _split(self, token: int, column: pa.Array) -> Parts:
        self._columns[token] = column
        return {"token": np.full(len(column), token), "row": np.arange(len(column))}

    def nothing(self, rows: int) -> Parts:
        return {**super().nothing(rows), "token": np.full(rows, -1)}

    def release(self, token: int) -> None:
        self._columns.pop(token, None)

    def array(self, parts: Parts) -> pa.Array:
        tokens, rows = parts["token"], parts["row"]
        pieces, places = [], []
        for token in np.unique(tokens).tolist():
            places_of_token = np.flatnonzero(tokens == token)
            pieces.append(
                self._nothing(len(places_of_token)) if token < 0 else self._columns[token].take(pa.array(rows[places_of_token]))
            )
            places.append(places_of_token)
        whole = pa.concat_arrays(pieces)
        return whole if len(pieces) == 1 else whole.take(pa.array(np.argsort(np.concatenate(places), kind="stable")))

    def _nothing(self, rows: int) -> pa.Array:
        kind = self._field.type
        if self._field.nullable or pa.types.is_null(kind):
            return pa.nulls(rows, kind)
        if pa.types.is_dictionary(kind):
            return pa.nulls(rows, kind.value_type).fill_null(_zero_of(kind.value_type)).cast(kind)
        return pa.array([_zero_of(kind)] * rows, kind)


class SequenceColumn(_Held):
    """Sequences of so many values that follow one another: a slot's token and row, which are the batch's marks, say where."""

    def __init__(self, field: pa.Field, length: int) -> None:
        super().__init__(field)
        self.parts = {}
        self._length = length

    def split(self, token: int, column: pa.Array) -> Parts:
        """Hold the column."""
        self._columns[token] = column
        return {}

    def nothing(self, rows: int) -> Parts:  # noqa: ARG002
        """Return no parts, for there are none."""
        return {}

    def array(self, parts: Parts) -> pa.Array:
        """Return an array of lists of the length; `parts` are the marks."""
        steps = np.arange(self._length)
        flat = {
            "token": np.repeat(parts["token"], self._length),
            "row": (parts["row"].astype(np.int64)[:, None] + steps).reshape(-1),
        }
        values = super().array(flat)
        return pa.FixedSizeListArray.from_arrays(values, type=sequence_type(self._field, self._length))


def numbers_of(column: pa.Array) -> np.ndarray | None:
    """Return numbers, or tensors of them [rows, *shape], in the column's memory; None of others, or with nulls."""
    kind = column.type
    if column.null_count:
        return None
    if isinstance(kind, pa.FixedShapeTensorType):
        return None if pa.types.is_boolean(kind.value_type) else np.asarray(column.to_numpy_ndarray())
    return np.asarray(column.to_numpy()) if pa.types.is_integer(kind) or pa.types.is_floating(kind) else None


def sequence_type(field: pa.Field, length: int) -> pa.DataType:
    """Return the type of sequences of a field's values."""
    return pa.list_(pa.field("item", field.type, nullable=field.nullable), length)


def slot_column(field: pa.Field) -> SlotColumn:
    """Return how a field's values are held."""
    kind = field.type
    if isinstance(kind, pa.FixedShapeTensorType):
        # Arrow packs booleans into bits.
        return _Held(field) if pa.types.is_boolean(kind.value_type) else _Fixed(field)
    if any(check(kind) for check in (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)):
        return _Views(field)
    if pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_fixed_size_binary(kind):
        return _Fixed(field)
    return _Held(field)


def _dtype_of(kind: pa.DataType) -> np.dtype[Any]:
    if isinstance(kind, pa.FixedShapeTensorType):
        return np.dtype((_dtype_of(kind.value_type), tuple(kind.shape)))
    if pa.types.is_boolean(kind):
        return np.dtype(bool)
    width = kind.bit_width // 8
    if pa.types.is_integer(kind):
        return np.dtype(str(kind))
    if pa.types.is_floating(kind):
        return np.dtype(f"f{width}")
    return np.dtype(f"i{width}") if pa.types.is_temporal(kind) else np.dtype(f"V{width}")


def _buffer(column: pa.Array, dtype: np.dtype[Any], begin: int, values: int) -> np.ndarray:
    """Return values of an array's data buffer, its offset heeded."""
    if not values:
        return np.zeros(0, dtype)
    return np.frombuffer(column.buffers()[1], dtype, values, (column.offset + begin) * dtype.itemsize)


def _zero_of(kind: pa.DataType) -> Any:
    if pa.types.is_fixed_size_list(kind):
        return [_zero_of(kind.value_type)] * kind.list_size
    if pa.types.is_nested(kind):
        return []
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return ""
    return b"" if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else 0
