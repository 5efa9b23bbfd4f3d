"""Converts a field's values, rows or a column, to types that torch accepts."""

from decimal import Decimal
from typing import Any

import numpy as np
import torch

from bigdata_ml.compat.petastorm.unischema import UnischemaField

__all__ = ["numeric_column", "tensor_of", "torch_friendly"]

# Petastorm promises these types, from when torch had no unsigned ones.
_PROMOTED = {np.dtype(np.uint16): np.int32, np.dtype(np.uint32): np.int64, np.dtype(np.bool_): np.uint8}


def tensor_of(field: UnischemaField, values: Any) -> Any:
    """Return a field's values as a tensor [rows, …]; text, bytes, dates and decimals as a list.

    uint16 becomes int32, uint32 int64, bool uint8, times int64 in their unit. An unknown number is NaN in a floating tensor.

    Raises:
        TypeError: an unknown value that is not a number.
        ValueError: arrays of several shapes.
    """
    column = numeric_column(field, values)
    if not isinstance(column, np.ndarray):
        return column
    return torch.from_numpy(column if column.flags.writeable and column.flags.c_contiguous else column.copy())


def numeric_column(field: UnischemaField, values: Any) -> Any:
    """Return a field's values as an array [rows, …] of a dtype that torch has, or as a list; raises like `tensor_of`."""
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OUS":
        return _promoted(values)
    listed = list(values)
    if not listed:
        return _empty_column(field)
    if any(value is None for value in listed):
        return _with_unknown(field, listed)
    if isinstance(listed[0], (str, bytes, Decimal)) or not isinstance(listed[0], (np.ndarray, np.generic, bool, int, float)):
        return [str(value) if isinstance(value, np.str_) else value for value in listed]
    shapes = sorted({np.shape(value) for value in listed})
    if len(shapes) > 1:
        raise ValueError(
            f"field {field.name!r}: the arrays of a batch have {len(shapes)} shapes, for example {shapes[0]} and {shapes[-1]}; "
            "make them equal in a TransformSpec, or pass a collate_fn that pads"
        )
    stacked = np.stack(listed)
    return stacked.tolist() if stacked.dtype.kind in "OUS" else _promoted(stacked)


def torch_friendly(name: str, values: Any) -> Any:
    """Return a field's values for a `collate_fn`, one per row, promoted to types that torch accepts.

    Raises:
        TypeError: an unknown value, naming the field.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OUS":
        return _promoted(values)
    promoted = []
    for value in values:
        if value is None:
            raise TypeError(
                f"field {name!r} has an unknown value (None); fill it in a TransformSpec, or exclude its row by a predicate"
            )
        promoted.append(_promoted(np.asarray(value))[()] if isinstance(value, (np.ndarray, np.generic)) else value)
    return promoted


def _promoted(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "fi":
        return values
    if values.dtype.kind in "mM":
        return values.astype(np.int64)
    if values.dtype.kind in "OUS":
        return values
    promoted = _PROMOTED.get(values.dtype)
    return values if promoted is None else values.astype(promoted)


def _with_unknown(field: UnischemaField, values: list[Any]) -> Any:
    known = [value for value in values if value is not None]
    if any(isinstance(value, (str, bytes, Decimal)) for value in known) or (not known and _is_text(field)):
        return values
    if tuple(field.shape) or any(np.ndim(value) or isinstance(value, (bool, np.bool_)) for value in known):
        raise TypeError(
            f"field {field.name!r} has an unknown value (None), which a tensor cannot hold; fill it in a TransformSpec, "
            "or exclude such rows by a predicate"
        )
    kind = np.asarray(known).dtype if known else np.dtype(np.float64)
    floating = kind if kind.kind == "f" else np.dtype(np.float64)
    return np.array([np.nan if value is None else value for value in values], floating)


def _is_text(field: UnischemaField) -> bool:
    return isinstance(field.numpy_dtype, type) and issubclass(field.numpy_dtype, (np.str_, np.bytes_, Decimal))


def _empty_column(field: UnischemaField) -> Any:
    """Return an empty column."""
    if _is_text(field) or field.numpy_dtype is None:
        return []
    dtype = np.dtype(field.numpy_dtype)
    shape = [size or 0 for size in field.shape]
    return _promoted(np.zeros((0, *shape), np.int64 if dtype.kind in "mM" else dtype))
