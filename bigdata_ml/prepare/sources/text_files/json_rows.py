"""JSON row by row: an object a line, or one array of objects; and the types of their columns, in which no number changes."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.csv_rows import Torn
from bigdata_ml.prepare.sources.text_files.inferred_types import ColumnType

__all__ = ["JsonBatch", "JsonReader", "Shape", "converted"]

_MOST_TEXT = 64 << 20
_ROWS = 4096
_SHOWN = 2000
_SAFE_DIGITS = 15
_DEEP = 100
_BLANK = " \t\r\n"
_KINDS = {
    "true": "true and false", "whole": "whole numbers", "large": "whole numbers", "double": "numbers", "text": "text",
    "beyond": "numbers that 64 bits do not hold", "list": "lists", "object": "objects",
}  # fmt: skip


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class JsonBatch:
    """Rows: objects, the numbers of their lines, and the rows that are none."""

    objects: list[dict[str, Any]]
    lines: list[int]
    torn: tuple[Torn, ...]


@dataclass(slots=True)
class JsonReader:
    """Makes rows of the text of one file, or of a stretch of whole lines.

    Attributes:
        url: of the file, for errors.
        line: number of the line that comes next.
    """

    url: str
    line: int = 1
    _decoder: json.JSONDecoder = field(
        default_factory=lambda: json.JSONDecoder(
            parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_object
        )
    )

    def rows(self, texts: Iterator[str], *, is_first: bool) -> Iterator[JsonBatch]:
        """Yield the rows; `is_first` says that the file begins with the text, so that it may be an array.

        Raises:
            JobRefused: an array that is torn, an object over several lines, or a row of more than 64 MiB.
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
        """Return more text, at least half of what is held, so that a long object is not decoded again and again."""
        if held > _MOST_TEXT:
            return None
        pieces: list[str] = []
        while sum(map(len, pieces)) <= held // 2:
            piece = next(texts, None)
            if piece is None:
                break
            pieces.append(piece)
        return "".join(pieces) or None


@dataclass(slots=True)
class Shape:
    """What was seen of a column's JSON values: how many of each kind, the first of each, and the same of what is inside.

    Attributes:
        kinds: values by kind.
        first: by kind the first value: number of the file, line, text.
        element: of lists.
        fields: of objects, in the order in which they came.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    element: "Shape | None" = None
    fields: "dict[str, Shape]" = field(default_factory=dict)

    def add(self, value: Any, line: int, *, file: int = 0) -> None:
        """Look at a value."""
        if value is None:
            return
        kind = _kind(value)
        self.kinds[kind] += 1
        if kind not in self.first:
            self.first[kind] = (file, line, text_of(value)[:60])
        if kind == "list":
            self.element = self.element or Shape()
            for one in value:
                self.element.add(one, line, file=file)
        elif kind == "object":
            for name, one in value.items():
                self.fields.setdefault(name, Shape()).add(one, line, file=file)

    def merge(self, other: "Shape", *, line: int = 0) -> None:
        """Add what was seen elsewhere, where lines are counted from `line` on."""
        self.kinds += other.kinds
        for kind, (file, there, value) in other.first.items():
            place = (file, there + line, value)
            self.first[kind] = min(place, self.first.get(kind, place))
        if other.element is not None:
            self.element = self.element or Shape()
            self.element.merge(other.element, line=line)
        for name, one in other.fields.items():
            self.fields.setdefault(name, Shape()).merge(one, line=line)

    def to_json(self) -> list[Any]:
        """Return it as JSON values."""
        element = None if self.element is None else self.element.to_json()
        return [dict(self.kinds), self.first, element, {name: one.to_json() for name, one in self.fields.items()}]

    @classmethod
    def from_json(cls, written: Sequence[Any]) -> "Shape":
        """Return what `to_json` wrote."""
        kinds, first, element, fields = written
        return cls(
            Counter(kinds),
            {kind: (file, line, value) for kind, (file, line, value) in first.items()},
            None if element is None else cls.from_json(element),
            {name: cls.from_json(one) for name, one in fields.items()},
        )

    @property
    def arrow(self) -> pa.DataType:
        """The type that holds all values as they are."""
        kinds = set(self.kinds)
        if kinds == {"list"} and self.element is not None:
            return pa.list_(self.element.arrow)
        if kinds == {"object"} and self.fields:
            return pa.struct([pa.field(name, one.arrow) for name, one in self.fields.items()])
        if kinds == {"true"}:
            return pa.bool_()
        if kinds and kinds <= {"whole", "large"}:
            return pa.int64()
        return pa.float64() if kinds and kinds <= {"whole", "double"} else pa.string()

    def decide(self, name: str, files: Sequence[str], spark_type: str) -> ColumnType:
        """Return the column's type, which Spark calls `spark_type`, and why."""
        if not self.kinds:
            return ColumnType(name, spark_type, "no value is known")
        total = sum(self.kinds.values())
        if spark_type != "string" or set(self.kinds) == {"text"}:
            kinds = " and ".join(dict.fromkeys(map(_said_of, sorted(self.kinds))))
            return ColumnType(name, spark_type, f"{total:,} JSON values are {kinds}")
        commonest = self.kinds.most_common(1)[0][0]
        others = {kind: count for kind, count in self.kinds.items() if kind != commonest} or dict(self.kinds)
        file, line, value = min(self.first[kind] for kind in others)
        counts = ", ".join(f"{count} {_said_of(kind)}" for kind, count in sorted(self.kinds.items()))
        what = "of several kinds: " if len(self.kinds) > 1 else ""
        return ColumnType(name, spark_type, f"JSON values {what}{counts}; first {value!r} in {files[file]} line {line}")


def converted(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return values of JSON as a column of the type."""
    return pa.array([_converted(value, kind) for value in values], kind)


def _converted(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_string(kind):
        return text_of(value)
    if pa.types.is_int64(kind):
        return int(value)
    if pa.types.is_float64(kind):
        return float(value)
    if pa.types.is_list(kind):
        return [_converted(one, kind.value_type) for one in value]
    if pa.types.is_struct(kind):
        return {one.name: _converted(value.get(one.name), one.type) for one in kind}
    return value


def text_of(value: Any) -> str:
    """Return a value as text: text as it is, all else as JSON, numbers as they were written."""
    if isinstance(value, str):
        return str(value)
    return _json(value)


def _json(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(name, ensure_ascii=False)}:{_json(one)}' for name, one in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _kind(value: Any) -> str:
    if isinstance(value, _Number):
        return _number_kind(value)
    if isinstance(value, str):
        return "text"
    return "true" if isinstance(value, bool) else "list" if isinstance(value, list) else "object"


def _number_kind(text: str) -> str:
    if text.lstrip("-").isdecimal():
        if len(text) > 20 or not -(2**63) <= (whole := int(text)) < 2**63:
            return "beyond"
        return "whole" if len(text) <= _SAFE_DIGITS or int(float(whole)) == whole else "large"
    number = float(text)
    if not math.isfinite(number):
        return "double" if text in ("NaN", "Infinity", "-Infinity") else "beyond"
    if (len(text) > _SAFE_DIGITS or number == 0) and Decimal(repr(number)) != Decimal(text):
        return "beyond"
    return "double"


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
            _json(value).encode()
        except UnicodeEncodeError as error:
            raise ValueError("it holds half a character (a lone surrogate)") from error
    return value


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        inside = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, (dict, list))]
        level = [one for values in inside for one in values]
    return depth


def _said(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    # Its own line and column count from where the text at hand begins.
    return f"no whole JSON: {error.msg if isinstance(error, json.JSONDecodeError) else error}"


def _said_of(kind: str) -> str:
    return _KINDS[kind]


def _chained(start: str, texts: Iterator[str]) -> Iterator[str]:
    if start:
        yield start
    yield from texts
