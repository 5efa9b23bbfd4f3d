"""Footers of Parquet files: schema, row groups, and a digest that detects a replaced file."""

from collections.abc import Iterable, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from bigdata_ml.dataset.layout import split_of
from bigdata_ml.dataset.parquet.arrow_bytes import arrow_bytes, leaf_types, unencoded_bytes
from bigdata_ml.dataset.parquet.file import parquet_file
from bigdata_ml.dataset.parquet.footer_check import check_footer
from bigdata_ml.dataset.parquet.unsupported import unsupported_columns
from bigdata_ml.errors import DatasetInvalid, SchemaMismatch
from bigdata_ml.storage import Location

__all__ = ["FileEnd", "Footer", "byte_range", "parse_summary", "read_end", "read_footers", "read_metadata"]

_MAGIC = b"PAR1"
_TAIL = 1 << 16


@dataclass(frozen=True, slots=True)
class Footer:
    """What one Parquet file says of itself: its Arrow schema, and a record per row group.

    Columns `with_nulls` hold nulls, or may and do not say; those in `counted_nulls` say that they do. What Parquet calls
    required holds none.
    """

    path: str
    schema: pa.Schema
    records: tuple[dict[str, Any], ...]
    with_nulls: frozenset[str]
    counted_nulls: frozenset[str]


def byte_range(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """Return (offset, length) in bytes of a row group in its file: all its column chunks, dictionary pages included."""
    begin, end = 2**63, 0
    for index in range(group.num_columns):
        chunk = group.column(index)
        first = chunk.data_page_offset
        if chunk.has_dictionary_page and chunk.dictionary_page_offset:
            first = min(first, chunk.dictionary_page_offset)
        begin, end = min(begin, first), max(end, first + chunk.total_compressed_size)
    return (begin, end - begin) if group.num_columns else (4, 0)


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The end of a Parquet file, which is checked but not parsed yet, and the xxh3-128 of its bytes outside the row groups."""

    tail: bytes
    checksum: str

    @property
    def footer(self) -> bytes:
        """The file's metadata as they lie in it."""
        return self.tail[-8 - int.from_bytes(self.tail[-8:-4], "little") : -8]

    def parse(self) -> pq.FileMetaData:
        """Return the file's metadata."""
        return pq.read_metadata(pa.BufferReader(self.tail))


def read_metadata(stream: pa.NativeFile) -> tuple[pq.FileMetaData, str]:
    """Return a file's metadata and the checksum of its `FileEnd`, in one or two reads.

    Raises:
        OSError, pa.ArrowException: no whole Parquet file.
    """
    end = read_end(stream)
    return end.parse(), end.checksum


def parse_summary(data: bytes) -> pq.FileMetaData:
    """Return the metadata of a file without rows of its own, such as `_common_metadata`.

    Raises:
        OSError, pa.ArrowException: no whole Parquet file.
    """
    length = int.from_bytes(data[-8:-4], "little") + 8
    if len(data) < 12 or data[-4:] != _MAGIC or length > len(data):
        raise OSError(f"its {len(data)} bytes do not end as a Parquet file's do")
    check_footer(data[len(data) - length : -8], end=None)
    return pq.read_metadata(pa.BufferReader(data))


def read_end(stream: pa.NativeFile) -> FileEnd:
    """Return the end of a file, which pyarrow can parse without harm: see `footer_check`.

    Raises:
        OSError: no whole Parquet file.
    """
    size = stream.size()
    tail = _tail(stream, size, _TAIL)
    if size < 12 or tail[-4:] != _MAGIC:
        raise OSError(f"its {size} bytes do not end as a Parquet file's do")
    length = int.from_bytes(tail[-8:-4], "little") + 8
    if length > size:
        raise OSError(f"its footer is said to be longer than the file, {length} bytes of {size}")
    if length > len(tail):
        tail = _tail(stream, size, length)
    ranges = check_footer(tail[len(tail) - length : -8], end=size - length)
    outside, position = xxhash.xxh3_128(), 0
    for begin, end in sorted(ranges):
        # What every file begins with needs no reading of its own.
        outside.update(_MAGIC if (position, begin) == (0, len(_MAGIC)) else _at(stream, position, begin - position))
        position = max(position, end)
    kept = min(len(tail), size - position)
    if size - position > kept:
        outside.update(_at(stream, position, size - position - kept))
    outside.update(tail[len(tail) - kept :])
    return FileEnd(tail, str(outside.hexdigest()))


def _tail(stream: pa.NativeFile, size: int, length: int) -> bytes:
    return _at(stream, max(0, size - length), min(size, length))


def _at(stream: pa.NativeFile, offset: int, length: int) -> bytes:
    if length <= 0:
        return b""
    stream.seek(offset)
    return bytes(stream.read(length))


def read_footers(root: Location, paths: Iterable[str], *, threads: int = 16) -> list[Footer]:
    """Read the footers of those files (paths relative to `root`), `threads` at a time.

    Raises:
        DatasetInvalid: a file that is no Parquet file, naming it.
        SchemaMismatch: a column of a type that Arrow does not know, naming both.
        StorageUnavailable: the store failed each time it was asked.
    """
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda path: _read_footer(root, path), paths))


def _read_footer(root: Location, path: str) -> Footer:
    place = root / path
    try:
        size, end, metadata, schema = place.read(_look)
    except pa.ArrowNotImplementedError as error:
        raise _unsupported(place, error) from error
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetInvalid(f"{place.url}: not a whole Parquet file ({error}); remove it or write it again") from error
    names, required = set(schema.names), {field.name for field in schema if not field.nullable}
    records = []
    leaves, unencoded = leaf_types(schema), unencoded_bytes(end.footer)
    with_nulls: set[str] = set()
    counted_nulls: set[str] = set()
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        offset, length = byte_range(group)
        least, most, nulls, counted = _bounds(group, names)
        with_nulls |= nulls - required
        counted_nulls |= counted - required
        records.append(
            {
                "path": path,
                "split": split_of(path),
                "row_group": index,
                "rows": group.num_rows,
                "offset": offset,
                "length": length,
                "checksum": None,
                "file_bytes": size,
                "file_checksum": end.checksum,
                "memory_bytes": arrow_bytes(group, leaves, unencoded[index]),
                "min": least,
                "max": most,
            }
        )
    return Footer(path, schema.remove_metadata(), tuple(records), frozenset(with_nulls), frozenset(counted_nulls))


def _look(stream: pa.NativeFile) -> tuple[int, FileEnd, pq.FileMetaData, pa.Schema]:
    end = read_end(stream)
    metadata = end.parse()
    # As a reader of the file sees it: extension types included.
    return stream.size(), end, metadata, parquet_file(stream, metadata=metadata).schema_arrow


def _unsupported(place: Location, error: pa.ArrowNotImplementedError) -> DatasetInvalid:
    try:
        columns = unsupported_columns(place.read(_footer))
    except (pa.ArrowException, OSError):
        columns = "(its footer does not say which)"
    return SchemaMismatch(
        f"{place.url}: unsupported type of column {columns}: {error}; the file is whole: write it without that column, or with "
        "another type"
    )


def _footer(stream: pa.NativeFile) -> bytes:
    size = stream.size()
    return _tail(stream, size, min(size, int.from_bytes(_tail(stream, size, 8)[:4], "little") + 8))


def _bounds(group: pq.RowGroupMetaData, names: Set[str]) -> tuple[dict[str, Any], dict[str, Any], set[str], set[str]]:
    """Return least and greatest value by column, the columns that hold nulls or do not say, and those that hold some."""
    least, most, nulls, counted = {}, {}, set(), set()
    for index in range(group.num_columns):
        chunk = group.column(index)
        name = _column_of(chunk.path_in_schema, names)
        statistics = chunk.statistics
        if group.num_rows and (statistics is None or not statistics.has_null_count or statistics.null_count):
            nulls.add(name)
            if statistics is not None and statistics.has_null_count:
                counted.add(name)
        if statistics is not None and statistics.has_min_max and name == chunk.path_in_schema:
            # Dates beyond Python's, nanoseconds without pandas: such extremes rule nothing out.
            with suppress(OverflowError, ValueError, pa.ArrowException):
                least[name], most[name] = statistics.min, statistics.max
    return least, most, nulls, counted


def _column_of(path: str, names: Set[str]) -> str:
    """Return the column that a leaf's path lies in: the longest of the names that the path begins with, which may hold dots."""
    while path and path not in names:
        path = path.rpartition(".")[0]
    return path
