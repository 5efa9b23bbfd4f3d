"""The first rows of a dataset, as they are stored."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.dataset.dataset import Dataset
from bigdata_ml.dataset.footers import read_metadata
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.schema import from_stored

__all__ = ["first_rows"]

_BATCH = 1024


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
            with place.filesystem.open_input_file(place.path) as stream:
                file = pq.ParquetFile(stream, metadata=read_metadata(stream)[0], pre_buffer=False)
                # Of a row group no more than is asked for: it may be large.
                batches = file.iter_batches(min(rows - len(found), _BATCH), row_groups=[record["row_group"]])
                group = from_stored(_first(batches, rows - len(found), file.schema_arrow), dataset.schema, where)
        except (pa.ArrowException, OSError) as error:
            raise DatasetInvalid(f"{where}: cannot be read: {error}") from error
        found += [{**row, **keys} for row in group.slice(0, rows - len(found)).to_pylist()]
        if len(found) == rows:
            break
    return found


def _first(batches: Iterator[pa.RecordBatch], rows: int, schema: pa.Schema) -> pa.Table:
    """Return the first batches, with so many rows or more if there are so many."""
    taken: list[pa.RecordBatch] = []
    while sum(batch.num_rows for batch in taken) < rows and (batch := next(batches, None)) is not None:
        taken.append(batch)
    return pa.Table.from_batches(taken, taken[0].schema if taken else schema)
