"""A JPEG's channels are those of its frame header, whatever stands before it."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bigdata_ml.compat.petastorm.pictures import decode_picture

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


@pytest.mark.parametrize("data", [b"\xff\xd8", b"\xff\xd8" + b"\xff" * 100, b"\xff\xd8\xff\xe0\x00\x00" + b"\xff\xe0\0\0" * 50])
def test_half_a_jpeg_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_picture(memoryview(data))
