"""Which Arrow types are one type in other words, and which type holds the values of two: compared as types, not as text.

`plain_type` is what a column is without hints that only Arrow knows:

| the file says | read as |
|---|---|
| `string_view`, `binary_view`, `list_view`, `large_list_view` | `string`, `binary`, `list`, `large_list` |
| an extension type, such as UUID, JSON, bool8 or one of another library | the type it is stored as: 16 bytes, text, `int8`, … |
| `fixed_shape_tensor`, `dictionary` | itself |
| anything else | itself; the values of lists, structs and maps by this table |

`common_type` is the type of a column that files hold in several types. A value that does not fit is refused when it is read:

| of | common type |
|---|---|
| equal types, however their lists call and mark their items | that type |
| `null` and any type | that type, with nulls |
| `string`, `large_string`, `dictionary` of text | `large_string` if one is large, else `string` |
| `binary`, `large_binary`, fixed-size binaries of several sizes | `large_binary` if one is large, else `binary` |
| integers | the narrowest integer that holds both; none for `uint64` and a signed one |
| floating types | the wider one |
| an integer and a floating type | the narrowest floating type that holds both; of 64 bits `double`, where each value must fit |
| decimals, or a decimal and an integer | the decimal with the digits of both on either side of the point, up to 76 |
| a decimal and a floating type | `double`, each decimal the nearest one, as every decimal is handed out |
| timestamps of one kind (with or without a time zone); times; durations | the finer unit; the common time zone, else UTC |
| lists, of fixed or any size, and tensors | a list of the common type of their values; of fixed size if both are of that size |
| structs with the same names; maps | of the common types of their values |
| anything else | none |
"""

from functools import reduce

import pyarrow as pa

__all__ = ["common_type", "plain_type"]

_UNITS = ("s", "ms", "us", "ns")
# Decimal digits of the integers of so many bits, and bits of the integers that a floating type of so many bits holds.
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 20}
_EXACT = {16: 11, 32: 24, 64: 53}
_FLOATING = {16: pa.float16(), 32: pa.float32(), 64: pa.float64()}


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return what a column of a type is without hints that only Arrow knows; see the first table above.

    >>> plain_type(pa.uuid())
    FixedSizeBinaryType(fixed_size_binary[16])
    """
    if isinstance(kind, pa.FixedShapeTensorType):
        return kind
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_list_view(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_large_list_view(kind):
        return pa.large_list(plain_type(kind.value_type))
    if pa.types.is_dictionary(kind):
        values = plain_type(kind.value_type)
        return kind if values == kind.value_type else pa.dictionary(kind.index_type, values, kind.ordered)
    if _is_list(kind):
        return _as_list(kind, plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([child.with_type(plain_type(child.type)) for child in kind])
    if pa.types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    return kind


def common_type(*kinds: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of all the types, by the second table above; None where there is none.

    >>> common_type(pa.int32(), pa.int64()), common_type(pa.int32(), pa.string())
    (DataType(int64), None)
    """
    return reduce(lambda first, other: None if first is None else _common(first, other), map(plain_type, kinds))


def _common(first: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if first == other:
        return first
    if pa.types.is_null(first) or pa.types.is_null(other):
        return other if pa.types.is_null(first) else first
    if pa.types.is_dictionary(first) or pa.types.is_dictionary(other):
        return _common(*(kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (first, other)))
    for common in (_text, _number, _time, _nested):
        common_kind = common(first, other)
        if common_kind is not None:
            return common_kind
    return None


def _text(first: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if all(pa.types.is_string(kind) or pa.types.is_large_string(kind) for kind in (first, other)):
        return pa.large_string()
    if all(map(_is_binary, (first, other))):
        return pa.large_binary() if pa.large_binary() in (first, other) else pa.binary()
    return None


def _number(first: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    kinds = (first, other)
    whole = [kind for kind in kinds if pa.types.is_integer(kind)]
    floating = [kind for kind in kinds if pa.types.is_floating(kind)]
    decimal = [kind for kind in kinds if pa.types.is_decimal(kind)]
    if len(whole) == 2:
        return _integer(first, other)
    if len(floating) == 2:
        return max(floating, key=lambda kind: int(kind.bit_width))
    if whole and floating:
        bits = whole[0].bit_width - pa.types.is_signed_integer(whole[0])
        fits = (kind for width, kind in _FLOATING.items() if width >= floating[0].bit_width and _EXACT[width] >= bits)
        return next(fits, pa.float64())
    if decimal and floating:
        return pa.float64()
    if len(decimal) + len(whole) == 2:
        return _decimal(first, other)
    return None


def _integer(first: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    signed = [kind for kind in (first, other) if pa.types.is_signed_integer(kind)]
    if len(signed) != 1:
        return max((first, other), key=lambda kind: int(kind.bit_width))
    unsigned = first if signed[0] == other else other
    bits = max(signed[0].bit_width, 2 * unsigned.bit_width)
    return {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}.get(bits)


def _decimal(first: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    digits = [
        (_DIGITS[kind.bit_width] - (kind == pa.int64()), 0)
        if pa.types.is_integer(kind)
        else (kind.precision - kind.scale, kind.scale)
        for kind in (first, other)
    ]
    before, after = (max(part) for part in zip(*digits, strict=True))
    if before + after > 76:
        return None
    wide = before + after > 38 or any(pa.types.is_decimal256(kind) for kind in (first, other))
    return (pa.decimal256 if wide else pa.decimal128)(before + after, after)


def _time(first: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if all(pa.types.is_timestamp(kind) for kind in (first, other)):
        if (first.tz is None) != (other.tz is None):
            return None
        return pa.timestamp(_finer(first, other), tz=first.tz if first.tz == other.tz else "UTC")
    if all(pa.types.is_time(kind) for kind in (first, other)):
        unit = _finer(first, other)
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    if all(pa.types.is_duration(kind) for kind in (first, other)):
        return pa.duration(_finer(first, other))
    if all(pa.types.is_date(kind) for kind in (first, other)):
        return pa.date32()
    return None


def _finer(first: pa.DataType, other: pa.DataType) -> str:
    return _UNITS[max(_UNITS.index(first.unit), _UNITS.index(other.unit))]


def _nested(first: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    first, other = (kind.storage_type if isinstance(kind, pa.FixedShapeTensorType) else kind for kind in (first, other))
    if _is_list(first) and _is_list(other):
        values = _common(first.value_type, other.value_type)
        if values is None:
            return None
        if pa.types.is_fixed_size_list(first) and pa.types.is_fixed_size_list(other) and first.list_size == other.list_size:
            return pa.list_(values, first.list_size)
        return pa.large_list(values) if any(map(pa.types.is_large_list, (first, other))) else pa.list_(values)
    if pa.types.is_map(first) and pa.types.is_map(other):
        key, item = _common(first.key_type, other.key_type), _common(first.item_type, other.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    if pa.types.is_struct(first) and pa.types.is_struct(other):
        other_fields = {field.name: field.type for field in other}
        if {field.name for field in first} != set(other_fields) or first.num_fields != other.num_fields:
            return None
        common = [(field.name, _common(field.type, other_fields[field.name])) for field in first]
        return None if any(kind is None for _, kind in common) else pa.struct(common)
    return None


def _as_list(kind: pa.DataType, values: pa.DataType) -> pa.DataType:
    """Return a list type of those values, of the kind and size of another; its items are called and marked as Arrow does."""
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(values, kind.list_size)
    return pa.large_list(values) if pa.types.is_large_list(kind) else pa.list_(values)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))
