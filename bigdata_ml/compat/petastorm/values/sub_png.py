"""Decodes PNG files as OpenCV, and thus Petastorm, writes them: RGB, with only the filter Sub (differences between pixels).

Decoding the filter Sub is one cumulative sum. ISA-L inflates the files and numpy sums several at once, in half the time that
libpng (OpenCV, Pillow) takes. All other PNG files are left to libpng.
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
except ImportError:  # Wheels do not exist for every processor.
    inflating = zlib

__all__ = ["decode_sub_pngs"]

_SUB = 1


def decode_sub_pngs(files: Sequence[Any], images: np.ndarray) -> bool:
    """Decode files into `images`, uint8 [files, height, width, 3]; return whether all are intact, of this size and use only Sub.

    Source: "Portable Network Graphics (PNG) Specification", third edition: chunks 5, filters 9, compression 10. Damage is
    detected by the checksum of the pixels, not by those of the chunks. If the result is False, `images` is undefined.
    """
    _, height, width, _ = images.shape
    line = 1 + 3 * width
    inflated = []
    for file in files:
        pixels = _inflated(file, height, width, height * line)
        if pixels is None:
            return False
        inflated.append(pixels)
    lines = np.frombuffer(b"".join(inflated), np.uint8).reshape(-1, height, line)
    if (lines[:, :, 0] != _SUB).any():
        return False
    np.add.accumulate(lines[:, :, 1:].reshape(images.shape), axis=2, dtype=np.uint8, out=images)
    return True


def _inflated(file: Any, height: int, width: int, size: int) -> bytes | None:
    """Return the lines of a file that consists of a header with this size, pixels and an end; else None."""
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
        # The additional byte detects surplus data, and lets the decompressor read the end of the stream.
        lines: bytes = inflater.decompress(parts[0] if len(parts) == 1 else b"".join(parts), size + 1)
    except (zlib.error, inflating.error):
        return None
    return lines if len(lines) == size and inflater.eof and not inflater.unused_data else None


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@lru_cache(maxsize=16)
def _header(height: int, width: int) -> bytes:
    """Return the beginning of such a file: 8 bits, RGB, not interlaced."""
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


_END = _chunk(b"IEND", b"")
