"""Reads a row group only if its rows fit into memory: a file of a few KB may claim billions of rows."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bigdata_ml.dataset.parquet.file import parquet_file
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.errors import DatasetInvalid

__all__ = ["GROUP_BYTES", "read_rows", "refuse_large", "threads_within"]

GROUP_BYTES = 2 << 30
# Bytes of a value as Arrow holds it, at least; of text and bytes where they begin.
_WIDTHS = {
    "BOOLEAN": 0.125,
    "INT32": 1,
    "INT64": 8,
    "INT96": 8,
    "FLOAT": 4,
    "DOUBLE": 8,
    "BYTE_ARRAY": 4,
    "FIXED_LEN_BYTE_ARRAY": 1,
}
# Encodings whose values may be smaller in the file than in memory.
_SHARING = {"PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_BYTE_ARRAY"}


def read_rows(
    source: Any,
    metadata: pq.FileMetaData,
    group: int,
    *,
    where: str,
    limit: int,
    columns: Sequence[str] | None = None,
    memory_bytes: int | None = None,
    page_checksums: bool = False,
) -> pa.Table:
    """Return rows of a row group; nothing is allocated for one that needs more than `limit` bytes.

    The footer gives a lower bound. Dictionary-encoded text and bytes are counted while they are read.

    Args:
        source: the file.
        metadata: its footer.
        group: the row group's number.
        where: names it in messages.
        limit: bytes of Arrow arrays, at most.
        columns: those that are read; all by default.
        memory_bytes: what all columns take, if that was measured.
        page_checksums: see `parquet_file`.

    Raises:
        DatasetInvalid: it needs more.
        OSError, pa.ArrowException: it cannot be read.
    """
    chunks = _chunks(metadata, group, columns)
    least = refuse_large(metadata, group, where=where, limit=limit, columns=columns)
    file = parquet_file(source, metadata=metadata, page_checksums=page_checksums)
    options: dict[str, Any] = {"columns": None if columns is None else list(columns), "use_threads": False}
    shared = [chunk for chunk in chunks if chunk.physical_type == "BYTE_ARRAY" and _SHARING.intersection(chunk.encodings)]
    most = least + sum(chunk.num_values * chunk.total_uncompressed_size for chunk in shared)
    if memory_bytes is None and most > limit:
        longest = {chunk.path_in_schema: _longest(source, metadata, group, chunk) for chunk in shared}
        most = least + sum(chunk.num_values * longest[chunk.path_in_schema] + chunk.total_uncompressed_size for chunk in shared)
    if memory_bytes is not None or most <= limit:
        return file.read_row_group(group, **options)
    batches, total = [], 0
    # A batch is small against the limit even if all its values are the longest.
    for batch in file.iter_batches(max(1, limit // 8 // max(1, sum(longest.values()))), row_groups=[group], **options):
        total += batch.nbytes
        _refuse_above(limit, total, where)
        batches.append(batch)
    return pa.Table.from_batches(batches)


def refuse_large(metadata: pq.FileMetaData, group: int, *, where: str, limit: int, columns: Sequence[str] | None = None) -> int:
    """Return a lower bound of a row group's bytes in memory, from its footer; arguments as in `read_rows`.

    Raises:
        DatasetInvalid: they are more than `limit`.
    """
    least = int(sum(chunk.num_values * _WIDTHS[chunk.physical_type] for chunk in _chunks(metadata, group, columns)))
    _refuse_above(limit, least, where)
    return least


def _chunks(metadata: pq.FileMetaData, group: int, columns: Sequence[str] | None) -> list[pq.ColumnChunkMetaData]:
    """Return the column chunks of a row group, of those columns or of all."""
    about = metadata.row_group(group)
    chunks = [about.column(index) for index in range(about.num_columns)]
    if columns is None:
        return chunks
    names = tuple(f"{name}." for name in columns)
    return [chunk for chunk in chunks if f"{chunk.path_in_schema}.".startswith(names)]


def threads_within(groups: RowGroups, threads: int, *, limit: int) -> int:
    """Return how many row groups may be read at the same time, `threads` at most, if all together may take `limit` bytes."""
    largest = pc.max(groups.table["memory_bytes"]).as_py() or 1
    return max(1, min(threads, limit // max(1, largest)))


def _refuse_above(limit: int, needed: int, where: str) -> None:
    if needed > limit:
        raise DatasetInvalid(
            f"{where}: its rows take {needed} bytes or more in memory, above the limit of {limit}: write it with smaller row "
            f"groups, or say group_bytes={needed} or more when you open, adopt or validate it"
        )


def _longest(source: Any, metadata: pq.FileMetaData, group: int, chunk: pq.ColumnChunkMetaData) -> int:
    """Return the bytes of the longest value that a column chunk may hold."""
    most = int(chunk.total_uncompressed_size)
    if "DELTA_BYTE_ARRAY" in chunk.encodings:
        return most
    name = chunk.path_in_schema
    with pq.ParquetFile(source, metadata=metadata, pre_buffer=False, read_dictionary=[name]) as file:
        # With its first row the whole dictionary is read.
        first = next(file.iter_batches(1, row_groups=[group], columns=[name], use_threads=False), None)
    values = first.column(0) if first is not None else None
    while values is not None and (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)):
        values = values.values
    if values is None or not pa.types.is_dictionary(values.type):
        return most
    # Values outside of the dictionary take their own room in the file.
    return int(pc.max(pc.binary_length(values.dictionary)).as_py() or 0)
