"""Columns of sequences: decoded value by value, and put together again."""

from typing import Any

import numpy as np
import pyarrow as pa

from bigdata_ml.reader.decode.columns import Columns
from bigdata_ml.schema import Schema

__all__ = ["flattened", "in_sequences"]


def flattened(batch: pa.RecordBatch, schema: Schema) -> pa.RecordBatch:
    """Return the values of lists of fixed size as rows, sequence by sequence."""
    arrow = schema.to_arrow()
    return pa.RecordBatch.from_arrays([batch.column(name).flatten() for name in arrow.names], schema=arrow)


def in_sequences(columns: Columns, length: int) -> Columns:
    """Return columns of rows as columns of `length` rows each: arrays [sequences, length, …], or lists of lists."""
    return {name: _in_sequences(values, length) for name, values in columns.items()}


def _in_sequences(values: Any, length: int) -> Any:
    if isinstance(values, np.ndarray):
        return values.reshape(-1, length, *values.shape[1:])
    return [values[begin : begin + length] for begin in range(0, len(values), length)]
