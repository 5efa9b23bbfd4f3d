"""Converts columns to another type exactly; decimals become the nearest floating number.

`is_held_as` says which types a file may have for a field; the rules are those of `widening.py`.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bigdata_ml.schema.widening import common_type, plain_type

__all__ = ["converted", "is_held_as", "nearest_doubles", "refused_rows"]

# Whole numbers up to 2^53 and powers of ten up to 10^22 are doubles themselves, so that one division rounds once.
_MANTISSA, _TEN_POWERS = 53, 22


def is_held_as(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Return whether a column that a file holds as one type can be read as another, so that no value changes.

    >>> is_held_as(pa.large_string(), pa.string()), is_held_as(pa.int64(), pa.int32())
    (True, False)
    """
    if pa.types.is_dictionary(wanted):
        return bool(pa.types.is_dictionary(found) and plain_type(found).value_type == wanted.value_type)
    # Text and bytes are the same, whatever the width of their offsets.
    return _narrow(common_type(found, wanted)) == _narrow(wanted)


def converted(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column as another type that `is_held_as` allows.

    Raises:
        pa.ArrowInvalid: a value that the type does not hold exactly.
    """
    if column.type == kind:
        return column
    if isinstance(column, pa.ExtensionArray):
        return converted(column.storage, kind)
    if pa.types.is_decimal(column.type) and pa.types.is_floating(kind):
        return nearest_doubles(column).cast(kind)
    is_view = pa.types.is_list_view(column.type) or pa.types.is_large_list_view(column.type)
    if _is_list(column.type) and _is_list(kind) and (column.type.value_type != kind.value_type or is_view):
        return _with_values(column, kind.value_type).cast(kind)
    return column.cast(kind)


def refused_rows(column: pa.Array, kind: pa.DataType) -> np.ndarray:
    """Return the rows whose values `converted` refuses, ascending."""
    try:
        converted(column, kind)
    except pa.ArrowInvalid:
        if len(column) == 1:
            return np.zeros(1, np.int64)
        half = len(column) // 2
        first, second = refused_rows(column[:half], kind), refused_rows(column[half:], kind)
        return np.concatenate([first, second + half])
    return np.zeros(0, np.int64)


def nearest_doubles(column: pa.Array) -> pa.Array:
    """Return decimals as the nearest doubles, as `float(value)` gives them; Arrow's own cast rounds twice.

    >>> nearest_doubles(pa.array(["0.3333"]).cast(pa.decimal128(14, 4)))[0].as_py()
    0.3333
    """
    scale = column.type.scale
    if pa.types.is_decimal128(column.type) and 0 <= scale <= _TEN_POWERS and len(column):
        # Low and high word of each value.
        words = np.frombuffer(column.buffers()[1], np.int64)[2 * column.offset : 2 * (column.offset + len(column))]
        low, high = words[::2], words[1::2]
        known = np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False))
        small = (high == low >> 63) & (low <= 1 << _MANTISSA) & (low >= -1 << _MANTISSA)
        if (small | ~known).all():
            return pa.array(low / 10.0**scale, pa.float64(), mask=~known)
    return column.cast(pa.string()).cast(pa.float64())


def _with_values(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return lists with their values as another type; null lists stay null."""
    if pa.types.is_fixed_size_list(column.type):
        size = column.type.list_size
        values = converted(column.values.slice(column.offset * size, len(column) * size), kind)
        return pa.FixedSizeListArray.from_arrays(values, size, mask=pc.is_null(column))
    # Without what lies outside of a slice or in a null's place; Arrow's cast of views loses values beside nulls.
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))
    return pa.LargeListArray.from_arrays(offsets, converted(column.flatten(), kind), mask=pc.is_null(column))


def _narrow(kind: pa.DataType | None) -> pa.DataType | None:
    if kind == pa.large_string():
        return pa.string()
    if kind == pa.large_binary():
        return pa.binary()
    if kind is not None and pa.types.is_large_list(kind):
        return pa.list_(_narrow(kind.value_type))
    if kind is not None and pa.types.is_list(kind):
        return pa.list_(_narrow(kind.value_type))
    return kind


def _is_list(kind: pa.DataType) -> bool:
    checks = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_list_view)
    return any(check(kind) for check in (*checks, pa.types.is_large_list_view))
