"""A JPEG's channels are those of its frame header, whatever stands before it; a PNG's pixels lie as they are said to."""

import io
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from forged_pictures import FORGED
from PIL import Image

from bigdata_ml.compat.petastorm.values.pictures import decode_picture, decode_pictures_into

# Among them segments that hold what looks like a frame header, of one channel and of three.
BEFORE = [
    {},
    {"progressive": True},
    {"comment": b"\xff\xc0\x00\x11\x08\x00\x09\x00\x07\x01" * 3},
    {"exif": b"Exif\x00\x00" + b"\xff\xc2\x00\x11\x08\x00\x09\x00\x07\x03" * 3},
]


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
@pytest.mark.parametrize("options", BEFORE)
def test_a_jpeg_is_read_with_the_channels_it_has(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full(shape, 100, np.uint8)).save(stream, "jpeg", **options)
    found = decode_picture(memoryview(stream.getvalue()))
    assert (found.shape, found.dtype) == (shape, np.uint8)


TURNED = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize("options", [{}, {"exif": TURNED}, {"dpi": (72, 72)}, {"icc_profile": b"no profile"}])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 3)])
def test_a_png_is_read_as_it_lies_whatever_it_says_beside_its_pixels(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    stream, wanted = io.BytesIO(), np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(wanted).save(stream, "png", **options)
    assert decode_picture(memoryview(stream.getvalue())).tolist() == wanted.tolist()


def test_a_png_whose_orientation_stands_behind_its_pixels_is_not_turned() -> None:
    stream, wanted = io.BytesIO(), np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(wanted).save(stream, "png")
    chunk = b"eXIf" + TURNED[6:]
    whole = len(TURNED[6:]).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    data = stream.getvalue()[:-12] + whole + stream.getvalue()[-12:]
    assert decode_picture(memoryview(data)).tolist() == wanted.tolist()


def test_a_png_with_a_transparent_colour_is_refused() -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((9, 7, 3), 100, np.uint8)).save(stream, "png", transparency=(100, 100, 100))
    with pytest.raises(ValueError, match="transparency"):
        decode_picture(memoryview(stream.getvalue()))


@pytest.mark.parametrize("data", [b"\xff\xd8", b"\xff\xd8" + b"\xff" * 100, b"\xff\xd8\xff\xe0\x00\x00" + b"\xff\xe0\0\0" * 50])
def test_half_a_jpeg_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_picture(memoryview(data))


@pytest.mark.parametrize("name", [name for name, (_, reason) in FORGED.items() if reason != "multi_frame"])
@pytest.mark.parametrize("opencv", [True, False])
def test_a_forged_picture_is_refused_with_and_without_opencv(name: str, opencv: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not opencv:
        monkeypatch.setitem(sys.modules, "cv2", None)
    content, _ = FORGED[name]
    with pytest.raises(ValueError, match=r".+"):
        decode_picture(memoryview(content))
    rooms = np.zeros((1, 40, 40, 3), np.uint8)
    assert not decode_pictures_into([content], rooms)
