"""One row group from storage: its columns as the schema says, held against what was published."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.group_rows import group_rows
from bigdata_ml.dataset.parquet.group_bytes import read_rows
from bigdata_ml.dataset.reading import check_bytes, check_end, check_size, read_group_bytes
from bigdata_ml.errors import DatasetInvalid, SchemaMismatch, StorageUnavailable
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.storage import Location, Retry

__all__ = ["GroupSource"]

_FILES = 1024
_REPLACED = "the file was replaced or cut short under the reader, or is damaged: run bigdata-ml validate"


@dataclass(frozen=True, slots=True)
class _File:
    """What was found when a file was first opened."""

    metadata: pq.FileMetaData
    changed: int | None


class GroupSource:
    """Reads row groups of a dataset; several threads may read at once.

    Each file's size is compared at every opening, its footer's checksum at the first one and whenever its time of change is
    another. The bytes of a row group are held against its checksum if the columns asked for are at least half of them;
    Parquet's own page checksums are checked where the file has them. Plain Parquet has no checksums of row groups.

    Args:
        dataset: whose row groups.
        columns: that are read.
        stop: says that nobody waits any more: a store that fails is then not asked again.
        retry: how often such a store is asked.
        keeps_bad_values: a value that does not fit its field's type is zero, and `bad_value` says why; else it is an error.
    """

    def __init__(
        self,
        dataset: Dataset,
        columns: Sequence[str],
        *,
        stop: Stop | None = None,
        retry: Retry | None = None,
        keeps_bad_values: bool = False,
    ) -> None:
        self._dataset = dataset
        self._check_wanted = (stop or Stop()).check
        self._retry = retry or Retry()
        self._fields = dataset.schema.select(columns)
        self.schema = self._fields.to_arrow()
        self._groups = dataset.row_groups
        self._files: dict[str, _File] = {}
        self._lock = Lock()
        self._keeps_bad_values = keeps_bad_values
        # Texts by row, of row groups that have such values.
        self._bad_values: dict[int, dict[int, str]] = {}

    @property
    def url(self) -> str:
        """Where the dataset is."""
        return self._dataset.url

    def read(self, group: int) -> dict[str, pa.Array]:
        """Return the columns of a row group, each one array.

        Raises:
            ChecksumMismatch: bytes that are not those that were published, or were there when the dataset was opened.
            SchemaMismatch: a column that is missing, of another type, or null where that is not allowed.
            DatasetInvalid: a file that is gone or cannot be read. All of them name file and row group.
            StorageUnavailable: the store failed each time it was asked; nothing is known of the row group.
        """
        record = self._groups.record(group)
        place = self._dataset.location / record["path"]
        where = self._where(record)
        wanted = self.stored(record["path"])
        try:
            table = self._retry.reading(
                lambda: self._read(place, record, wanted, where), f"{where}: the store", check=self._check_wanted
            )
        except (pa.ArrowException, OSError) as error:
            raise self.unreadable(group, error) from error
        return self.columns(group, table)

    @property
    def has_bad_values(self) -> bool:
        """Whether a row group that was read holds values that do not fit their fields' types."""
        return bool(self._bad_values)

    def bad_value(self, group: int, row: int) -> str | None:
        """Return why a value of a row that was read does not fit its field's type, naming both; None if all do."""
        return self._bad_values.get(group, {}).get(row)

    def stored(self, path: str) -> list[str]:
        """Return the columns asked for that lie in a file rather than in its directories' names."""
        keys = (self._dataset.partitions or {}).get(path, {})
        return [name for name in self.schema.names if name not in keys]

    def columns(self, group: int, table: pa.Table) -> dict[str, pa.Array]:
        """Return the columns of a row group whose stored ones are `table`, verified against the dataset; raises as `read`."""
        record, bad = self._groups.record(group), dict[int, str]()
        where = self._where(record)
        if table.num_rows != record["rows"]:
            raise DatasetInvalid(f"{where}: has {table.num_rows} rows, the dataset was opened with {record['rows']}; {_REPLACED}")
        table = group_rows(table, self._dataset, self._fields, record, bad.setdefault if self._keeps_bad_values else None)
        if bad:
            self._bad_values[group] = bad
        self._check(table, where)
        table = table.select(self.schema.names).cast(self.schema)
        return {name: _whole(table[name], f"{where} field {name!r}") for name in self.schema.names}

    def unreadable(self, group: int, error: Exception) -> DatasetInvalid | StorageUnavailable:
        """Return the error of a row group that could not be read, naming it; of a store that failed it is the store's."""
        where = self._where(self._groups.record(group))
        if isinstance(error, StorageUnavailable):
            return StorageUnavailable(f"{where}: {error}")
        return DatasetInvalid(f"{where}: cannot be read ({error}); run bigdata-ml validate")

    def place(self, group: int, row: int) -> str:
        """Return where a row lies, for messages: file, row group, row."""
        record = self._groups.record(group)
        return f"{self._dataset.url}/{record['path']} row group {record['row_group']} row {row}"

    def _where(self, record: dict[str, Any]) -> str:
        return f"{(self._dataset.location / record['path']).url} row group {record['row_group']}"

    def _read(self, place: Location, record: dict[str, Any], wanted: list[str], where: str) -> pa.Table:
        with place.filesystem.open_input_file(place.path) as stream:
            check_size(stream, record, where)
            metadata = self._metadata(place, record, where)
            source: Any = stream
            if record["checksum"] is not None and _covers_half(metadata.row_group(record["row_group"]), wanted):
                source, checksum = read_group_bytes(stream, record)
                check_bytes(checksum, record, where)
            # Not iter_batches nor a scanner: they keep the whole file (apache/arrow#39808).
            return read_rows(
                source,
                metadata,
                record["row_group"],
                columns=wanted,
                where=where,
                limit=self._dataset.group_bytes,
                # Where nothing was published, it is what the footer claims.
                memory_bytes=record["memory_bytes"] if record["checksum"] is not None else None,
                page_checksums=True,
            )

    def _metadata(self, place: Location, record: dict[str, Any], where: str) -> pq.FileMetaData:
        known = self._files.get(record["path"])
        # A filesystem that tells no time of change is asked for the footer every time.
        if known is None or known.changed is None or place.info().mtime_ns != known.changed:
            known = self._first_look(place, record["file_checksum"], where)
            with self._lock:
                self._files[record["path"]] = known
                if len(self._files) > _FILES:
                    self._files.pop(next(iter(self._files)))
        return known.metadata

    def _first_look(self, place: Location, published: str | None, where: str) -> _File:
        changed = place.info().mtime_ns
        with place.filesystem.open_input_file(place.path) as stream:
            return _File(check_end(stream, published, where).parse(), changed)

    def _check(self, table: pa.Table, where: str) -> None:
        types = dict(zip(table.column_names, table.schema.types, strict=True))
        for field in self.schema:
            kind = types.get(field.name, "missing")
            if kind != field.type:
                raise SchemaMismatch(f"{where} field {field.name!r}: is {kind}, the schema says {field.type}")
            if not field.nullable and table[field.name].null_count:
                raise SchemaMismatch(f"{where} field {field.name!r}: holds nulls, and the schema allows none there")


def _covers_half(group: pq.RowGroupMetaData, wanted: Sequence[str]) -> bool:
    chunks = [group.column(index) for index in range(group.num_columns)]
    sizes = {chunk.path_in_schema: int(chunk.total_compressed_size) for chunk in chunks}
    names = tuple(f"{name}." for name in wanted)
    asked = sum(size for path, size in sizes.items() if f"{path}.".startswith(names))
    return 2 * asked >= sum(sizes.values())


def _whole(column: pa.ChunkedArray, where: str) -> pa.Array:
    """Return a column as one array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    try:
        joined = column.combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowCapacityError) as error:
        raise DatasetInvalid(f"{where}: holds more than 2 GiB; write the dataset with smaller row groups") from error
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) and joined.num_chunks == 1 else joined
