"""One row group as it was published: every byte of it is held against its checksum before a value is taken from it."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import xxhash

from bigdata_ml.dataset.parquet.footers import FileEnd, read_end
from bigdata_ml.dataset.parquet.group_bytes import GROUP_BYTES, read_rows
from bigdata_ml.errors import ChecksumMismatch, DatasetInvalid
from bigdata_ml.storage import FilePart, Location

__all__ = ["GROUP_COLUMNS", "read_published_group"]

# Of the row-group table.
GROUP_COLUMNS = ("path", "row_group", "rows", "offset", "length", "checksum", "file_bytes", "file_checksum")


def read_published_group(root: Location, record: Mapping[str, Any], columns: Sequence[str]) -> pa.Table:
    """Return columns of a row group.

    Args:
        root: the dataset.
        record: the row-group table's row, at least `GROUP_COLUMNS`.
        columns: names of fields.

    Raises:
        ChecksumMismatch: other bytes than those that were published.
        DatasetInvalid: a file that is gone, cannot be read, or lacks a column; both name file and row group.
        StorageUnavailable: the store failed each time it was asked.
    """
    place = root / record["path"]
    where = f"{place.url} row group {record['row_group']}"
    try:
        size, end, data = place.read(lambda stream: _bytes_of(stream, record, where))
        found = (end.checksum, xxhash.xxh3_128_hexdigest(data))
        if found != (record["file_checksum"], record["checksum"]):
            raise ChecksumMismatch(f"{where}: its bytes differ from those published")
        part = pa.PythonFile(FilePart(data, record["offset"], size), mode="r")
        table = read_rows(part, end.parse(), record["row_group"], columns=columns, where=where, limit=GROUP_BYTES)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetInvalid(f"{where}: cannot be read: {error}") from error
    if missing := [name for name in columns if name not in table.column_names]:
        raise DatasetInvalid(f"{where}: has no column {missing[0]!r}")
    return table.select(list(columns))


def _bytes_of(stream: pa.NativeFile, record: Mapping[str, Any], where: str) -> tuple[int, FileEnd, bytes]:
    size = stream.size()
    if size != record["file_bytes"]:
        raise ChecksumMismatch(f"{where}: the file has {size} bytes, {record['file_bytes']} were published")
    end = read_end(stream)
    stream.seek(record["offset"])
    return size, end, bytes(stream.read(record["length"]))
