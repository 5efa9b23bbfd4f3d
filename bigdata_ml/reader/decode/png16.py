"""PNG of 16 bits a channel, which Pillow reads as 8 bits where there are several channels (PNG specification, third edition)."""

import struct
import zlib
from collections.abc import Callable

import numpy as np

from bigdata_ml.schema.picture_file import MOST_PIXELS, check_size

__all__ = ["decode_png16"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3}
_Guess = Callable[[int, int, int], int]
_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)


def decode_png16(data: bytes, max_pixels: int = MOST_PIXELS) -> np.ndarray:
    """Return uint16 [height, width, channels] of a grey or RGB PNG of 16 bits a channel that is not interlaced.

    Raises:
        ValueError: another PNG, a broken one, or one of more than `max_pixels`.
    """
    header, packed = _chunks(data)
    width, height, depth, colour, _, _, interlaced = header
    if depth != 16 or colour not in _CHANNELS or interlaced:
        raise ValueError(f"a PNG of {depth} bits, colour type {colour} is not read as uint16")
    if not width * height:
        raise ValueError(f"a PNG of {height} × {width} pixels")
    check_size(height, width, max_pixels)
    pixel = 2 * _CHANNELS[colour]
    line = 1 + width * pixel
    unpack = zlib.decompressobj()
    try:
        raw = unpack.decompress(packed, height * line)
    except zlib.error as error:
        raise ValueError(f"a broken PNG ({error})") from error
    if len(raw) != height * line:
        raise ValueError("a PNG that is cut short")
    lines = np.frombuffer(raw, np.uint8).reshape(height, line)
    values = _unfiltered(lines[:, 0], lines[:, 1:].reshape(height, width, pixel))
    return values.reshape(height, width * pixel).view(">u2").astype(np.uint16).reshape(height, width, -1)


def _chunks(data: bytes) -> tuple[tuple[int, ...], bytes]:
    if data[:8] != _SIGNATURE:
        raise ValueError("no PNG")
    header: tuple[int, ...] | None = None
    packed = []
    place = 8
    while place + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        body = data[place + 8 : place + 8 + length]
        if zlib.crc32(kind + body) != int.from_bytes(data[place + 8 + length : place + 12 + length], "big"):
            raise ValueError("a broken PNG (a chunk's checksum differs)")
        if kind == b"IHDR" and len(body) == 13:
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed.append(body)
        place += 12 + length
    if header is None:
        raise ValueError("a broken PNG (no header)")
    return header, b"".join(packed)


def _unfiltered(kinds: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Undo each line's filter; uint8 [height, width, bytes a pixel]."""
    done = np.empty_like(lines)
    above = np.zeros_like(lines[0])
    for row, kind in enumerate(kinds.tolist()):
        line = lines[row]
        if kind == _NONE:
            above = line
        elif kind == _SUB:
            above = np.add.accumulate(line, axis=0, dtype=np.uint8)
        elif kind == _UP:
            above = line + above
        elif kind in (_AVERAGE, _PAETH):
            above = _by_pixel(line, above, _average if kind == _AVERAGE else _paeth)
        else:
            raise ValueError(f"a broken PNG (filter {kind})")
        done[row] = above
    return done


def _by_pixel(line: np.ndarray, above: np.ndarray, guess: _Guess) -> np.ndarray:
    """Undo a filter in which each pixel needs the one before it."""
    columns = []
    for channel in range(line.shape[1]):
        left = corner = 0
        values = []
        for value, over in zip(line[:, channel].tolist(), above[:, channel].tolist(), strict=True):
            left = (value + guess(left, over, corner)) & 0xFF
            corner = over
            values.append(left)
        columns.append(values)
    return np.array(columns, np.uint8).T


def _average(left: int, over: int, _: int) -> int:
    return (left + over) >> 1


def _paeth(left: int, over: int, corner: int) -> int:
    estimate = left + over - corner
    distances = (abs(estimate - left), abs(estimate - over), abs(estimate - corner))
    return (left, over, corner)[distances.index(min(distances))]
