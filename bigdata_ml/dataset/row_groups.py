"""The row-group table has one row per row group, so that a reader starts with two small reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from bigdata_ml.dataset.checks.arrow_file import arrow_batches, arrow_schema
from bigdata_ml.dataset.checks.row_group_table import table_problems
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.schema import Schema

__all__ = ["RowGroups", "key_columns"]

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
        pa.field("memory_bytes", pa.int64()),
    ]
)
# Older tables lack it.
_ADDED = "memory_bytes"
# Number of problems that an error names.
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RowGroups:
    """Row groups in the order of the dataset.

    Attributes:
        table: columns path, split, row_group (index in its file), rows, offset and length (bytes of the group in its
            file), checksum (xxh3-128 of those bytes, hexadecimal; null where unknown), file_bytes, file_checksum (of the
            file's bytes outside its row groups), memory_bytes (of the group's rows as Arrow arrays; null where unknown), and
            `min.NAME`, `max.NAME` for key columns.
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

    def record(self, group: int) -> dict[str, Any]:
        """Return what the table says of one group, extremes left out."""
        return {field.name: self.table[field.name][group].as_py() for field in _COLUMNS}

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

    def with_column(self, name: str, values: Sequence[Any]) -> "RowGroups":
        """Return the table with other values in one of its columns."""
        place = self.table.schema.get_field_index(name)
        return RowGroups(self.table.set_column(place, _COLUMNS.field(name), pa.array(values, _COLUMNS.field(name).type)))

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
        place = f"{url}: the row-group table"
        schema = arrow_schema(data, place=place)
        table = pa.Table.from_batches(arrow_batches(data, None, place=place), schema)
        missing = [name for name in _COLUMNS.names if name not in table.column_names and name != _ADDED]
        if missing:
            raise MetadataUnreadable(f"{url}: the row-group table lacks the columns {', '.join(missing)}")
        if _ADDED not in table.column_names:
            table = table.append_column(_COLUMNS.field(_ADDED), pa.nulls(table.num_rows, pa.int64()))
        problems = list(islice(table_problems(table, _COLUMNS), _SHOWN))
        if problems:
            raise MetadataUnreadable(f"{place} cannot be true: {'; '.join(problems)}; publish the dataset again")
        return cls(table)

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]], *, keys: pa.Schema) -> "RowGroups":
        """Return the table of records with the columns above, and `min`, `max` mappings for the columns `keys`."""
        records = list(records)
        columns = [pa.array([row.get(field.name) for row in records], field.type) for field in _COLUMNS]
        fields = list(_COLUMNS)
        for key in keys:
            for side in ("min", "max"):
                fields.append(pa.field(f"{side}.{key.name}", key.type))
                columns.append(pa.array([row[side].get(key.name) for row in records], key.type))
        return cls(pa.Table.from_arrays(columns, schema=pa.schema(fields)))


def key_columns(schema: Schema) -> pa.Schema:
    """The scalar fields that have an order, the first 32 of them: those whose extremes the row-group table keeps."""
    ordered = [field for field in schema.to_arrow() if not (pa.types.is_nested(field.type) or _is_opaque(field.type))]
    return pa.schema(ordered[:32])


def _is_opaque(kind: pa.DataType) -> bool:
    # Half floats have an order, but pyarrow hands their extremes out as bytes.
    checks = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_float16)
    return isinstance(kind, pa.BaseExtensionType) or any(check(kind) for check in checks)
