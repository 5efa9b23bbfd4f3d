"""The first rows of a dataset, as they are stored."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.dataset.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.schema import from_stored

__all__ = ["first_rows"]


def first_rows(dataset: Dataset, rows: int) -> list[dict[str, Any]]:
    """Return the first `rows` rows (1 or more) as Python values, Hive keys included; fewer if the dataset has fewer.

    Raises:
        ValueError: `rows` is below 1.
        DatasetInvalid: a file that is gone or cannot be read, naming it.
        SchemaMismatch: pixels of another shape than the schema's, naming file and row group.
    """
    if rows < 1:
        raise ValueError(f"rows must be 1 or more, got {rows}")
    found: list[dict[str, Any]] = []
    for record in dataset.row_groups.table.select(["path", "row_group"]).to_pylist():
        place = dataset.location / record["path"]
        where = f"{place.url} row group {record['row_group']}"
        keys = (dataset.partitions or {}).get(record["path"], {})
        try:
            with pq.ParquetFile(place.path, filesystem=place.filesystem, pre_buffer=False) as file:
                group = from_stored(file.read_row_group(record["row_group"]), dataset.schema, where)
        except (pa.ArrowException, OSError) as error:
            raise DatasetInvalid(f"{where}: cannot be read: {error}") from error
        found += [{**row, **keys} for row in group.slice(0, rows - len(found)).to_pylist()]
        if len(found) == rows:
            break
    return found
