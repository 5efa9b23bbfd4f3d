"""Encoded images to arrays: JPEG by libjpeg-turbo at the smallest scale that covers the target, the rest by Pillow."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pyarrow as pa

from bigdata_ml.reader.decode.png16 import decode_png16
from bigdata_ml.schema.picture_file import (
    MOST_PIXELS,
    ImageRefused,
    check_jpeg,
    has_frames,
    kind_of,
    opened_picture,
    refusing_broken,
)

__all__ = ["decode_image", "decode_image16", "resize_raw"]

# 16 bits as they lie in the file, and as Pillow before 10 held them.
_GREY16 = ("I;16", "I;16B", "I;16L", "I")


def decode_image(data: pa.Buffer, channels: int, image_size: tuple[int, int] | None, max_pixels: int = MOST_PIXELS) -> np.ndarray:
    """Return uint8 [height, width, channels], resized to `image_size` (height, width) unless it is None.

    Raises:
        ImageRefused: bytes that are no image of one frame, or one of more than `max_pixels` by its header.
    """
    # Arrow's bytes are signed, simplejpeg's are not.
    view = memoryview(data).cast("B")
    kind = kind_of(view)
    if kind == "JPEG":
        check_jpeg(view, max_pixels)
        # What libjpeg warns of, Pillow judges, as it did in the preparation job: stray bytes pass, a cut file does not.
        with refusing_broken(view, kind), suppress(KeyError, ValueError):
            return _decode_jpeg(view, channels, image_size)
    with _one_frame(view, kind, max_pixels) as opened:
        return _resized(opened.convert("L" if channels == 1 else "RGB"), image_size)


def decode_image16(
    data: pa.Buffer, channels: int, image_size: tuple[int, int] | None, max_pixels: int = MOST_PIXELS
) -> np.ndarray:
    """Return uint16 [height, width, channels] of a PNG of 16 bits a channel; it is not resized.

    Raises:
        ImageRefused: bytes that are no such image, another size than the one asked for, or more than `max_pixels`.
    """
    view = memoryview(data).cast("B")
    with _one_frame(view, kind_of(view), max_pixels) as opened:
        if channels == 1 and opened.mode in _GREY16:
            image = np.asarray(opened).astype(np.uint16)[:, :, np.newaxis]
        else:
            # Pillow reads 16 bits of colour as 8.
            image = decode_png16(bytes(view), max_pixels)
        if image.shape[2] != channels:
            raise ValueError(f"it has {image.shape[2]} channels, the schema says {channels}")
        if image_size not in (None, image.shape[:2]):
            raise ValueError("images of 16 bits are not resized; leave image_size out and resize in a transform")
    return image


@contextmanager
def _one_frame(view: memoryview, kind: str, max_pixels: int) -> Iterator[Any]:
    with opened_picture(view, kind, max_pixels) as opened:
        if has_frames(opened):
            raise ImageRefused(
                "multi_frame", f"the {kind} holds more than one frame; prepare_images --frames first takes the first"
            )
        yield opened


def resize_raw(image: np.ndarray, image_size: tuple[int, int] | None) -> np.ndarray:
    """Return a decoded uint8 image [height, width, channels] of 1 or 3 channels, resized."""
    return _resized(_from_array(image), image_size)


def _decode_jpeg(data: memoryview, channels: int, image_size: tuple[int, int] | None) -> np.ndarray:
    import simplejpeg

    height, width = image_size or (0, 0)
    image = simplejpeg.decode_jpeg(
        data,
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
