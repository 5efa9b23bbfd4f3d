"""PNG files as OpenCV writes them, and so Petastorm: RGB, every line stored as differences from pixel to pixel.

OpenCV asks libpng for the filter Sub alone. Undoing it is one running sum: ISA-L inflates such files, and numpy sums up several
of them at once, in half the time that libpng takes. What is written in any other way is left to libpng.
"""

import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

inflating: Any
try:
    from isal import isal_zlib as inflating
except ImportError:  # There is no wheel for every processor.
    inflating = zlib

__all__ = ["decode_sub_pngs"]

_SUB = 1


def decode_sub_pngs(files: Sequence[Any], rooms: np.ndarray) -> bool:
    """Decode files into `rooms`, uint8 [files, height, width, 3], and return whether all are such ones, whole and of that size.

    The format is that of "Portable Network Graphics (PNG) Specification", third edition: chunks 5, filters 9, compression 10. A
    damaged picture is told by the checksum of its pixels, not by those of the chunks. Where the answer is no, for whatever
    reason, anything may lie in `rooms`.
    """
    _, height, width, _ = rooms.shape
    line = 1 + 3 * width
    inflated = []
    for file in files:
        found = _inflated(file, height, width, height * line)
        if found is None:
            return False
        inflated.append(found)
    lines = np.frombuffer(b"".join(inflated), np.uint8).reshape(-1, height, line)
    if (lines[:, :, 0] != _SUB).any():
        return False
    np.add.accumulate(lines[:, :, 1:].reshape(rooms.shape), axis=2, dtype=np.uint8, out=rooms)
    return True


def _inflated(file: Any, height: int, width: int, size: int) -> bytes | None:
    """Return the lines of a file that has nothing but a header of this size, pixels and an end; else None."""
    begin, end = _header(height, width), _END
    if file[: len(begin)] != begin or file[-len(end) :] != end:
        return None
    parts = []
    place = len(begin)
    while place < len(file) - len(end):
        length, kind = struct.unpack_from(">I4s", file, place)
        parts.append(file[place + 8 : place + 8 + length])
        place += 12 + length
        if kind != b"IDAT":
            return None
    if place != len(file) - len(end):
        return None
    inflater = inflating.decompressobj()
    try:
        # One byte more than there may be shows that there are more; without room for one, the end would not be looked at.
        found: bytes = inflater.decompress(parts[0] if len(parts) == 1 else b"".join(parts), size + 1)
    except (zlib.error, inflating.error):
        return None
    return found if len(found) == size and inflater.eof and not inflater.unused_data else None


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@lru_cache(maxsize=16)
def _header(height: int, width: int) -> bytes:
    """Return how such a file begins: 8 bits, RGB, not interlaced."""
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


_END = _chunk(b"IEND", b"")
