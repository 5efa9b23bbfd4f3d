"""Text that is no UTF-8: Parquet files may hold any bytes as text, and an error names the row."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from bigdata_ml.dataset.group_rows import rows_of_bad_text
from bigdata_ml.errors import BigDataMLError, DecodeFailed

__all__ = ["checked_text"]


def checked_text(
    column: pa.Array, name: str, *, place: Callable[[int], str], on_bad_row: Callable[[int, BigDataMLError], None]
) -> pa.Array:
    """Return a column whose text is all UTF-8, with empty text, or an empty list, in the place of what is not.

    Args:
        column: of any type; one without text is returned as it is.
        name: of its field.
        place: says where a row lies.
        on_bad_row: told the row and its DecodeFailed; raises it, or returns.
    """
    bad = rows_of_bad_text(column)
    if not len(bad):
        return column
    for row in bad.tolist():
        on_bad_row(row, DecodeFailed(f"{place(row)} field {name!r}: the text is no UTF-8; write it as binary, or write it again"))
    nothing, blank = _nothing_of(column.type), np.isin(np.arange(len(column)), bad)
    return pa.array([nothing if empty else column[row].as_py() for row, empty in enumerate(blank.tolist())], column.type)


def _nothing_of(kind: pa.DataType) -> Any:
    if pa.types.is_fixed_size_list(kind):
        return [_nothing_of(kind.value_type)] * kind.list_size
    return [] if pa.types.is_nested(kind) else ""
