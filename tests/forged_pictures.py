"""Image files that lie about their size or that decoders stumble over, by the reason for which each is refused."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

__all__ = ["FORGED", "jpeg_claiming", "png_of"]


def png_of(width: int, height: int, *, depth: int = 8, colour: int = 0, pixels: bytes = b"", more: bytes = b"") -> bytes:
    """Return a PNG of any header."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + more + _chunk(b"IDAT", zlib.compress(pixels)) + _chunk(b"IEND", b"")


def jpeg_claiming(height: int, width: int, between: bytes = b"", *, progressive: bool = False) -> bytes:
    """Return the JPEG of a small picture whose header says another size, with bytes before its frame header."""
    content = bytearray(_encoded("JPEG", progressive=progressive))
    place = content.find(b"\xff\xc2" if progressive else b"\xff\xc0")
    content[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(content[:place] + between + content[place:])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(stream, kind, **options)
    return stream.getvalue()


def _gif_claiming(height: int, width: int) -> bytes:
    content = bytearray(_encoded("GIF"))
    content[6:10] = struct.pack("<HH", width, height)
    return bytes(content)


def _frames(kind: str) -> bytes:
    return _encoded(kind, save_all=True, append_images=[Image.new("RGB", (64, 64), "red")])


FORGED = {
    "a palette PNG without a palette": (png_of(40, 40, colour=3, pixels=bytes(41 * 40)), "undecodable"),
    "a PNG of 20,000 × 20,000": (png_of(20_000, 20_000), "too_many_pixels"),
    "a JPEG of 65,500 × 65,500": (jpeg_claiming(65_500, 65_500), "too_many_pixels"),
    "a progressive JPEG of 65,500 × 65,500": (jpeg_claiming(65_500, 65_500, progressive=True), "too_many_pixels"),
    "a JPEG with bytes between its segments": (jpeg_claiming(65_500, 65_500, b"\x00\x01"), "too_many_pixels"),
    "a GIF of 60,000 × 60,000": (_gif_claiming(60_000, 60_000), "too_many_pixels"),
    "a BMP of 60,000 × 60,000": (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 118, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(64),
        "too_many_pixels",
    ),
    "a GIF of two frames": (_frames("GIF"), "multi_frame"),
    "a TIFF of two pages": (_frames("TIFF"), "multi_frame"),
    "a WebP of two frames": (_frames("WEBP"), "multi_frame"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "wrong_type"),
    "nothing": (b"", "empty"),
}
