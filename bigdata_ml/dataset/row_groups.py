"""The row-group table: one row per row group, so that a reader starts from two small reads."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from bigdata_ml.dataset.layout import split_of
from bigdata_ml.errors import DatasetInvalid, MetadataUnreadable
from bigdata_ml.storage import Location

__all__ = ["Footer", "RowGroups", "byte_range", "read_footers"]

_COLUMNS = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("length", pa.int64(), nullable=False),
        pa.field("checksum", pa.string()),
        pa.field("file_bytes", pa.int64(), nullable=False),
        pa.field("file_checksum", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Row groups in the order of the dataset.

    Attributes:
        table: columns path, split, row_group (index in its file), rows, offset and length (bytes of the group in its
            file), checksum (xxh3-128 of those bytes, hexadecimal; null where unknown), file_bytes, file_checksum (of the
            file's bytes outside its row groups), and `min.NAME`, `max.NAME` for key columns.
    """

    table: pa.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def rows(self) -> np.ndarray:
        """Rows of each group, int64 [groups]."""
        return np.asarray(self.table["rows"].to_numpy(), np.int64)

    @property
    def paths(self) -> list[str]:
        """Path of each group's file, relative to the dataset."""
        return list(self.table["path"].to_pylist())

    @property
    def files(self) -> list[str]:
        """Path of each file, once, in order."""
        return list(dict.fromkeys(self.paths))

    @property
    def splits(self) -> list[str]:
        """Names of the splits, in the order train, validation, test, then by name."""
        usual = ["train", "validation", "test"]
        names = {name for name in self.table["split"].to_pylist() if name is not None}
        return [name for name in usual if name in names] + sorted(names - set(usual))

    def of_split(self, name: str) -> "RowGroups":
        """Return the groups of one split."""
        return RowGroups(self.table.filter(pa.compute.equal(self.table["split"], name)))

    def layout_fingerprint(self) -> str:
        """Return a digest of files, row groups, their places and checksums: equal only for the same bytes in the same files."""
        digest = xxhash.xxh3_128()
        names = ("path", "row_group", "rows", "offset", "length", "checksum", "file_bytes", "file_checksum")
        for row in self.table.select(names).to_pylist():
            digest.update(repr(tuple(row[name] for name in names)).encode())
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """Return the table as an Arrow IPC file."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, self.table.schema) as writer:
            writer.write_table(self.table)
        return bytes(sink.getvalue())

    @classmethod
    def from_bytes(cls, data: bytes, *, url: str) -> "RowGroups":
        """Return the table that `to_bytes` wrote.

        Raises:
            MetadataUnreadable: bytes that are no row-group table, naming `url`.
        """
        try:
            table = pa.ipc.open_file(pa.BufferReader(data)).read_all()
            missing = [name for name in _COLUMNS.names if name not in table.column_names]
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise MetadataUnreadable(f"{url}: the row-group table cannot be read: {error}") from error
        if missing:
            raise MetadataUnreadable(f"{url}: the row-group table lacks the columns {', '.join(missing)}")
        return cls(table)

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]], *, keys: pa.Schema) -> "RowGroups":
        """Return the table of records with the columns above, and `min`, `max` mappings for the columns `keys`."""
        records = list(records)
        columns = [pa.array([row[field.name] for row in records], field.type) for field in _COLUMNS]
        fields = list(_COLUMNS)
        for key in keys:
            for side in ("min", "max"):
                fields.append(pa.field(f"{side}.{key.name}", key.type))
                columns.append(pa.array([row[side].get(key.name) for row in records], key.type))
        return cls(pa.Table.from_arrays(columns, schema=pa.schema(fields)))


@dataclass(frozen=True, slots=True)
class Footer:
    """What one Parquet file says of itself: its Arrow schema, its size in bytes, and a record per row group."""

    path: str
    schema: pa.Schema
    records: tuple[dict[str, Any], ...]
    with_nulls: frozenset[str]


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


def read_footers(root: Location, paths: Iterable[str], *, threads: int = 16) -> list[Footer]:
    """Read the footers of those files (paths relative to `root`), `threads` at a time.

    Raises:
        DatasetInvalid: a file that is no Parquet file, naming it.
    """
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda path: _read_footer(root, path), paths))


def _read_footer(root: Location, path: str) -> Footer:
    place = root / path
    try:
        with root.filesystem.open_input_file(place.path) as stream:
            size = stream.size()
            file = pq.ParquetFile(stream)
            metadata, schema = file.metadata, file.schema_arrow
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DatasetInvalid(f"{place.url}: not a whole Parquet file ({error}); remove it or write it again") from error
    records = []
    with_nulls: set[str] = set()
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        offset, length = byte_range(group)
        least, most, nulls = _bounds(group, schema.names)
        with_nulls |= nulls
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
                "file_checksum": None,
                "min": least,
                "max": most,
            }
        )
    return Footer(path, schema.remove_metadata(), tuple(records), frozenset(with_nulls))


def _bounds(group: pq.RowGroupMetaData, names: list[str]) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
    """Return least and greatest value by column, and the columns that hold nulls or do not say."""
    least, most, nulls = {}, {}, set()
    for index in range(group.num_columns):
        chunk = group.column(index)
        name = _column_of(chunk.path_in_schema, names)
        found = chunk.statistics
        if found is None or not found.has_null_count or found.null_count:
            nulls.add(name)
        if found is not None and found.has_min_max and name == chunk.path_in_schema:
            least[name], most[name] = found.min, found.max
    return least, most, nulls


def _column_of(path: str, names: list[str]) -> str:
    """Return the column that a leaf's path lies in; names may hold dots themselves."""
    return max((name for name in names if f"{path}.".startswith(f"{name}.")), key=len)
