"""Arrow to pandas and back as it was before pandas 3: text is `object`, a null is None."""

from typing import Any

import pandas as pd
import pyarrow as pa

__all__ = ["table_from_pandas", "to_pandas"]


def to_pandas(arrow: Any, *args: Any, **options: Any) -> Any:
    """Return `arrow.to_pandas(...)` with columns of text as objects rather than pandas' own type.

    Where integers are asked for as objects with None, which is where rows are made, unknown times and dictionary values are None
    too: Petastorm fails on pandas' NaT, and takes its NaN for the text 'nan'.
    """
    result = arrow.to_pandas(*args, **options)
    if isinstance(result, pd.Series):
        return _as_objects(result, arrow) if isinstance(result.dtype, pd.StringDtype) else result
    for place, (name, dtype) in enumerate(zip(result.columns, result.dtypes, strict=True)):
        column = arrow.column(str(name))
        if isinstance(dtype, pd.StringDtype):
            result.isetitem(place, _as_objects(result.iloc[:, place], column))
        elif options.get("integer_object_nulls") and column.null_count and (dtype.kind == "M" or dtype == "category"):
            result.isetitem(place, pd.Series(column.to_pylist(), index=result.index, dtype=object))
    return result


def _as_objects(text: "pd.Series[Any]", arrow: Any) -> "pd.Series[Any]":
    values = arrow.to_numpy(zero_copy_only=False) if isinstance(arrow, pa.Array) else arrow.to_numpy()
    return pd.Series(values, index=text.index, name=text.name, dtype=object)


def table_from_pandas(frame: pd.DataFrame, *args: Any, **options: Any) -> pa.Table:
    """Return `pa.Table.from_pandas(...)` with pandas 3's large strings as strings, which Petastorm asks for."""
    table = pa.Table.from_pandas(frame, *args, **options)
    for place, field in enumerate(table.schema):
        if pa.types.is_large_string(field.type):
            table = table.set_column(place, field.with_type(pa.string()), table.column(place).cast(pa.string()))
    return table
