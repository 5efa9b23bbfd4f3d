"""Numpy columns to a batch of tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from bigdata_ml.loader.transforms import Sample
from bigdata_ml.reader.decode import Columns

__all__ = ["Batch", "blanked", "from_samples", "to_samples", "to_tensors"]

Batch = dict[str, Any]


def to_tensors(columns: Columns) -> Batch:
    """Return numpy columns as tensors of the same dtype and shape; text and columns of one ragged dimension stay lists.

    Raises:
        ValueError: images, or arrays of two dimensions and more, of differing shapes, naming the field and the way out.
    """
    return {name: _tensor(name, values) for name, values in columns.items()}


def to_samples(columns: Columns, rows: int) -> list[Sample]:
    """Return the columns as one dict a row."""
    return [{name: values[row] for name, values in columns.items()} for row in range(rows)]


def from_samples(samples: Sequence[Sample]) -> Columns:
    """Return samples as columns again; arrays of one shape are stacked.

    Raises:
        ValueError: samples with differing fields.
    """
    names = samples[0].keys()
    for sample in samples:
        if sample.keys() != names:
            raise ValueError(f"a transform must return the same fields for every row, got {list(names)} and {list(sample)}")
    return {name: _column([sample[name] for sample in samples]) for name in names}


def blanked(columns: Columns, rows: np.ndarray) -> Columns:
    """Return columns with zeros, or empty text and arrays, in `rows` (bool [rows])."""
    return {name: _blanked(values, rows) for name, values in columns.items()}


def _blanked(values: Any, rows: np.ndarray) -> Any:
    if not isinstance(values, np.ndarray):
        return [_nothing_like(value) if blank else value for value, blank in zip(values, rows.tolist(), strict=True)]
    changed = values.copy()
    changed[rows] = np.zeros((), values.dtype)
    return changed


def _nothing_like(value: Any) -> Any:
    if isinstance(value, list):
        return [_nothing_like(one) for one in value]
    return np.zeros_like(value) if isinstance(value, np.ndarray) else type(value)() if value is not None else None


def _column(values: list[Any]) -> Any:
    if np.asarray(values[0]).dtype.kind in "US":
        return values
    if isinstance(values[0], (np.ndarray, np.generic, bool, int, float)) and len({np.shape(value) for value in values}) == 1:
        return np.stack([np.asarray(value) for value in values])
    return values


def _tensor(name: str, values: Any) -> Any:
    if isinstance(values, np.ndarray):
        # Arrow's memory is read-only and may be shared by other batches.
        return torch.from_numpy(values if values.flags.writeable and values.flags.c_contiguous else values.copy())
    if values and isinstance(values[0], np.ndarray) and values[0].ndim > 1 and values[0].dtype.kind not in "US":
        sizes = sorted({value.shape for value in values})
        raise ValueError(
            f"field {name!r}: the values of a batch have {len(sizes)} shapes, {sizes[0]} and {sizes[-1]} among them; "
            "give a transform that makes them equal, or, for images, ReadOptions(image_size=(height, width))"
        )
    return values
