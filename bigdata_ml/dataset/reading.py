"""Reads row groups from storage. Footers are checked before pyarrow parses them, and the byte limit applies to every read."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import xxhash

from bigdata_ml.dataset.dataset import Dataset
from bigdata_ml.dataset.group_rows import group_rows
from bigdata_ml.dataset.parquet.file import parquet_file
from bigdata_ml.dataset.parquet.footers import FileEnd, read_end, read_metadata
from bigdata_ml.dataset.parquet.group_bytes import GROUP_BYTES, read_rows
from bigdata_ml.errors import ChecksumMismatch, DatasetInvalid
from bigdata_ml.storage import FilePart, Location

__all__ = [
    "GROUP_COLUMNS",
    "check_bytes",
    "check_end",
    "check_size",
    "read_group",
    "read_group_bytes",
    "read_published_group",
    "read_stored",
]

# Columns of the row-group table that `read_published_group` needs.
GROUP_COLUMNS = ("path", "row_group", "rows", "offset", "length", "checksum", "file_bytes", "file_checksum")
_BATCH = 1024
_REPLACED = "the file was replaced, cut short or damaged: run bigdata-ml validate"


def read_group(dataset: Dataset, record: Mapping[str, Any], columns: Sequence[str], *, first: int | None = None) -> pa.Table:
    """Return columns of a row group with the dataset's types; directory keys are columns.

    Args:
        dataset: its schema, partitions and byte limit apply.
        record: a row of the row-group table, at least `path` and `row_group`.
        columns: names of fields.
        first: the number of rows wanted; later batches of the row group are not read.

    Raises:
        DatasetInvalid: the file is missing or cannot be read, or the row group exceeds the byte limit.
        SchemaMismatch: see `group_rows`.
        StorageUnavailable: the store failed after all retries.
    """
    place, group, fields = dataset.location / record["path"], record["row_group"], dataset.schema.select(columns)
    keys = (dataset.partitions or {}).get(record["path"], {})
    stored = [name for name in fields.names if name not in keys]
    if first is None:
        table = read_stored(place, group, stored, limit=dataset.group_bytes)
    else:
        table = _read_first_rows(place, group, stored, first)
    return group_rows(table, dataset, fields, record)


def read_stored(place: Location, group: int, columns: Sequence[str], *, limit: int = GROUP_BYTES) -> pa.Table:
    """Return columns of a row group as the file stores them; columns that the file lacks are left out. Raises as `read_group`."""
    where = f"{place.url} row group {group}"
    try:
        return place.read(
            lambda stream: read_rows(stream, read_metadata(stream)[0], group, columns=columns, where=where, limit=limit)
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetInvalid(f"{where}: cannot be read: {error}") from error


def _read_first_rows(place: Location, group: int, columns: Sequence[str], rows: int) -> pa.Table:
    """Return the first batches of a row group, at least `rows` rows if it has them. Raises as `read_group`."""
    try:
        return place.read(lambda stream: _first_batches(stream, group, columns, rows))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetInvalid(f"{place.url} row group {group}: cannot be read: {error}") from error


def _first_batches(stream: pa.NativeFile, group: int, columns: Sequence[str], rows: int) -> pa.Table:
    file = parquet_file(stream, metadata=read_metadata(stream)[0])
    batches = file.iter_batches(min(rows, _BATCH), row_groups=[group], columns=list(columns))
    taken: list[pa.RecordBatch] = []
    while sum(batch.num_rows for batch in taken) < rows and (batch := next(batches, None)) is not None:
        taken.append(batch)
    if taken:
        return pa.Table.from_batches(taken)
    return file.read_row_group(group, columns=list(columns))


def check_end(stream: pa.NativeFile, published: str | None, where: str) -> FileEnd:
    """Return the checked end of a file; its checksum must be the published one, if there is one.

    Raises:
        ChecksumMismatch: the checksums differ.
        OSError: no whole Parquet file.
    """
    end = read_end(stream)
    if published not in (None, end.checksum):
        text = f"the file's footer has the checksum {end.checksum}, {published} was published"
        raise ChecksumMismatch(f"{where}: {text}; {_REPLACED}")
    return end


def read_group_bytes(stream: pa.NativeFile, record: Mapping[str, Any]) -> tuple[pa.PythonFile, str]:
    """Read the bytes of a row group at once; return them as a file that pyarrow can read, and their xxh3-128."""
    stream.seek(record["offset"])
    data = stream.read(record["length"])
    part = pa.PythonFile(FilePart(data, record["offset"], record["file_bytes"]), mode="r")
    return part, xxhash.xxh3_128_hexdigest(data)


def read_published_group(root: Location, record: Mapping[str, Any], columns: Sequence[str]) -> pa.Table:
    """Return columns of a row group whose bytes and footer match the published checksums.

    Args:
        root: the dataset.
        record: a row of the row-group table, at least `GROUP_COLUMNS`.
        columns: names of fields.

    Raises:
        ChecksumMismatch: the bytes are not those that were published.
        DatasetInvalid: a file that is missing, cannot be read, or lacks a column; both name file and row group.
        StorageUnavailable: the store failed after all retries.
    """
    place = root / record["path"]
    where = f"{place.url} row group {record['row_group']}"

    def published(stream: pa.NativeFile) -> tuple[FileEnd, pa.PythonFile, str]:
        check_size(stream, record, where)
        return check_end(stream, record["file_checksum"], where), *read_group_bytes(stream, record)

    try:
        end, part, checksum = place.read(published)
        check_bytes(checksum, record, where)
        table = read_rows(part, end.parse(), record["row_group"], columns=columns, where=where, limit=GROUP_BYTES)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetInvalid(f"{where}: cannot be read: {error}") from error
    if missing := [name for name in columns if name not in table.column_names]:
        raise DatasetInvalid(f"{where}: has no column {missing[0]!r}")
    return table.select(list(columns))


def check_size(stream: pa.NativeFile, record: Mapping[str, Any], where: str) -> None:
    """Raise ChecksumMismatch, naming `where`, unless the file has its published size."""
    if (size := stream.size()) != record["file_bytes"]:
        text = f"the file has {size} bytes, {record['file_bytes']} were published"
        raise ChecksumMismatch(f"{where}: {text}; {_REPLACED}")


def check_bytes(checksum: str, record: Mapping[str, Any], where: str) -> None:
    """Raise ChecksumMismatch, naming `where`, unless a row group's bytes have the published checksum."""
    if checksum != record["checksum"]:
        text = f"its bytes have the checksum {checksum}, {record['checksum']} was published"
        raise ChecksumMismatch(f"{where}: {text}; {_REPLACED}")
