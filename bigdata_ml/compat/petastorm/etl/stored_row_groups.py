"""Row groups as Spark's tasks read them: by number, decoded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.compat.petastorm.values.columns import row_columns, rows_of
from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.reading import read_stored
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.storage import Location

__all__ = ["StoredRowGroup", "row_groups_of"]


@dataclass(frozen=True, slots=True)
class StoredRowGroup:
    """One row group.

    Attributes:
        number: its place among the dataset's, counted through the files, which are sorted by path.
        place: its file.
        row_group: its place in the file.
        keys: values of the Hive directory keys.
    """

    number: int
    place: Location
    row_group: int
    keys: Mapping[str, Any]

    def rows(self, schema: Unischema) -> list[dict[str, Any]]:
        """Return its rows' fields, decoded.

        Raises:
            DatasetInvalid: a file that is not whole, or lacks a field.
            DecodeFailed: a value that its codec cannot decode.
        """
        columns = [name for name in schema.fields if name not in self.keys]
        table = read_stored(self.place, self.row_group, columns)
        missing = sorted(set(columns) - set(table.column_names))
        if missing:
            raise DatasetInvalid(f"{self.place.url} lacks the columns {', '.join(missing)}, which the schema has")
        for name in [name for name in schema.fields if name in self.keys]:
            table = table.append_column(name, pa.array([self.keys[name]] * table.num_rows))
        table = table.combine_chunks()
        batch = next(iter(table.to_batches()), pa.RecordBatch.from_pylist([], schema=table.schema))
        decoded = row_columns(batch, schema, place=lambda row: f"{self.place.url} row group {self.row_group} row {row}")
        return rows_of(decoded, batch.num_rows)


def row_groups_of(dataset: Dataset) -> Sequence[StoredRowGroup]:
    """Return a dataset's row groups, by their numbers."""
    table = dataset.row_groups.table
    places = sorted(zip(table["path"].to_pylist(), table["row_group"].to_pylist(), strict=True))
    keys = dataset.partitions or {}
    return [
        StoredRowGroup(number, dataset.location / path, group, keys.get(path, {})) for number, (path, group) in enumerate(places)
    ]
