"""Read JSON rows: one object per line, or one array of objects."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.csv_rows import Torn
from bigdata_ml.prepare.sources.text_files.json_columns import JsonNumber, json_text

__all__ = ["JsonBatch", "JsonReader"]

_MOST_TEXT = 64 << 20
_ROWS = 4096
_SHOWN = 2000
_DEEP = 100
_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True)
class JsonBatch:
    """Rows: objects, their line numbers, and the malformed rows."""

    objects: list[dict[str, Any]]
    lines: list[int]
    torn: tuple[Torn, ...]


@dataclass(slots=True)
class JsonReader:
    """Reads rows from the text of a file, or of a stretch of complete lines.

    Attributes:
        url: of the file, for errors.
        line: number of the next line.
    """

    url: str
    line: int = 1
    _decoder: json.JSONDecoder = field(
        default_factory=lambda: json.JSONDecoder(
            parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=JsonNumber, object_pairs_hook=_object
        )
    )

    def rows(self, texts: Iterator[str], *, is_first: bool) -> Iterator[JsonBatch]:
        """Yield the rows; with `is_first` the file begins with the text, and may be an array.

        Raises:
            JobRefused: an array is malformed, an object spans several lines, or a row has more than 64 MiB.
        """
        start = ""
        while is_first and not start.lstrip(_BLANK):
            piece = next(texts, None)
            if piece is None:
                return
            start += piece
        read = self._array if start.lstrip(_BLANK).startswith("[") else self._lines
        yield from read(_chained(start, texts))

    def _lines(self, texts: Iterator[str]) -> Iterator[JsonBatch]:
        text, final, is_first = "", False, self.line == 1
        while not final:
            piece = next(texts, None)
            final = piece is None
            text += piece or ""
            if final and not text.endswith("\n"):
                text += "\n"
            lines = text.split("\n")
            text = lines.pop()
            if len(text) > _MOST_TEXT:
                raise JobRefused(f"{self.url}, line {self.line}: a line of more than 64 MiB; write an object a line")
            for start in range(0, len(lines), _ROWS):
                yield self._batch(lines[start : start + _ROWS], is_first=is_first and start == 0)
            is_first = is_first and not lines

    def _batch(self, lines: Sequence[str], *, is_first: bool) -> JsonBatch:
        objects, numbers, torn = [], [], list[Torn]()
        for line in lines:
            stripped = line.strip(_BLANK)
            if stripped:
                try:
                    value, end = self._decoder.raw_decode(stripped)
                    if end != len(stripped):
                        raise ValueError(f"text follows the object at character {end + 1}")
                    objects.append(_checked(value, stripped))
                    numbers.append(self.line)
                except (ValueError, RecursionError) as error:
                    if is_first and stripped in ("{", "[{"):
                        raise JobRefused(
                            f"{self.url}: its objects go over several lines; write JSON lines, one object a line, or one array"
                        ) from error
                    torn.append(Torn(self.line, "torn_row", _said(error), stripped[:_SHOWN]))
                is_first = False
            self.line += 1
        return JsonBatch(objects, numbers, tuple(torn))

    def _array(self, texts: Iterator[str]) -> Iterator[JsonBatch]:
        text, position, final, begun = next(texts), 0, False, False
        objects, numbers, torn = list[dict[str, Any]](), list[int](), list[Torn]()
        while True:
            position = start = self._past_blank(text, position)
            try:
                if position == len(text):
                    raise ValueError("it ends before its last ]")
                if begun and text[position] == "]":
                    break
                if begun and text[position] != ",":
                    raise ValueError(f"a comma is missing before {text[position : position + 20]!r}")
                start = self._past_blank(text, position + 1, count=False)
                if start == len(text):
                    raise ValueError("it ends before its last ]")
                if not begun and text[start] == "]":
                    break
                value, end = self._decoder.raw_decode(text, start)
                if end == len(text):
                    raise ValueError("it ends before its last ]")
            except (ValueError, RecursionError) as error:
                piece = None if final else self._more(texts, len(text) - position)
                if piece is None or isinstance(error, RecursionError):
                    line = self.line + text.count("\n", position, start)
                    raise JobRefused(f"{self.url}, line {line}: its array of objects is torn: {_said(error)}") from error
                text, position = text[position:] + piece, 0
                continue
            self.line += text.count("\n", position, start)
            raw = text[start:end]
            try:
                objects.append(_checked(value, raw))
                numbers.append(self.line)
            except ValueError as error:
                torn.append(Torn(self.line, "torn_row", _said(error), raw[:_SHOWN]))
            self.line += raw.count("\n")
            position, begun = end, True
            if len(objects) >= _ROWS:
                yield JsonBatch(objects, numbers, tuple(torn))
                objects, numbers, torn = [], [], []
        rest = text[position + 1 :] + "".join(piece for piece in texts if piece.strip(_BLANK))
        if begun and rest.strip(_BLANK):
            raise JobRefused(
                f"{self.url}: text follows its array of objects: {rest.strip(_BLANK)[:40]!r}; write one array a file"
            )
        yield JsonBatch(objects, numbers, tuple(torn))

    def _past_blank(self, text: str, position: int, *, count: bool = True) -> int:
        start = position
        while position < len(text) and text[position] in _BLANK:
            position += 1
        if count:
            self.line += text.count("\n", start, position)
        return position

    def _more(self, texts: Iterator[str], held: int) -> str | None:
        """Return more text, at least half of `held`, so that a long object is not decoded too often."""
        if held > _MOST_TEXT:
            return None
        pieces: list[str] = []
        while sum(map(len, pieces)) <= held // 2:
            piece = next(texts, None)
            if piece is None:
                break
            pieces.append(piece)
        return "".join(pieces) or None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands in an object twice")
    return made


def _checked(value: Any, raw: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"it is no object: {raw[:40]!r}")
    if raw.count("[") + raw.count("{") > _DEEP and _depth(value) > _DEEP:
        raise ValueError(f"it is nested more than {_DEEP} deep")
    if "\\u" in raw:
        try:
            json_text(value).encode()
        except UnicodeEncodeError as error:
            raise ValueError("it holds half a character (a lone surrogate)") from error
    return value


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        inside = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [item for values in inside for item in values]
    return depth


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    # The line and column of the error are relative to the current text.
    return f"no whole JSON: {error.msg if isinstance(error, json.JSONDecodeError) else error}"


def _chained(start: str, texts: Iterator[str]) -> Iterator[str]:
    if start:
        yield start
    yield from texts
