"""Types and values of JSON columns: numbers keep every digit."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa

from bigdata_ml.prepare.sources.text_files.inferred_types import ColumnType

__all__ = ["JsonNumber", "Shape", "converted", "json_text"]

_SAFE_DIGITS = 15
_KINDS = {
    "true": "true and false", "whole": "whole numbers", "large": "whole numbers", "double": "numbers", "text": "text",
    "beyond": "numbers that 64 bits do not hold", "list": "lists", "object": "objects",
}  # fmt: skip


class JsonNumber(str):
    """A JSON number in its original text."""

    __slots__ = ()


@dataclass(slots=True)
class Shape:
    """Statistics of the JSON values of a column, including nested values.

    Attributes:
        kinds: number of values by kind.
        first: by kind, the first value: file number, line, text.
        element: shape of list elements.
        fields: shapes of object fields, in order of appearance.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    element: "Shape | None" = None
    fields: "dict[str, Shape]" = field(default_factory=dict)

    def add(self, value: Any, line: int, *, file: int = 0) -> None:
        """Add a value."""
        if value is None:
            return
        kind = _kind(value)
        self.kinds[kind] += 1
        if kind not in self.first:
            self.first[kind] = (file, line, _text_of(value)[:60])
        if kind == "list":
            self.element = self.element or Shape()
            for item in value:
                self.element.add(item, line, file=file)
        elif kind == "object":
            for name, item in value.items():
                self.fields.setdefault(name, Shape()).add(item, line, file=file)

    def merge(self, other: "Shape", *, line: int = 0) -> None:
        """Add the shape of another part whose lines start after `line`."""
        self.kinds += other.kinds
        for kind, (file, there, value) in other.first.items():
            place = (file, there + line, value)
            self.first[kind] = min(place, self.first.get(kind, place))
        if other.element is not None:
            self.element = self.element or Shape()
            self.element.merge(other.element, line=line)
        for name, shape in other.fields.items():
            self.fields.setdefault(name, Shape()).merge(shape, line=line)

    def to_json(self) -> list[Any]:
        """Return the shape as JSON values."""
        element = None if self.element is None else self.element.to_json()
        return [dict(self.kinds), self.first, element, {name: shape.to_json() for name, shape in self.fields.items()}]

    @classmethod
    def from_json(cls, written: Sequence[Any]) -> "Shape":
        """Return what `to_json` wrote."""
        kinds, first, element, fields = written
        return cls(
            Counter(kinds),
            {kind: (file, line, value) for kind, (file, line, value) in first.items()},
            None if element is None else cls.from_json(element),
            {name: cls.from_json(shape) for name, shape in fields.items()},
        )

    @property
    def arrow(self) -> pa.DataType:
        """The type that holds all values unchanged."""
        kinds = set(self.kinds)
        if kinds == {"list"} and self.element is not None:
            return pa.list_(self.element.arrow)
        if kinds == {"object"} and self.fields:
            return pa.struct([pa.field(name, shape.arrow) for name, shape in self.fields.items()])
        if kinds == {"true"}:
            return pa.bool_()
        if kinds and kinds <= {"whole", "large"}:
            return pa.int64()
        return pa.float64() if kinds and kinds <= {"whole", "double"} else pa.string()

    def decide(self, name: str, files: Sequence[str], spark_type: str) -> ColumnType:
        """Return the type of the column, `spark_type` in Spark's words, and the reason."""
        if not self.kinds:
            return ColumnType(name, spark_type, "no value is known")
        total = sum(self.kinds.values())
        if spark_type != "string" or set(self.kinds) == {"text"}:
            kinds = " and ".join(dict.fromkeys(_KINDS[kind] for kind in sorted(self.kinds)))
            return ColumnType(name, spark_type, f"{total:,} JSON values are {kinds}")
        commonest = self.kinds.most_common(1)[0][0]
        others = {kind: count for kind, count in self.kinds.items() if kind != commonest} or dict(self.kinds)
        file, line, value = min(self.first[kind] for kind in others)
        counts = ", ".join(f"{count} {_KINDS[kind]}" for kind, count in sorted(self.kinds.items()))
        prefix = "of several kinds: " if len(self.kinds) > 1 else ""
        return ColumnType(name, spark_type, f"JSON values {prefix}{counts}; first {value!r} in {files[file]} line {line}")


def converted(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Return JSON values as a column of the type."""
    return pa.array([_converted(value, kind) for value in values], kind)


def _converted(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_string(kind):
        return _text_of(value)
    if pa.types.is_int64(kind):
        return int(value)
    if pa.types.is_float64(kind):
        return float(value)
    if pa.types.is_list(kind):
        return [_converted(item, kind.value_type) for item in value]
    if pa.types.is_struct(kind):
        return {item.name: _converted(value.get(item.name), item.type) for item in kind}
    return value


def _text_of(value: Any) -> str:
    """Return text unchanged, and any other value as JSON."""
    if isinstance(value, str):
        return str(value)
    return json_text(value)


def json_text(value: Any) -> str:
    """Return a value as JSON; numbers keep their original text."""
    if isinstance(value, JsonNumber):
        return str(value)
    if isinstance(value, list):
        return f"[{','.join(map(json_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(name, ensure_ascii=False)}:{json_text(item)}' for name, item in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _kind(value: Any) -> str:
    if isinstance(value, JsonNumber):
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
