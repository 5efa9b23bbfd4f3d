"""Pictures as Petastorm's `CompressedImageCodec` stores them: PNG and JPEG files, to arrays and back."""

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

# Of pictures that are decoded at once: threads take turns at Python's lock less often, and a processor's cache holds them.
_AT_ONCE = 256 << 10


def encode_picture(picture: np.ndarray, form: str, quality: int) -> bytearray:
    """Return the file of a picture.

    Args:
        picture: uint8 or uint16, [height, width] or [height, width, 3].
        form: "png", "jpeg", or what else Pillow writes.
        quality: of JPEG, 1 … 100.

    Raises:
        ValueError: three colours of 16 bits where OpenCV is not installed.
    """
    if picture.dtype == np.uint16 and picture.ndim == 3:
        return _encode_deep(picture)
    from PIL import Image

    stream, jpeg = io.BytesIO(), form in ("jpeg", "jpg")
    options: dict[str, Any] = {"quality": quality} if jpeg else {}
    Image.fromarray(picture).save(stream, "jpeg" if jpeg else form, **options)
    return bytearray(stream.getvalue())


def decode_picture(data: Any) -> np.ndarray:
    """Return [height, width] or [height, width, 3] of uint8 or uint16, as the file has it.

    JPEG is decoded by libjpeg-turbo, all else by OpenCV where it is installed, else by Pillow.

    Raises:
        ValueError: bytes that are no picture, or one with transparency; `ImageRefused` is one.
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


def decode_pictures_into(files: Sequence[Any], rooms: np.ndarray) -> bool:
    """Decode pictures where they are to lie, and return whether all have the size and channels of `rooms`.

    One that has not leaves anything in them, and so does one that `decode_picture`, which says why, cannot decode.

    Args:
        files: as they are stored.
        rooms: uint8 [files, height, width, 3].
    """
    if not rooms.size:
        return not files
    count = max(1, _AT_ONCE // rooms[0].nbytes)
    return all(_decode_several(files[row : row + count], rooms[row : row + count]) for row in range(0, len(files), count))


def _decode_several(files: Sequence[Any], rooms: np.ndarray) -> bool:
    together = decode_sub_pngs(files, rooms) or _decode_alike_jpegs(files, rooms)
    return together or all(_decode_into(file, room) for file, room in zip(files, rooms, strict=True))


def _decode_alike_jpegs(files: Sequence[Any], rooms: np.ndarray) -> bool:
    """Decode JPEGs that begin alike, their frame headers included, as those of one encoder do: one header is read for all."""
    end = jpeg_frame(memoryview(files[0])) + 10
    begin = bytes(files[0][:end])
    if end < 10 or begin[end - 1] == 1 or any(bytes(file[:end]) != begin for file in files):
        return False
    from simplejpeg import decode_jpeg

    try:
        return all(decode_jpeg(file, buffer=room).shape == room.shape for file, room in zip(files, rooms, strict=True))
    except (ValueError, KeyError):
        return False


def _decode_into(data: Any, room: np.ndarray) -> bool:
    if bytes(data[:2]) == b"\xff\xd8":
        import simplejpeg

        if _has_one_channel(data):
            return False
        try:
            check_jpeg(data, MOST_PIXELS)
            return bool(simplejpeg.decode_jpeg(data, buffer=room).shape == room.shape)
        # A larger picture than there is room for, too.
        except (ValueError, KeyError):
            return False
    cv2 = _opencv()
    if cv2 is None:
        return False
    try:
        _check_png(data)
        found = _decode_by_opencv(cv2, data)
    except ValueError:
        return False
    if found.dtype != room.dtype or found.shape != room.shape:
        return False
    room[...] = found
    return True


def _decode_jpeg(data: Any) -> np.ndarray:
    import simplejpeg

    if _has_one_channel(data):
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="GRAY"))[:, :, 0]
    return np.asarray(simplejpeg.decode_jpeg(data))


def _decode_by_opencv(cv2: Any, data: Any) -> np.ndarray:
    # What has a colour key, a palette or more bits is asked for as it is, which is blue, green, red.
    plain = hasattr(cv2, "IMREAD_COLOR_RGB") and _is_plain_png(data)
    how = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION if plain else cv2.IMREAD_UNCHANGED
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), how)
    # Of no bytes, or more pixels than it allows.
    except cv2.error as error:
        raise ValueError(f"the bytes are no picture that OpenCV reads: {error}") from error
    if found is None:
        raise ValueError("the bytes are no picture that OpenCV reads")
    if plain or found.ndim == 2:
        return np.asarray(found)
    _check_colours(found.shape[2])
    return np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB))


def _is_plain_png(data: Any) -> bool:
    """Whether it is a PNG of three channels of 8 bits, its pixels right behind its header (PNG, third edition, 5.6, 11.2.1)."""
    return bytes(data[12:16]) == b"IHDR" and bytes(data[24:26]) == b"\x08\x02" and bytes(data[37:41]) == b"IDAT"


def _has_one_channel(jpeg: Any) -> bool:
    """Whether a JPEG's frame header says so; false where none is found, which the decoder will say.

    Read here since simplejpeg lets go of Python's lock to read it, for which threads then queue: a tenth of the decoding.
    """
    place = jpeg_frame(memoryview(jpeg))
    return place >= 0 and bool(jpeg[place + 9] == 1)


def _check_png(data: Any) -> None:
    """Refuse a PNG that says it is larger than may be; OpenCV's decoder wants the header first (PNG, third edition, 5.6)."""
    view = memoryview(data)
    if bytes(view[12:16]) == b"IHDR":
        check_size(int.from_bytes(view[20:24], "big"), int.from_bytes(view[16:20], "big"), MOST_PIXELS)


def _decode_by_pillow(data: memoryview, kind: str) -> np.ndarray:
    # IHDR: depth 16, three colours. Pillow would cut them to 8 bits.
    if kind == "PNG" and bytes(data[24:26]) == b"\x10\x02":
        return decode_png16(bytes(data))
    with opened_picture(data, kind, MOST_PIXELS) as picture:
        _check_colours(len(picture.getbands()))
        found = np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)
    return found.astype(np.uint16) if found.dtype == np.int32 else found


def _check_colours(count: int) -> None:
    if count not in (1, 3):
        raise ValueError(f"a picture has one channel or three, this one has {count}: drop its transparency before encoding it")


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        return None
    return cv2


def _encode_deep(picture: np.ndarray) -> bytearray:
    cv2 = _opencv()
    if cv2 is None:
        raise ValueError("three colours with 16 bits need OpenCV: pip install opencv-python-headless")
    done, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError("OpenCV cannot encode the picture")
    return bytearray(encoded)
