"""PNG files as OpenCV writes them are decoded past libpng, to the same pixels; all others, and damaged ones, are left to it."""

import io
import struct
import tracemalloc
import zlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bigdata_ml.compat.petastorm.values import sub_png
from bigdata_ml.compat.petastorm.values.pictures import decode_pictures_into
from bigdata_ml.compat.petastorm.values.sub_png import decode_sub_pngs

cv2 = pytest.importorskip("cv2")
RNG = np.random.default_rng(5)


def pictures(count: int, height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def by_opencv(picture: np.ndarray, *options: int) -> bytes:
    return bytes(cv2.imencode(".png", picture[:, :, ::-1], options)[1])


def decoded(files: list[bytes], shape: tuple[int, ...]) -> np.ndarray | None:
    rooms = np.zeros((len(files), *shape), np.uint8)
    return rooms if decode_sub_pngs([memoryview(file) for file in files], rooms) else None


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    whole = [struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def header(height: int, width: int, *, depth: int = 8, colour: int = 2, interlaced: int = 0) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


END = (b"IEND", b"")
# One pixel: the filter Sub, and three bytes.
PIXEL = (b"IDAT", zlib.compress(b"\x01\x0a\x0b\x0c"))


@pytest.fixture(params=["isal", "zlib"])
def inflating(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: ModuleType = pytest.importorskip("isal.isal_zlib") if request.param == "isal" else zlib
    monkeypatch.setattr(sub_png, "inflating", module)
    return module


# The last one is more than one chunk of pixels. Of one pixel a line libpng makes no differences.
@pytest.mark.parametrize("size", [(1, 2), (1, 7), (7, 2), (5, 3), (64, 64), (150, 210)])
def test_what_opencv_writes_is_decoded_to_the_pixels_it_was_given(size: tuple[int, int], inflating: ModuleType) -> None:
    wanted = pictures(4, *size)
    found = decoded([by_opencv(picture) for picture in wanted], (*size, 3))
    assert found is not None
    assert found.tolist() == wanted.tolist()


def test_a_file_made_by_hand_from_the_specification_is_decoded(inflating: ModuleType) -> None:
    lines = zlib.compress(bytes([1, 10, 20, 30, 1, 2, 250, 1, 5, 5, 5, 0, 0, 1]))
    halves = [(b"IDAT", lines[:5]), (b"IDAT", b""), (b"IDAT", lines[5:])]
    found = decoded([png(header(2, 2), *halves, END)], (2, 2, 3))
    assert found is not None
    assert found.tolist() == [[[[10, 20, 30], [11, 22, 24]], [[5, 5, 5], [5, 5, 6]]]]


@pytest.mark.parametrize(
    "file",
    [
        png(header(1, 1), PIXEL),
        png(header(1, 1), END),
        png(header(2, 1), PIXEL, END),
        png(header(1, 1, colour=0), PIXEL, END),
        png(header(1, 1, interlaced=1), PIXEL, END),
        png(header(1, 1), (b"tRNS", b"\0\x0a\0\x0b\0\x0c"), PIXEL, END),
        png(header(1, 1), PIXEL, (b"tEXt", b"a\0b"), END),
        png(header(1, 1), (b"IDAT", zlib.compress(b"\x00\x0a\x0b\x0c")), END),
        png(header(1, 1), (b"IDAT", zlib.compress(b"\x02\x0a\x0b\x0c")), END),
        png(header(1, 1), (b"IDAT", zlib.compress(b"\x01\x0a\x0b")), END),
        png(header(1, 1), (b"IDAT", zlib.compress(b"\x01\x0a\x0b\x0c\x0d")), END),
        png(header(1, 1), (b"IDAT", PIXEL[1] + b"more"), END),
        png(header(1, 1), (b"IDAT", PIXEL[1][:-1]), END),
        png(header(1, 1), PIXEL, END) + b"more",
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
    ],
)
def test_what_is_written_in_another_way_is_left_to_libpng(file: bytes, inflating: ModuleType) -> None:
    assert decoded([file], (1, 1, 3)) is None
    assert decoded([png(header(1, 1), PIXEL, END), file], (1, 1, 3)) is None


def test_a_damaged_byte_never_gives_other_pixels(inflating: ModuleType) -> None:
    wanted = pictures(1, 9, 7)
    whole = by_opencv(wanted[0])
    taken = 0
    for place in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            found = decoded([bytes(damaged)], (9, 7, 3))
            taken += found is not None
            assert found is None or found.tolist() == wanted.tolist()
    # Those of the chunk's checksum, which is not needed, and some that say how the pixels were compressed.
    assert 32 <= taken < 50
    assert not any(decoded([whole[:length]], (9, 7, 3)) is not None for length in range(len(whole)))


def test_a_bomb_is_not_inflated(inflating: ModuleType) -> None:
    deflater = zlib.compressobj(9)
    packed = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(256)) + deflater.flush()
    file = png(header(1, 1), (b"IDAT", packed), END)
    tracemalloc.start()
    try:
        assert decoded([file], (1, 1, 3)) is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 << 20


@pytest.mark.parametrize("other", ["pillow", "size", "grey", "jpeg"])
def test_a_picture_of_another_kind_among_them_is_decoded_all_the_same_or_said_to_be_another(other: str) -> None:
    wanted: Any = pictures(60, 64, 64)
    files = [by_opencv(picture) for picture in wanted]
    stream = io.BytesIO()
    if other == "size":
        files[40] = by_opencv(wanted[40][:63])
    elif other == "grey":
        files[40] = bytes(cv2.imencode(".png", wanted[40][:, :, 0])[1])
    else:
        Image.fromarray(wanted[40]).save(stream, "jpeg" if other == "jpeg" else "png")
        files[40] = stream.getvalue()
    rooms = np.zeros(wanted.shape, np.uint8)
    assert decode_pictures_into([memoryview(file) for file in files], rooms) == (other in ("pillow", "jpeg"))
    if other == "pillow":
        assert rooms.tolist() == wanted.tolist()


@pytest.mark.parametrize("option", ["IMWRITE_PNG_COMPRESSION", "IMWRITE_PNG_STRATEGY"])
def test_opencvs_other_settings_give_the_same_pixels(option: str) -> None:
    wanted = pictures(3, 20, 30)
    files = [by_opencv(picture, getattr(cv2, option), 3) for picture in wanted]
    rooms = np.zeros(wanted.shape, np.uint8)
    assert decode_pictures_into([memoryview(file) for file in files], rooms)
    assert rooms.tolist() == wanted.tolist()
