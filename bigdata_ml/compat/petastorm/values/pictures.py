"""Encodes and decodes images as Petastorm's `CompressedImageCodec` does: arrays to PNG and JPEG files and back."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from bigdata_ml.compat.petastorm.values.sub_png import decode_sub_pngs
from bigdata_ml.reader.decode.png16 import decode_png16
from bigdata_ml.schema.picture_file import (
    MOST_PIXELS,
    check_jpeg,
    check_size,
    jpeg_frame,
    kind_of,
    opened_picture,
    refusing_broken,
)

__all__ = ["decode_picture", "decode_pictures_into", "encode_picture"]

# Bytes of images decoded at once: threads then switch less often, and the images fit into a processor's cache.
_AT_ONCE = 256 << 10


def encode_picture(picture: np.ndarray, form: str, quality: int) -> bytearray:
    """Return the file of an image.

    Args:
        picture: uint8 or uint16, [height, width] or [height, width, 3].
        form: "png", "jpeg", or another format that Pillow writes.
        quality: of JPEG, 1 … 100.

    Raises:
        ValueError: a 16-bit RGB image, and OpenCV is not installed.
    """
    if picture.dtype == np.uint16 and picture.ndim == 3:
        return _encode_deep(picture)
    from PIL import Image

    stream, jpeg = io.BytesIO(), form in ("jpeg", "jpg")
    options: dict[str, Any] = {"quality": quality} if jpeg else {}
    Image.fromarray(picture).save(stream, "jpeg" if jpeg else form, **options)
    return bytearray(stream.getvalue())


def decode_picture(data: Any) -> np.ndarray:
    """Return [height, width] or [height, width, 3] of uint8 or uint16, as stored in the file.

    libjpeg-turbo decodes JPEG; OpenCV, or Pillow if OpenCV is not installed, decodes all other formats.

    Raises:
        ValueError: the bytes are not an image, or it has transparency; `ImageRefused` is a ValueError.
    """
    view = memoryview(data).cast("B")
    kind = kind_of(view)
    if kind == "JPEG":
        check_jpeg(view, MOST_PIXELS)
        with refusing_broken(view, kind):
            return _decode_jpeg(view)
    cv2 = _opencv()
    if cv2 is None:
        return _decode_by_pillow(view, kind)
    if kind == "PNG":
        _check_png(view)
    else:
        with opened_picture(view, kind, MOST_PIXELS):
            pass
    with refusing_broken(view, kind):
        return _decode_by_opencv(cv2, view)


def decode_pictures_into(files: Sequence[Any], images: np.ndarray) -> bool:
    """Decode images into `images`, and return whether all have its size and channels.

    If one has another shape or cannot be decoded (`decode_picture` says why), `images` is undefined.

    Args:
        files: the stored bytes.
        images: uint8 [files, height, width, 3].
    """
    if not images.size:
        return not files
    count = max(1, _AT_ONCE // images[0].nbytes)
    return all(_decode_several(files[row : row + count], images[row : row + count]) for row in range(0, len(files), count))


def _decode_several(files: Sequence[Any], images: np.ndarray) -> bool:
    together = decode_sub_pngs(files, images) or _decode_alike_jpegs(files, images)
    return together or all(_decode_into(file, image) for file, image in zip(files, images, strict=True))


def _decode_alike_jpegs(files: Sequence[Any], images: np.ndarray) -> bool:
    """Decode JPEGs of one encoder, which share all bytes up to the frame header: one header is read for all."""
    end = jpeg_frame(memoryview(files[0])) + 10
    begin = bytes(files[0][:end])
    if end < 10 or begin[end - 1] == 1 or any(bytes(file[:end]) != begin for file in files):
        return False
    from simplejpeg import decode_jpeg

    try:
        return all(decode_jpeg(file, buffer=image).shape == image.shape for file, image in zip(files, images, strict=True))
    except (ValueError, KeyError):
        return False


def _decode_into(data: Any, image: np.ndarray) -> bool:
    if bytes(data[:2]) == b"\xff\xd8":
        import simplejpeg

        if _has_one_channel(data):
            return False
        try:
            check_jpeg(data, MOST_PIXELS)
            return bool(simplejpeg.decode_jpeg(data, buffer=image).shape == image.shape)
        # Also raised if the image is larger than the buffer.
        except (ValueError, KeyError):
            return False
    cv2 = _opencv()
    if cv2 is None:
        return False
    try:
        _check_png(data)
        decoded = _decode_by_opencv(cv2, data)
    except ValueError:
        return False
    if decoded.dtype != image.dtype or decoded.shape != image.shape:
        return False
    image[...] = decoded
    return True


def _decode_jpeg(data: Any) -> np.ndarray:
    import simplejpeg

    if _has_one_channel(data):
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="GRAY"))[:, :, 0]
    return np.asarray(simplejpeg.decode_jpeg(data))


def _decode_by_opencv(cv2: Any, data: Any) -> np.ndarray:
    # Images with a colour key, a palette or more bits are decoded unchanged, as blue, green, red.
    plain = hasattr(cv2, "IMREAD_COLOR_RGB") and _is_plain_png(data)
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION if plain else cv2.IMREAD_UNCHANGED
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    # No bytes, or more pixels than OpenCV allows.
    except cv2.error as error:
        raise ValueError(f"the bytes are not an image that OpenCV can read: {error}") from error
    if decoded is None:
        raise ValueError("the bytes are not an image that OpenCV can read")
    if plain or decoded.ndim == 2:
        return np.asarray(decoded)
    _check_colours(decoded.shape[2])
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))


def _is_plain_png(data: Any) -> bool:
    """Whether it is a PNG of three 8-bit channels whose pixels follow the header directly (PNG, third edition, 5.6, 11.2.1)."""
    return bytes(data[12:16]) == b"IHDR" and bytes(data[24:26]) == b"\x08\x02" and bytes(data[37:41]) == b"IDAT"


def _has_one_channel(jpeg: Any) -> bool:
    """Whether a JPEG's frame header has one channel; False if there is no header, which the decoder reports.

    simplejpeg releases Python's lock to read the header, and waiting for the lock takes a tenth of the decoding time.
    """
    place = jpeg_frame(memoryview(jpeg))
    return place >= 0 and bool(jpeg[place + 9] == 1)


def _check_png(data: Any) -> None:
    """Refuse a PNG with too many pixels. Its header comes first (PNG, third edition, 5.6), which OpenCV also requires."""
    view = memoryview(data)
    if bytes(view[12:16]) == b"IHDR":
        check_size(int.from_bytes(view[20:24], "big"), int.from_bytes(view[16:20], "big"), MOST_PIXELS)


def _decode_by_pillow(data: memoryview, kind: str) -> np.ndarray:
    # IHDR: depth 16, RGB. Pillow would reduce it to 8 bits.
    if kind == "PNG" and bytes(data[24:26]) == b"\x10\x02":
        return decode_png16(bytes(data))
    with opened_picture(data, kind, MOST_PIXELS) as picture:
        _check_colours(len(picture.getbands()))
        pixels = np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)
    return pixels.astype(np.uint16) if pixels.dtype == np.int32 else pixels


def _check_colours(count: int) -> None:
    if count not in (1, 3):
        raise ValueError(f"an image must have one channel or three, got {count}; remove its transparency before encoding it")


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        return None
    return cv2


def _encode_deep(picture: np.ndarray) -> bytearray:
    cv2 = _opencv()
    if cv2 is None:
        raise ValueError("16-bit RGB images need OpenCV: pip install opencv-python-headless")
    success, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not success:
        raise ValueError("OpenCV cannot encode the image")
    return bytearray(encoded)
