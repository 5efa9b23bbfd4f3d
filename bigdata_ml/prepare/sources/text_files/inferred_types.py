"""Infer the type of a text column: a number, date or time only if every value prints back the same.

All values are examined. Evidence of parts merges in any order, so types do not depend on how files are cut.
"""

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bigdata_ml.prepare.sources.text_files.format import TextFormat

__all__ = ["ARROW_TYPES", "ColumnType", "Evidence", "typed_column"]

# Ways to write values, and Spark's names of their types; a column has numbers and booleans in one way only.
_WAYS: Mapping[str, str] = {
    "whole": "bigint",
    "numbers as 2 and 2.5": "double",
    "numbers as 2.0 and 2.5": "double",
    "true": "boolean",
    "True": "boolean",
    "TRUE": "boolean",
    "dates": "date",
    "times with a zone": "timestamp",
    "times without a zone": "timestamp_ntz",
}
ARROW_TYPES: Mapping[str, pa.DataType] = {
    "bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_(), "date": pa.date32(), "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"), "timestamp_ntz": pa.timestamp("us"),
}  # fmt: skip
_WHOLE = r"^(0|-?[1-9]\d{0,18})$"
_POINT = r"^-?(0|[1-9]\d*)\.\d+(e[+-]\d+)?$|^-?[1-9]e[+-]\d+$"
# Texts that the rule `type: number` accepts.
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$|^(?i)\s*[+-]?(nan|inf|infinity)\s*$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_TIME = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,6})?"
_ZONE = r"(Z|[+-]\d{2}(:?\d{2})?)$"
_EXACT = 2**53
_SHOWN = 60
# With this share of numbers, the reason suggests to read the column as numbers.
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class ColumnType:
    """The inferred type of a column, in Spark's words, and the reason."""

    name: str
    type: str
    why: str

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"name": self.name, "type": self.type, "why": self.why}

    @property
    def word(self) -> str:
        """Name of the type in messages."""
        return "text" if self.type == "string" else self.type

    def __str__(self) -> str:
        return f"{self.name}: {self.word}: {self.why}"


@dataclass(slots=True)
class Evidence:
    """Statistics of the values of a column.

    Attributes:
        known: values that are neither null nor empty text, which is null for all types except text.
        fits: number of values by way of writing.
        numbers: number of values that the rule `type: number` accepts.
        first: by way, the first value not written so: file number, line, value.
    """

    known: int = 0
    fits: Counter[str] = field(default_factory=Counter)
    numbers: int = 0
    first: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    def add(self, column: pa.Array, lines: np.ndarray, form: TextFormat, *, file: int = 0) -> None:
        """Add values with their line numbers in the file with that number."""
        counted = pc.value_counts(column.drop_null())
        values, counts = counted.field("values"), np.asarray(counted.field("counts"))
        some = _mask(pc.not_equal(values, ""))
        if not some.any():
            return
        values, counts = values.filter(pa.array(some)), counts[some]
        self.known += int(counts.sum())
        texts = form.plain_numbers(values)
        self.numbers += int(counts[_mask(pc.match_substring_regex(texts, _NUMBER))].sum())
        for way, fits in _written(values, texts).items():
            self.fits[way] += int(counts[fits].sum())
            if way not in self.first and not fits.all():
                places = pc.index_in(column, value_set=values.filter(pa.array(~fits)))
                place = int(np.argmax(_mask(pc.is_valid(places))))
                self.first[way] = (file, int(lines[place]), str(column[place])[:_SHOWN])

    def merge(self, other: "Evidence", *, line: int = 0) -> None:
        """Add the evidence of another part whose lines start after `line`."""
        self.known += other.known
        self.fits += other.fits
        self.numbers += other.numbers
        for way, (file, there, value) in other.first.items():
            place = (file, there + line, value)
            self.first[way] = min(place, self.first.get(way, place))

    def to_json(self) -> list[Any]:
        """Return the evidence as JSON values."""
        return [self.known, dict(+self.fits), self.numbers, {way: list(place) for way, place in self.first.items()}]

    @classmethod
    def from_json(cls, written: Sequence[Any]) -> "Evidence":
        """Return what `to_json` wrote."""
        known, fits, numbers, first = written
        return cls(known, Counter(fits), numbers, {way: (file, line, value) for way, (file, line, value) in first.items()})

    def decide(self, name: str, files: Sequence[str]) -> ColumnType:
        """Return the type of the column; `files` are file names by number."""
        if not self.known:
            return ColumnType(name, "string", "no value is known")
        way = next((way for way in _WAYS if self.fits[way] == self.known), None)
        if way is not None:
            return ColumnType(name, _WAYS[way], f"{_counted(self.known, 'value')}, each prints back the same")
        best = max(_WAYS, key=lambda candidate: self.fits[candidate])
        is_number = self.numbers >= _MOSTLY * self.known
        mixed = self.fits["whole"] + self.fits["numbers as 2.0 and 2.5"] == self.known
        if mixed or (is_number and _WAYS[best] not in ("bigint", "double")):
            best = "numbers as 2 and 2.5"
        file, line, value = self.first[best]
        where = f"first {value!r} in {files[file]} line {line}"
        misfits = f"{self.known - self.fits[best]} of {_counted(self.known, 'value')}"
        if is_number:
            why = "do not print back as numbers" + (" beside others, such as 2 and 2.0" if mixed else "")
            return ColumnType(name, "string", f"{misfits} {why}, {where}; --types {name}=double takes them for numbers")
        if self.fits[best]:
            return ColumnType(name, "string", f"{misfits} are no {_WAYS[best]} that prints back, {where}")
        return ColumnType(name, "string", f"no value is a number, boolean, date or time, {where}")


def typed_column(column: pa.Array, kind: str, form: TextFormat) -> pa.Array:
    """Convert a text column to its inferred type.

    Raises:
        pa.ArrowInvalid: a value does not fit, since the file changed after inference.
    """
    if kind == "string":
        return column
    column = pc.if_else(pc.equal(column, ""), None, column)
    if kind in ("bigint", "double"):
        column = form.plain_numbers(column)
    return pc.cast(column, ARROW_TYPES[kind])


def _written(values: pa.Array, texts: pa.Array) -> dict[str, np.ndarray]:
    """Return a mask of the matching values by way; `texts` are the values as plain numbers."""
    nothing = np.zeros(len(values), bool)
    whole = _mask(pc.match_substring_regex(texts, _WHOLE))
    fits = dict.fromkeys(_WAYS, nothing)
    exact = whole
    if whole.any():
        whole, exact = _whole(texts, whole)
        fits["whole"] = whole
    point = nothing if whole.all() else _points(texts, _mask(pc.match_substring_regex(texts, _POINT)))
    ends_in_0 = point & _mask(pc.ends_with(texts, ".0")) if point.any() else nothing
    fits["numbers as 2 and 2.5"] = exact | (point & ~ends_in_0)
    fits["numbers as 2.0 and 2.5"] = point
    if (whole | point).all():
        return fits
    for word, other in (("true", "false"), ("True", "False"), ("TRUE", "FALSE")):
        fits[word] = _mask(pc.is_in(values, value_set=pa.array([word, other])))
    fits["dates"] = _parsed(values, _DATE, pa.date32())
    fits["times with a zone"] = _parsed(values, _TIME + _ZONE, ARROW_TYPES["timestamp"])
    fits["times without a zone"] = _parsed(values, _TIME + "$", ARROW_TYPES["timestamp_ntz"])
    return fits


def _whole(texts: pa.Array, looks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of 64-bit whole numbers, and of those that a double holds exactly."""
    whole, exact = looks.copy(), looks.copy()
    for place in np.flatnonzero(looks & _mask(pc.greater(pc.utf8_length(texts), 15))):
        number = int(texts[int(place)].as_py())
        whole[place] = -(2**63) <= number < 2**63
        exact[place] = whole[place] and (abs(number) <= _EXACT or int(float(number)) == number)
    return whole, exact


def _points(texts: pa.Array, looks: np.ndarray) -> np.ndarray:
    """Return a mask of texts that a double prints back."""
    mask = looks.copy()
    places = np.flatnonzero(looks)
    written = texts.take(pa.array(places)).to_pylist()
    mask[places] = [repr(float(text)) == text for text in written]
    return mask


def _parsed(values: pa.Array, form: str, kind: pa.DataType) -> np.ndarray:
    looks: np.ndarray = np.logical_and(_mask(pc.match_substring_regex(values, form)), ~_mask(pc.starts_with(values, "0000")))
    if not looks.any():
        return looks
    chosen = values.filter(pa.array(looks))
    try:
        pc.cast(chosen, kind)
    except pa.ArrowInvalid:
        places = np.flatnonzero(looks)
        looks[places] = [_is_day(text[:10]) and _casts(text, kind) for text in chosen.to_pylist()]
    return looks


def _is_day(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _casts(text: str, kind: pa.DataType) -> bool:
    try:
        pc.cast(pa.array([text]), kind)
    except pa.ArrowInvalid:
        return False
    return True


def _mask(column: pa.Array) -> np.ndarray:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
