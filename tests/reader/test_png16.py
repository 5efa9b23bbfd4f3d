"""PNG of 16 bits a channel, by every filter of the format."""

import struct
import zlib

import numpy as np
import pytest

from bigdata_ml.reader.decode.png16 import decode_png16


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(lines: bytes, *, width: int, height: int, colour: int = 2, depth: int = 16, interlaced: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))


def filtered(image: np.ndarray, kinds: list[int]) -> bytes:
    """The lines of an image, filtered as the format's text says, byte by byte."""
    pixel = 2 * image.shape[2]
    raw = [list(line.astype(">u2").tobytes()) for line in image]
    out = bytearray()
    for row, kind in enumerate(kinds):
        out.append(kind)
        for place, value in enumerate(raw[row]):
            left = raw[row][place - pixel] if place >= pixel else 0
            above = raw[row - 1][place] if row else 0
            corner = raw[row - 1][place - pixel] if row and place >= pixel else 0
            guess = [0, left, above, (left + above) // 2, paeth(left, above, corner)][kind]
            out.append((value - guess) & 0xFF)
    return bytes(out)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kinds", [[0] * 5, [1] * 5, [2] * 5, [3] * 5, [4] * 5, [4, 3, 2, 1, 0]])
def test_an_image_comes_back_whatever_its_filters(channels: int, kinds: list[int]) -> None:
    image = np.random.default_rng(1).integers(0, 65536, (5, 7, channels), np.uint16)
    data = png(filtered(image, kinds), width=7, height=5, colour=2 if channels == 3 else 0)
    found = decode_png16(data)
    assert found.dtype == np.uint16
    assert np.array_equal(found, image)


GOOD = filtered(np.zeros((2, 2, 3), np.uint16), [0, 0])


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"GIF", "no PNG"),
        (png(GOOD, width=2, height=2)[:8], "no header"),
        (png(GOOD, width=2, height=2)[:30] + b"x" + png(GOOD, width=2, height=2)[31:], "checksum differs"),
        (png(GOOD, width=2, height=2, depth=8), "8 bits"),
        (png(GOOD, width=2, height=2, colour=6), "colour type 6"),
        (png(GOOD, width=2, height=2, interlaced=1), "not read"),
        (png(GOOD, width=2, height=3), "cut short"),
        (png(GOOD, width=1 << 30, height=1 << 30), "pixels"),
        (png(b"\x05" + GOOD[1:], width=2, height=2), "filter 5"),
    ],
)
def test_another_png_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        decode_png16(data)
