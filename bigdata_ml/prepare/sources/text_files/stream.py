"""Decode a text file, or a stretch of it, piece by piece; invalid bytes are refused, never replaced."""

import codecs
import gzip
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.storage import locate, way_out

__all__ = ["TextPart", "is_splittable", "start_of", "texts_of"]

_PIECE = 4 << 20
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_LONGEST_MARK = 4
# Encodings to suggest; single-byte ones come last, since nearly all bytes fit them.
_CANDIDATES = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "shift_jis", "gb18030", "big5", "euc_jp", "euc_kr", "cp1252", "iso-8859-1",
    "cp1250", "cp1251",
)  # fmt: skip
_TRIED_BYTES = 1 << 20
_SEEN_BYTES = 8
_OPTION = "--encoding NAME (of label files of images: --label-encoding NAME)"
# In these a byte below 128 is always the same character, so a line feed always ends a line.
_LINE_BY_LINE = ("utf-8", "ascii", "iso8859", "cp125", "koi8", "mac", "latin")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextPart:
    """A file, or a stretch of complete lines.

    Attributes:
        url: of the file.
        size: of the file in bytes when it was listed.
        start, end: offsets of the stretch in bytes.
        line: the number of its first line.
    """

    url: str
    size: int
    start: int = 0
    end: int = -1
    line: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it starts the file."""
        return self.start == 0


def texts_of(part: TextPart, form: TextFormat, *, piece_bytes: int = _PIECE) -> Generator[str, None, None]:
    """Yield the text in pieces.

    Raises:
        JobRefused: a file was removed or resized, a gzip file is incomplete, or bytes do not fit the encoding. The error
            names the file, the byte and possible encodings.
    """
    pieces = _bytes_of(part, piece_bytes)
    start = next(pieces, b"")
    while len(start) < _LONGEST_MARK and (piece := next(pieces, None)):
        start += piece
    encoding = form.encoding or (_marked(start) if part.is_first else "") or "utf-8"
    # The mark is taken off below, so that places in the file stay what they are.
    encoding = "utf-8" if codecs.lookup(encoding).name == "utf-8-sig" else encoding
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    fed, first, piece = part.start, part.is_first, start
    while True:
        following = next(pieces, None)
        held = len(decoder.getstate()[0])
        try:
            text = decoder.decode(piece, final=following is None)
        except UnicodeDecodeError as error:
            raise _undecodable(part, encoding, error, fed - held + error.start) from error
        if first:
            text = text.removeprefix("\ufeff")
        if "\0" in text:
            place = fed - held + len(text[: text.index("\0")].encode(encoding))
            raise JobRefused(f"{part.url}: a zero byte at about byte {place}; text has none: {_that_fit(part)}")
        if text:
            first = False
            yield text
        fed += len(piece)
        if following is None:
            return
        piece = following


def is_splittable(url: str, form: TextFormat) -> bool:
    """Whether lines can be found without reading the file from its start."""
    encoding = codecs.lookup(form.encoding or "utf-8").name
    return not url.endswith(".gz") and encoding.startswith(_LINE_BY_LINE)


def start_of(url: str, size: int, *, near: int, within: int = 1 << 20) -> int | None:
    """Return the offset of the first line at or after `near`; None if there is none within `within` bytes.

    Raises:
        JobRefused: the file cannot be read.
    """
    with _opened(TextPart(url=url, size=size)) as stream:
        stream.seek(max(0, near - 1))
        position = bytes(stream.read(within)).find(b"\n")
    return None if position < 0 else max(0, near - 1) + position + 1


def _bytes_of(part: TextPart, piece_bytes: int = _PIECE) -> Iterator[bytes]:
    with _opened(part) as stream:
        try:
            if part.url.endswith(".gz"):
                with gzip.GzipFile(fileobj=stream) as unpacked:
                    while data := unpacked.read(piece_bytes):
                        yield data
                return
            stream.seek(part.start)
            left = (part.size if part.end < 0 else part.end) - part.start
            while left:
                data = bytes(stream.read(min(piece_bytes, left)))
                if not data:
                    raise EOFError(f"it ends {left} bytes early: it changes while the job reads it")
                left -= len(data)
                yield data
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            prefix = "no whole gzip file: " if part.url.endswith(".gz") else ""
            raise JobRefused(f"{part.url}: {prefix}{error}; write it again, or take it away") from error
        except OSError as error:
            raise JobRefused(f"{part.url}: cannot be read: {error}{way_out(error)}") from error


def _opened(part: TextPart) -> Any:
    place = locate(part.url)
    try:
        stream = place.filesystem.open_input_file(place.path)
        size = stream.size()
    except OSError as error:
        was_there = "; it was there when the files were listed"
        raise JobRefused(f"{part.url}: cannot be opened: {error}{way_out(error) or was_there}") from error
    if size != part.size:
        stream.close()
        raise JobRefused(f"{part.url}: it has {size} bytes, {part.size} were listed: it changes while the job reads it")
    return stream


def _marked(start: bytes) -> str:
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "")


def _undecodable(part: TextPart, encoding: str, error: UnicodeDecodeError, place: int) -> JobRefused:
    seen = error.object[max(0, error.start - _SEEN_BYTES) : error.start + _SEEN_BYTES]
    unpacked = " of its unpacked text" if part.url.endswith(".gz") else ""
    return JobRefused(
        f"{part.url}: byte {place}{unpacked} (0x{error.object[error.start]:02x}, in {bytes(seen)!r}) is no "
        f"{encoding}: {_that_fit(part)}"
    )


def _that_fit(part: TextPart) -> str:
    data = b""
    for piece in _bytes_of(TextPart(url=part.url, size=part.size)):
        data += piece
        if len(data) >= _TRIED_BYTES:
            break
    data = data[:_TRIED_BYTES]
    fit = [name for name in _CANDIDATES if _fits(data, name)]
    if not fit:
        return f"no encoding that is often used fits it; say which by {_OPTION}, or write it as UTF-8"
    return f"encodings that would fit are {', '.join(fit)}; say which is meant by {_OPTION}, or write it as UTF-8"


def _fits(data: bytes, encoding: str) -> bool:
    if encoding.startswith("utf-16") and not _may_be_utf_16(data, encoding):
        return False
    try:
        text = codecs.getincrementaldecoder(encoding)("strict").decode(data)
    except UnicodeDecodeError:
        return False
    # Control characters suggest letters in another encoding.
    return not any((character < " " and character not in "\t\n\r\f\v") or "\x7f" <= character < "\xa0" for character in set(text))


def _may_be_utf_16(data: bytes, encoding: str) -> bool:
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if encoding == "utf-16" or marked:
        return marked and encoding == "utf-16"
    high, low = data[0::2].count(0), data[1::2].count(0)
    return low > high if encoding == "utf-16-le" else high > low
