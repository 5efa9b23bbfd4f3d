"""Encoded images to arrays: JPEG by libjpeg-turbo at the smallest scale that covers the target, the rest by Pillow."""

import io
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from bigdata_ml.reader.png16 import decode_png16

__all__ = ["decode_image", "decode_image16", "resize_raw"]

# 16 bits as they lie in the file, and as Pillow before 10 held them.
_GREY16 = ("I;16", "I;16B", "I;16L", "I")


def decode_image(data: pa.Buffer, channels: int, image_size: tuple[int, int] | None) -> np.ndarray:
    """Return uint8 [height, width, channels], resized to `image_size` (height, width) unless it is None.

    Raises:
        OSError, ValueError, SyntaxError: bytes that are no image.
    """
    from PIL import Image

    if bytes(data[:2]) == b"\xff\xd8":
        # What libjpeg warns of, Pillow judges, as it did in the preparation job: stray bytes pass, a cut file does not.
        with suppress(KeyError, ValueError):
            return _decode_jpeg(data, channels, image_size)
    with Image.open(io.BytesIO(data)) as opened:
        return _resized(opened.convert("L" if channels == 1 else "RGB"), image_size)


def decode_image16(data: pa.Buffer, channels: int, image_size: tuple[int, int] | None) -> np.ndarray:
    """Return uint16 [height, width, channels] of a PNG of 16 bits a channel; it is not resized.

    Raises:
        OSError, ValueError, SyntaxError: bytes that are no such image, or another size than the one asked for.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        if channels == 1 and opened.mode in _GREY16:
            image = np.asarray(opened).astype(np.uint16)[:, :, np.newaxis]
        else:
            # Pillow reads 16 bits of colour as 8.
            image = decode_png16(bytes(data))
    if image.shape[2] != channels:
        raise ValueError(f"it has {image.shape[2]} channels, the schema says {channels}")
    if image_size not in (None, image.shape[:2]):
        raise ValueError("images of 16 bits are not resized; leave image_size out and resize in a transform")
    return image


def resize_raw(image: np.ndarray, image_size: tuple[int, int] | None) -> np.ndarray:
    """Return a decoded uint8 image [height, width, channels] of 1 or 3 channels, resized."""
    return _resized(_from_array(image), image_size)


def _decode_jpeg(data: pa.Buffer, channels: int, image_size: tuple[int, int] | None) -> np.ndarray:
    import simplejpeg

    height, width = image_size or (0, 0)
    image = simplejpeg.decode_jpeg(
        # Arrow's bytes are signed, simplejpeg's are not.
        memoryview(data).cast("B"),
        colorspace="GRAY" if channels == 1 else "RGB",
        min_height=height,
        min_width=width,
        min_factor=1,
    )
    return np.asarray(image) if image_size in (None, image.shape[:2]) else resize_raw(image, image_size)


def _from_array(image: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def _resized(picture: Any, image_size: tuple[int, int] | None) -> np.ndarray:
    from PIL import Image

    if image_size is not None and picture.size != image_size[::-1]:
        picture = picture.resize(image_size[::-1], Image.Resampling.BILINEAR)
    array = np.asarray(picture)
    return array[:, :, np.newaxis] if array.ndim == 2 else array
