"""Checks image files before decoding: format and size from the header; decoder errors become one error.

The image job, the reader and Petastorm's interface share it, so they refuse the same files.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "MOST_PIXELS",
    "ImageRefused",
    "check_jpeg",
    "check_most_pixels",
    "check_size",
    "has_frames",
    "jpeg_frame",
    "kind_of",
    "opened_picture",
    "refusing_broken",
]

# By default; a quarter of a GiB as RGB.
MOST_PIXELS = 89_478_485
# Beyond this Pillow refuses by itself, whatever is asked for.
_PILLOWS_LIMIT = 2 * 89_478_485

# How files of the formats that are decoded begin (at most the first 12 bytes), and what Pillow calls them.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
)
# Objects of Python have an address in their text, another one in every process.
_ADDRESS = re.compile(r" ?<[\w.]+ object at 0x[0-9a-fA-F]+>|(?<= )at 0x[0-9a-fA-F]+")


class ImageRefused(ValueError):
    """An image that is not decoded, or not to its end: `reason` is the tally's, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def check_most_pixels(most_pixels: int) -> None:
    """Raise `ValueError` for a limit that cannot be kept."""
    if not 1 <= most_pixels <= _PILLOWS_LIMIT:
        raise ValueError(f"max_pixels must lie in [1, {_PILLOWS_LIMIT}], got {most_pixels}")


def kind_of(content: bytes | memoryview) -> str:
    """Return the format that the first bytes are of.

    Raises:
        ImageRefused: `empty`, or `wrong_type`: none that is decoded here.
    """
    begin = bytes(content[:12])
    if not begin:
        raise ImageRefused("empty", "the file has no bytes")
    if begin[:4] == b"RIFF" and begin[8:12] == b"WEBP":
        return "WEBP"
    for signature, kind in _SIGNATURES:
        if begin.startswith(signature):
            return kind
    raise ImageRefused("wrong_type", f"no image format begins like this: its first bytes are {begin!r}")


def check_size(height: int, width: int, most_pixels: int) -> None:
    """Refuse an image whose header says more than `most_pixels`."""
    if height * width > most_pixels:
        text = f"its header says {height} × {width}, which is more than the {most_pixels} pixels of max_pixels"
        raise ImageRefused("too_many_pixels", text)


def check_jpeg(content: bytes | memoryview, most_pixels: int) -> None:
    """Refuse a JPEG whose frame header says more than `most_pixels`; what has none is left to the decoder."""
    data = memoryview(content).cast("B")
    place = jpeg_frame(data)
    if place >= 0:
        check_size(data[place + 5] << 8 | data[place + 6], data[place + 7] << 8 | data[place + 8], most_pixels)
        return
    import simplejpeg

    # Its segments do not follow one another; libjpeg looks for the next marker, so it is asked.
    try:
        with refusing_broken(content, "JPEG"):
            height, width, *_ = simplejpeg.decode_jpeg_header(data, strict=False)
    except ImageRefused:
        return
    check_size(height, width, most_pixels)


def jpeg_frame(data: memoryview) -> int:
    """Return where a JPEG's frame header begins (ITU T.81, B.2.2), whose tenth byte is the number of channels; −1 for none.

    Only of a file of nothing but segments up to there, of which every decoder finds the same one.
    """
    place = 2 if bytes(data[:2]) == b"\xff\xd8" else len(data)
    while place + 9 < len(data) and data[place] == 0xFF:
        kind = data[place + 1]
        # SOF0 … SOF15, of which DHT, JPG and DAC are none.
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return place
        # A marker may be preceded by any number of bytes 0xFF; those below SOF and RST0 … EOI have no length.
        if kind < 0xC0 or 0xD0 <= kind <= 0xD9:
            return -1
        place += 1 if kind == 0xFF else 2 + (data[place + 2] << 8 | data[place + 3])
    return -1


@contextmanager
def opened_picture(content: bytes | memoryview, kind: str, most_pixels: int) -> "Iterator[Image.Image]":
    """Open a file of a known kind by Pillow, of which nothing is decoded yet, and refuse what it raises in the block.

    Raises:
        ImageRefused: `too_many_pixels`, `metadata_bomb`, `truncated` or `undecodable`.
    """
    from PIL import Image

    if kind == "JPEG":
        check_jpeg(content, most_pixels)
    with refusing_broken(content, kind), Image.open(io.BytesIO(content), formats=(kind,)) as opened:
        width, height = opened.size
        check_size(height, width, most_pixels)
        if opened.mode == "P" and opened.palette is None:
            raise ImageRefused("undecodable", "its pixels are numbers of a palette, and it has no palette")
        yield opened


def has_frames(image: "Image.Image") -> bool:
    """Whether an opened file is an animation or has several pages."""
    # An MPO is a photograph with a second one for depth or brightness beside it: phones write them, the first is the picture.
    return image.format != "MPO" and bool(getattr(image, "is_animated", False))


@contextmanager
def refusing_broken(content: bytes | memoryview, kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises about a file in memory into the reason it stands for.

    Decoders raise errors of any class, assertions included, and all of them are about this file: its bytes are in memory, so
    no store is asked for anything. Only the want of memory says nothing about it.
    """
    try:
        yield
    except (ImageRefused, MemoryError):
        raise
    except Exception as error:
        raise _refusal(error, bytes(content), kind) from error


def _refusal(error: Exception, content: bytes, kind: str) -> ImageRefused:
    text = _ADDRESS.sub("", str(error)) or type(error).__name__
    if type(error).__name__ in ("DecompressionBombError", "DecompressionBombWarning"):
        return ImageRefused("too_many_pixels", text)
    if kind == "PNG" and ("Decompressed data too large" in text or "Too much memory used in text chunks" in text):
        return ImageRefused("metadata_bomb", f"a compressed text or profile inflates beyond its limit: {text}")
    cut = "truncated" in text.lower() or _is_cut(content, kind)
    return ImageRefused("truncated" if cut else "undecodable", text)


def _is_cut(content: bytes, kind: str) -> bool:
    """Whether the file ends before its format says it does."""
    if kind == "PNG":
        return not _ends_png(content)
    if kind == "JPEG":
        scan = content.find(b"\xff\xda")
        return scan < 0 or content.find(b"\xff\xd9", scan) < 0
    if kind == "GIF":
        return not content.rstrip(b"\x00").endswith(b";")
    if kind in ("WEBP", "BMP"):
        place, more = (4, 8) if kind == "WEBP" else (2, 0)
        return len(content) < int.from_bytes(content[place : place + 4], "little") + more
    return False


def _ends_png(content: bytes) -> bool:
    place = 8
    while place + 12 <= len(content):
        if content[place + 4 : place + 8] == b"IEND":
            return True
        place += 12 + int.from_bytes(content[place : place + 4], "big")
    return False
