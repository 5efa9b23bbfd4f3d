"""Pixels as PNG pictures of a size that can be seen: small ones enlarged by whole numbers, large ones reduced."""

import io

import numpy as np
from PIL import Image

from bigdata_ml.pages.page import Picture

__all__ = ["picture_of"]

_LEAST_PIXELS = 96
_MOST_PIXELS = 192


def picture_of(pixels: np.ndarray, caption: str) -> Picture:
    """Return an image of uint8 [height, width, channels], 1 or 3 channels, as a picture.

    Raises:
        ValueError: an array of another shape or dtype.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(
            f"an image must be uint8 [height, width, 1 or 3], got {pixels.dtype} {list(pixels.shape)}; convert it first"
        )
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    # Nearest neighbour by a whole factor keeps each pixel of an 8 × 8 digit a square.
    factor = -(-_LEAST_PIXELS // max(image.size))
    if factor > 1:
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    image.thumbnail((_MOST_PIXELS, _MOST_PIXELS))
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return Picture(sink.getvalue(), caption)
