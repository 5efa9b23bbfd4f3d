"""Bytes that a row group's rows take as Arrow arrays, by what the file's footer says of it."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.schema.arrow import fixed_width

__all__ = ["arrow_bytes", "leaf_types"]

# Bytes of a value where the Arrow type is not known. A date of 96 bits becomes a timestamp of 64.
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}
_OFFSET = 4
# Encodings of text and bytes that take no less room than the values themselves.
_WHOLE = {"PLAIN", "RLE", "BIT_PACKED", "DELTA_LENGTH_BYTE_ARRAY"}


def leaf_types(schema: pa.Schema) -> list[pa.DataType]:
    """Return the types of the values of a file's column chunks, in their order."""
    return [leaf for field in schema for leaf in _leaves(field.type)]


def arrow_bytes(group: pq.RowGroupMetaData, leaves: Sequence[pa.DataType]) -> int | None:
    """Return the bytes of a row group's rows in memory, or None where its footer does not say it.

    It does not say it of text and bytes that lie in the file as a dictionary, or without what they share with the value before.

    Args:
        group: the row group.
        leaves: the file's, by `leaf_types`.
    """
    known = len(leaves) == group.num_columns
    sizes = [_chunk_bytes(group.column(index), leaves[index] if known else None) for index in range(group.num_columns)]
    return sum(size for size in sizes if size is not None) if None not in sizes else None


def _chunk_bytes(chunk: pq.ColumnChunkMetaData, kind: pa.DataType | None) -> int | None:
    values, stored = int(chunk.num_values), int(chunk.total_uncompressed_size)
    found = chunk.statistics
    bits = 0 if found is not None and found.has_null_count and not found.null_count else -(-values // 8)
    if "." in chunk.path_in_schema:
        # Of a list: no more of them than values, empty ones counted.
        bits += _OFFSET * values
    if kind is not None and pa.types.is_dictionary(kind):
        # Its dictionary stays one.
        return bits + _OFFSET * values + stored
    if chunk.physical_type == "BYTE_ARRAY" and (kind is None or fixed_width(kind) is None):
        return bits + _OFFSET * values + stored if set(chunk.encodings) <= _WHOLE else None
    width = (fixed_width(kind) if kind is not None else None) or _WIDTHS.get(chunk.physical_type)
    return bits + values * width if width is not None else bits + stored


def _leaves(kind: pa.DataType) -> list[pa.DataType]:
    if isinstance(kind, pa.BaseExtensionType):
        return _leaves(kind.storage_type)
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(field.type)]
    if pa.types.is_map(kind):
        return _leaves(kind.key_type) + _leaves(kind.item_type)
    return _leaves(kind.value_type) if pa.types.is_nested(kind) and not pa.types.is_union(kind) else [kind]
