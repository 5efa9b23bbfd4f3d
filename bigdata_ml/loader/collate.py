"""Numpy columns to a batch of tensors."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import torch
from PIL import Image

from bigdata_ml.loader.transforms import Sample
from bigdata_ml.reader.decode.columns import Columns

__all__ = ["Batch", "blanked", "from_samples", "to_samples", "to_tensors"]

Batch = dict[str, Any]

_NUMBERS = (np.ndarray, np.generic, bool, int, float, torch.Tensor)
# What text, bytes, exact decimals and lists are once they are decoded: a column of them is a list.
_LISTED = (str, bytes, list, Decimal, type(None))
# Pillow's modes of 8 bits a channel whose bytes are pixels, not places in a palette.
_PIXELS = ("L", "LA", "RGB", "RGBA")


def to_tensors(columns: Columns) -> Batch:
    """Return numpy columns as tensors of the same dtype and shape; text and columns of one ragged dimension stay lists.

    Raises:
        ValueError: images, or arrays of two dimensions and more, of differing shapes, naming the field and the way out.
        TypeError: an array of a dtype that torch does not have.
    """
    return {name: _tensor(name, values) for name, values in columns.items()}


def to_samples(columns: Columns, rows: int) -> list[Sample]:
    """Return the columns as one dict a row."""
    return [{name: values[row] for name, values in columns.items()} for row in range(rows)]


def from_samples(samples: Sequence[Sample]) -> Columns:
    """Return samples as columns again; numbers, arrays, tensors and images of one shape are stacked, else they are a list.

    Tensors become one without gradients. An image of Pillow is uint8 [height, width, channels], a grey one has one channel.

    Raises:
        ValueError: samples with differing fields.
        TypeError: a value that cannot be in a column, or values of one field that do not go together.
    """
    names = samples[0].keys()
    for sample in samples:
        if sample.keys() != names:
            raise ValueError(f"a transform must return the same fields for every row, got {list(names)} and {list(sample)}")
    return {name: _column(name, [_value(name, sample[name]) for sample in samples]) for name in names}


def blanked(columns: Columns, rows: np.ndarray) -> Columns:
    """Return columns with zeros, or empty text and arrays, in `rows` (bool [rows])."""
    return {name: _blanked(values, rows) for name, values in columns.items()}


def _blanked(values: Any, rows: np.ndarray) -> Any:
    if isinstance(values, torch.Tensor):
        return values.index_fill(0, torch.from_numpy(np.flatnonzero(rows)).to(values.device), 0)
    if not isinstance(values, np.ndarray):
        return [_nothing_like(value) if blank else value for value, blank in zip(values, rows.tolist(), strict=True)]
    changed = values.copy()
    changed[rows] = np.zeros((), values.dtype)
    return changed


def _nothing_like(value: Any) -> Any:
    if isinstance(value, list):
        return [_nothing_like(element) for element in value]
    if isinstance(value, torch.Tensor):
        return torch.zeros_like(value)
    return np.zeros_like(value) if isinstance(value, np.ndarray) else type(value)() if value is not None else None


def _value(name: str, value: Any) -> Any:
    """Return what a transform gave for a row as it is kept until the batch is whole."""
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, Image.Image):
        if value.mode not in _PIXELS:
            raise TypeError(
                f"field {name!r}: a transform returned an image of mode {value.mode!r}, which is none of {', '.join(_PIXELS)}; "
                "return image.convert('RGB'), or numpy.asarray(image) for its values as they are"
            )
        pixels = np.asarray(value)
        return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels
    if not isinstance(value, (*_NUMBERS, *_LISTED)):
        raise TypeError(
            f"field {name!r}: a transform returned a {type(value).__name__}, which cannot be in a column; return a number, text, "
            "a numpy array, a torch tensor, an image or a list, or a field for each of its parts"
        )
    return value


def _column(name: str, values: list[Any]) -> Any:
    # numpy's text is text.
    numbers = [isinstance(value, _NUMBERS) and not isinstance(value, (str, bytes)) for value in values]
    if not any(numbers) or _is_text(values[0]):
        return values
    if not all(numbers):
        kinds = " and ".join(sorted({type(value).__name__ for value in values}))
        raise TypeError(f"field {name!r}: a transform returned {kinds} in one batch; return the same type for every row")
    if any(isinstance(value, torch.Tensor) for value in values):
        # A row's array may be one that cannot be written to.
        values = [value if isinstance(value, torch.Tensor) else _from_numpy(name, np.array(value)) for value in values]
        kinds = " and ".join(sorted({str(value.dtype) for value in values}))
        if " and " in kinds:
            raise TypeError(f"field {name!r}: a transform returned {kinds} in one batch; return the same dtype for every row")
    if len({tuple(np.shape(value)) for value in values}) != 1:
        return values
    return torch.stack(values) if isinstance(values[0], torch.Tensor) else np.stack([np.asarray(value) for value in values])


def _is_text(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "US"


def _from_numpy(name: str, array: np.ndarray) -> torch.Tensor:
    try:
        return torch.from_numpy(array)
    except TypeError as error:
        raise TypeError(f"field {name!r}: torch has no dtype for numpy's {array.dtype}; return numbers or booleans") from error


def _tensor(name: str, values: Any) -> Any:
    if isinstance(values, np.ndarray):
        # Arrow's memory is read-only and may be shared by other batches.
        return _from_numpy(name, values if values.flags.writeable and values.flags.c_contiguous else values.copy())
    if isinstance(values, torch.Tensor) or not values:
        return values
    if isinstance(values[0], (np.ndarray, torch.Tensor)) and values[0].ndim > 1 and not _is_text(values[0]):
        sizes = sorted({tuple(value.shape) for value in values})
        raise ValueError(
            f"field {name!r}: the values of a batch have {len(sizes)} shapes, {sizes[0]} and {sizes[-1]} among them; "
            "give a transform that makes them equal, or, for images, ReadOptions(image_size=(height, width))"
        )
    return values
