"""The first rows of a dataset, as they are stored."""

from contextlib import suppress
from functools import partial
from typing import Any

import pyarrow as pa

from bigdata_ml.dataset.dataset import Dataset
from bigdata_ml.dataset.group_rows import check_text, group_rows
from bigdata_ml.dataset.parquet.file import parquet_file
from bigdata_ml.dataset.parquet.footers import read_metadata
from bigdata_ml.errors import DatasetInvalid

__all__ = ["first_rows"]

_BATCH = 1024


def first_rows(dataset: Dataset, rows: int) -> list[dict[str, Any]]:
    """Return the first `rows` rows (1 or more) as Python values, Hive keys included; fewer if the dataset has fewer.

    Dates and times that Python does not have are text, or the number that is stored.

    Raises:
        ValueError: `rows` is below 1.
        DatasetInvalid: a file that is gone or cannot be read, naming it.
        DecodeFailed: a text that is no UTF-8, naming file, row group, row and field.
        SchemaMismatch: pixels of another shape than the schema's, naming file and row group.
        StorageUnavailable: the store failed each time it was asked.
    """
    if rows < 1:
        raise ValueError(f"rows must be 1 or more, got {rows}")
    found: list[dict[str, Any]] = []
    for record in dataset.row_groups.table.select(["path", "row_group"]).to_pylist():
        place = dataset.location / record["path"]
        where = f"{place.url} row group {record['row_group']}"
        try:
            table = place.read(partial(_first, group=record["row_group"], rows=rows - len(found)))
            group = group_rows(table, dataset, dataset.schema, record)
        except (pa.ArrowException, OSError) as error:
            raise DatasetInvalid(f"{where}: cannot be read: {error}") from error
        there = [name for name in dataset.schema.names if name in group.column_names]
        first = group.slice(0, rows - len(found)).select(there)
        check_text(first, where)
        columns = {name: _values(column) for name, column in zip(first.column_names, first.columns, strict=True)}
        found += [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        if len(found) == rows:
            break
    return found


def _first(stream: pa.NativeFile, *, group: int, rows: int) -> pa.Table:
    """Return the first batches of a row group, with so many rows or more if there are so many."""
    file = parquet_file(stream, metadata=read_metadata(stream)[0])
    # Of a row group no more than is asked for: it may be large.
    batches = file.iter_batches(min(rows, _BATCH), row_groups=[group])
    taken: list[pa.RecordBatch] = []
    while sum(batch.num_rows for batch in taken) < rows and (batch := next(batches, None)) is not None:
        taken.append(batch)
    return pa.Table.from_batches(taken, taken[0].schema if taken else file.schema_arrow)


def _values(column: pa.ChunkedArray) -> list[Any]:
    if not _is_beyond_python(column.type):
        with suppress(ValueError, OverflowError):
            return list(column.to_pylist())
    return [_value(one) for one in column]


def _value(value: pa.Scalar) -> Any:
    if isinstance(value, (pa.ListScalar, pa.LargeListScalar, pa.FixedSizeListScalar)) and value.is_valid:
        return [_value(one) for one in value.values]
    if _is_beyond_python(value.type):
        return value.cast(pa.string()).as_py()
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        # A date or time that Python does not have.
        return value.value


def _is_beyond_python(kind: pa.DataType) -> bool:
    """Return whether values are nanoseconds, of which Python's times have none."""
    if pa.types.is_nested(kind) and not isinstance(kind, pa.BaseExtensionType):
        return any(_is_beyond_python(kind.field(place).type) for place in range(kind.num_fields))
    return pa.types.is_temporal(kind) and getattr(kind, "unit", "") == "ns"
