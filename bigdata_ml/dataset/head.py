"""The first rows of a dataset, as stored."""

from contextlib import suppress
from typing import Any

import pyarrow as pa

from bigdata_ml.dataset.dataset import Dataset
from bigdata_ml.dataset.group_rows import check_text
from bigdata_ml.dataset.reading import read_group

__all__ = ["first_rows"]


def first_rows(dataset: Dataset, rows: int) -> list[dict[str, Any]]:
    """Return the first `rows` rows (1 or more) as Python values, Hive keys included; fewer if the dataset has fewer.

    Dates and times outside Python's range are text, or the stored number.

    Raises:
        ValueError: `rows` is below 1.
        DatasetInvalid: a file that is gone or cannot be read, naming it.
        DecodeFailed: a text that is not UTF-8, naming file, row group, row and field.
        SchemaMismatch: pixels of another shape than the schema's, naming file and row group.
        StorageUnavailable: the store failed each time it was asked.
    """
    if rows < 1:
        raise ValueError(f"rows must be 1 or more, got {rows}")
    found: list[dict[str, Any]] = []
    for record in dataset.row_groups.table.select(["path", "row_group"]).to_pylist():
        group = read_group(dataset, record, dataset.schema.names, first=rows - len(found))
        there = [name for name in dataset.schema.names if name in group.column_names]
        first = group.slice(0, rows - len(found)).select(there)
        check_text(first, f"{(dataset.location / record['path']).url} row group {record['row_group']}")
        columns = {name: _values(column) for name, column in zip(first.column_names, first.columns, strict=True)}
        found += [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        if len(found) == rows:
            break
    return found


def _values(column: pa.ChunkedArray) -> list[Any]:
    if not _is_beyond_python(column.type):
        with suppress(ValueError, OverflowError):
            return list(column.to_pylist())
    return [_value(element) for element in column]


def _value(value: pa.Scalar) -> Any:
    if isinstance(value, (pa.ListScalar, pa.LargeListScalar, pa.FixedSizeListScalar)) and value.is_valid:
        return [_value(element) for element in value.values]
    if _is_beyond_python(value.type):
        return value.cast(pa.string()).as_py()
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        # Outside the range of Python's dates and times.
        return value.value


def _is_beyond_python(kind: pa.DataType) -> bool:
    """Return whether values are in nanoseconds, which Python's times cannot represent."""
    if pa.types.is_nested(kind) and not isinstance(kind, pa.BaseExtensionType):
        return any(_is_beyond_python(kind.field(place).type) for place in range(kind.num_fields))
    return pa.types.is_temporal(kind) and getattr(kind, "unit", "") == "ns"
