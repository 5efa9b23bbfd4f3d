"""Bytes that a row group's rows take as Arrow arrays, by what the file's footer says of it."""

from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.dataset.parquet.thrift import I64, STRUCT, Fields, Thrift, key, list_key
from bigdata_ml.schema.arrow import fixed_width

__all__ = ["arrow_bytes", "leaf_types", "unencoded_bytes"]

# Numbers of fields in Parquet's footer: row groups, their chunks, what is said of one, its size statistics, bytes of text.
_GROUPS, _CHUNKS, _ABOUT, _SIZES, _UNENCODED = 4, 1, 3, 16, 1

# Bytes of a value where the Arrow type is not known. A date of 96 bits becomes a timestamp of 64.
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
_OFFSET = 4
# Encodings of text and bytes that take no less room than the values themselves.
_WHOLE = {"PLAIN", "RLE", "BIT_PACKED", "DELTA_LENGTH_BYTE_ARRAY"}


class Leaf(NamedTuple):
    """What a column chunk becomes: the type of its values, None where unknown, and the bytes of a row's offsets of lists."""

    kind: pa.DataType | None
    offsets: int


def leaf_types(schema: pa.Schema) -> list[Leaf]:
    """Return what a file's column chunks become, in their order."""
    return [leaf for field in schema for leaf in _leaves(field.type, 0)]


def unencoded_bytes(footer: bytes) -> list[list[int | None]]:
    """Return, by row group and column chunk, the bytes of text and bytes as they are once decoded; None where it is not said.

    pyarrow does not show Parquet's size statistics. The footer must have been checked.
    """
    thrift = Thrift(footer)
    for number, kind in thrift.fields():
        if number == _GROUPS:
            return [[_unencoded(chunk) for chunk in thrift.value(item)[list_key(_CHUNKS, STRUCT)]] for item in thrift.items()]
        thrift.value(kind)
    return []


def _unencoded(chunk: Fields) -> int | None:
    size = chunk[key(_ABOUT, STRUCT)].get(key(_SIZES, STRUCT), {}).get(key(_UNENCODED, I64))
    return size if isinstance(size, int) and size >= 0 else None


def arrow_bytes(group: pq.RowGroupMetaData, leaves: Sequence[Leaf], unencoded: Sequence[int | None]) -> int | None:
    """Return the bytes of a row group's rows in memory, or None where its footer does not say it.

    Without size statistics it does not say it of text and bytes that lie in the file as a dictionary, or without what they
    share with the value before.

    Args:
        group: the row group.
        leaves: the file's, by `leaf_types`.
        unencoded: the group's, by `unencoded_bytes`.
    """
    known = leaves if len(leaves) == group.num_columns else [Leaf(None, _OFFSET)] * group.num_columns
    sizes = [_chunk_bytes(group.column(index), leaf, unencoded[index], group.num_rows) for index, leaf in enumerate(known)]
    return sum(size for size in sizes if size is not None) if None not in sizes else None


def _chunk_bytes(chunk: pq.ColumnChunkMetaData, leaf: Leaf, unencoded: int | None, rows: int) -> int | None:
    values, stored, kind = int(chunk.num_values), int(chunk.total_uncompressed_size), leaf.kind
    statistics = chunk.statistics
    bits = 0 if statistics is not None and statistics.has_null_count and not statistics.null_count else -(-values // 8)
    bits += leaf.offsets * rows
    if kind is not None and pa.types.is_dictionary(kind):
        # Its dictionary stays one.
        return bits + _OFFSET * values + stored
    if chunk.physical_type == "BYTE_ARRAY" and (kind is None or fixed_width(kind) is None):
        size = unencoded if unencoded is not None else stored if set(chunk.encodings) <= _WHOLE else None
        return None if size is None else bits + _OFFSET * values + size
    width = (fixed_width(kind) if kind is not None else None) or _WIDTHS.get(chunk.physical_type)
    return bits + values * width if width is not None else bits + stored


def _leaves(kind: pa.DataType, offsets: int) -> list[Leaf]:
    if isinstance(kind, pa.BaseExtensionType):
        return _leaves(kind.storage_type, offsets)
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(field.type, offsets)]
    if pa.types.is_map(kind):
        return _leaves(kind.key_type, offsets + _OFFSET) + _leaves(kind.item_type, offsets)
    if pa.types.is_fixed_size_list(kind):
        return _leaves(kind.value_type, offsets)
    return (
        _leaves(kind.value_type, offsets + _OFFSET)
        if pa.types.is_list(kind) or pa.types.is_large_list(kind)
        else [Leaf(kind, offsets)]
    )
