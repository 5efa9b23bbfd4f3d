"""Arrow types as short text, so that a manifest can be read by eye and by any language."""

import re
from math import prod

import pyarrow as pa

__all__ = ["fixed_width", "type_from_text", "type_to_text"]

# Without those that Parquet gives back as another type: date64, times and timestamps in seconds.
_ALIASES = {
    str(kind): kind
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.null()),
        *(pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.date32()),
        *(pa.timestamp(unit) for unit in ("ms", "us", "ns")),
        *(pa.duration(unit) for unit in ("s", "ms", "us", "ns")),
        *(pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
    )
}
_TENSOR = re.compile(r"tensor<(.+)>\[([\d, ]+)\]")
_DECIMAL = re.compile(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)")
_DECIMALS = {"32": pa.decimal32, "64": pa.decimal64, "128": pa.decimal128, "256": pa.decimal256}
_TIMESTAMP = re.compile(r"timestamp\[(ms|us|ns), tz=(.+)\]")
_LIST = re.compile(r"(large_)?list<(.+)>(?:\[(\d+)\])?")
_FIXED_BINARY = re.compile(r"fixed_size_binary\[(\d+)\]")
_DICTIONARY = re.compile(r"dictionary<(.+)>")


def type_to_text(kind: pa.DataType) -> str:
    """Return the text of an Arrow type; `type_from_text` is its inverse.

    Dictionaries are written as their values' type would be, in `dictionary<…>`, since the index type is a matter of layout.

    Raises:
        ValueError: a type that datasets do not hold (structs, maps, unions, views), or that Parquet does not give back.

    >>> type_to_text(pa.fixed_shape_tensor(pa.uint8(), (8, 8, 1)))
    'tensor<uint8>[8, 8, 1]'
    """
    if isinstance(kind, pa.FixedShapeTensorType):
        return f"tensor<{type_to_text(kind.value_type)}>[{', '.join(map(str, kind.shape))}]"
    if pa.types.is_dictionary(kind):
        return f"dictionary<{type_to_text(kind.value_type)}>"
    if pa.types.is_fixed_size_list(kind):
        return f"list<{type_to_text(kind.value_type)}>[{kind.list_size}]"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        large = "large_" if pa.types.is_large_list(kind) else ""
        return f"{large}list<{type_to_text(kind.value_type)}>"
    text = str(kind)
    if not (text in _ALIASES or any(form.fullmatch(text) for form in (_DECIMAL, _TIMESTAMP, _FIXED_BINARY))):
        raise ValueError(
            f"a field of type {kind} cannot be held; flatten structs and maps into columns first, and use date32, "
            "milliseconds or finer times, and text or bytes that are no views"
        )
    return text


def type_from_text(text: str) -> pa.DataType:
    """Return the Arrow type that `type_to_text` wrote as `text`.

    Raises:
        ValueError: text that names no type this version knows.

    >>> type_from_text("timestamp[us, tz=UTC]")
    TimestampType(timestamp[us, tz=UTC])
    """
    if text in _ALIASES:
        return _ALIASES[text]
    if match := _TENSOR.fullmatch(text):
        return pa.fixed_shape_tensor(type_from_text(match[1]), [int(size) for size in match[2].split(",")])
    if match := _DECIMAL.fullmatch(text):
        return _DECIMALS[match[1]](int(match[2]), int(match[3]))
    if match := _TIMESTAMP.fullmatch(text):
        return pa.timestamp(match[1], tz=match[2])
    if match := _LIST.fullmatch(text):
        values = type_from_text(match[2])
        if match[3]:
            return pa.list_(values, int(match[3]))
        return pa.large_list(values) if match[1] else pa.list_(values)
    if match := _FIXED_BINARY.fullmatch(text):
        return pa.binary(int(match[1]))
    if match := _DICTIONARY.fullmatch(text):
        return pa.dictionary(pa.int32(), type_from_text(match[1]))
    raise ValueError(f"{text!r} names no type this version knows")


def fixed_width(kind: pa.DataType) -> int | None:
    """Return the bytes that every value of a type takes, or None where values differ: text, bytes, lists, nulls.

    >>> fixed_width(pa.fixed_shape_tensor(pa.uint8(), (8, 8, 1)))
    64
    """
    if isinstance(kind, pa.FixedShapeTensorType):
        return int(prod(kind.shape)) * (fixed_width(kind.value_type) or 0)
    if pa.types.is_fixed_size_list(kind):
        width = fixed_width(kind.value_type)
        return None if width is None else int(kind.list_size) * width
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return None
