"""The forms of written values: whole numbers, numbers, codes, booleans, dates, times, words for null and text."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["DATE_FORMS", "NULL_WORDS", "ColumnForms", "forms_of"]

# Spark's formats by the form that they read; one letter reads one or two digits. `a/b` is day and month, or the reverse.
DATE_FORMS: Mapping[str, tuple[str, ...]] = {
    "2024-12-31": ("yyyy-M-d",),
    "2024/12/31": ("yyyy/M/d",),
    "a/b/2024": ("d/M/yyyy", "M/d/yyyy"),
    "a-b-2024": ("d-M-yyyy", "M-d-yyyy"),
    "31.12.2024": ("d.M.yyyy",),
    "Dec 31 2024": ("MMM d yyyy",),
    "Dec 31, 2024": ("MMM d, yyyy",),
    "31 Dec 2024": ("d MMM yyyy",),
}
NULL_WORDS = ("na", "n/a", "nan", "null", "none", "nil", "-", "--", "?", "unknown", "#n/a")
_MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
# Tried in this order; the first match is the form.
_PATTERNS: Mapping[str, str] = {
    "blank": r"^\s*$",
    "code": r"^\s*[+-]?0\d+\s*$",
    "integer": r"^\s*[+-]?\d{1,18}\s*$",
    "number": r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$",
    "null word": rf"(?i)^\s*({'|'.join(map(re.escape, NULL_WORDS))})\s*$",
    "boolean": r"(?i)^\s*(true|false|yes|no|t|f|y|n)\s*$",
    "list of one": r'^\[\s*("[^"\[\]{},]*"|[^\[\]{},"]+)\s*\]$',
    "list": r"^\[.*\]$",
    "2024-12-31": r"^\s*\d{4}-\d{1,2}-\d{1,2}\s*$",
    "2024/12/31": r"^\s*\d{4}/\d{1,2}/\d{1,2}\s*$",
    "a/b/2024": r"^\s*\d{1,2}/\d{1,2}/\d{4}\s*$",
    "a-b-2024": r"^\s*\d{1,2}-\d{1,2}-\d{4}\s*$",
    "31.12.2024": r"^\s*\d{1,2}\.\d{1,2}\.\d{4}\s*$",
    "Dec 31 2024": rf"^\s*{_MONTH} \d{{1,2}} \d{{4}}\s*$",
    "Dec 31, 2024": rf"^\s*{_MONTH} \d{{1,2}}, \d{{4}}\s*$",
    "31 Dec 2024": rf"^\s*\d{{1,2}} {_MONTH} \d{{4}}\s*$",
    "time with zone": r"^\s*\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s?(Z|UTC|[+-]\d{2}:?\d{2})\s*$",
    "time": r"^\s*\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?\s*$",
    "text": r"",
}
# Columns with more distinct values keep no values.
MOST_VALUES = 1000


@dataclass(slots=True)
class ColumnForms:
    """The forms and values of a column.

    Attributes:
        rows, nulls: counts.
        forms: counts of values by form.
        examples: the least value of each form.
        least, greatest: of numbers.
        values: counts of rows by value; None beyond 1,000 values.
        over_12: how many dates written a/b/year have a first part above 12, and how many a second part.
    """

    rows: int = 0
    nulls: int = 0
    forms: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    least: float = float("inf")
    greatest: float = float("-inf")
    values: Counter[str] | None = field(default_factory=Counter)
    over_12: tuple[int, int] = (0, 0)

    def merge(self, other: "ColumnForms") -> "ColumnForms":
        """Return the forms of both parts."""
        examples = dict(self.examples)
        for form, value in other.examples.items():
            examples[form] = min(value, examples.get(form, value))
        values = None if self.values is None or other.values is None else self.values + other.values
        return ColumnForms(
            self.rows + other.rows,
            self.nulls + other.nulls,
            self.forms + other.forms,
            examples,
            min(self.least, other.least),
            max(self.greatest, other.greatest),
            values if values is not None and len(values) <= MOST_VALUES else None,
            (self.over_12[0] + other.over_12[0], self.over_12[1] + other.over_12[1]),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the forms as JSON values; unknown extremes are null."""
        known = self.least <= self.greatest
        return {
            "rows": self.rows,
            "nulls": self.nulls,
            "forms": dict(self.forms),
            "examples": self.examples,
            "least": self.least if known else None,
            "greatest": self.greatest if known else None,
            "values": None if self.values is None else dict(self.values),
            "over_12": list(self.over_12),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "ColumnForms":
        """Return the forms that `to_json` wrote."""
        return cls(
            rows=written["rows"],
            nulls=written["nulls"],
            forms=Counter(written["forms"]),
            examples=dict(written["examples"]),
            least=float("inf") if written["least"] is None else written["least"],
            greatest=float("-inf") if written["greatest"] is None else written["greatest"],
            values=None if written["values"] is None else Counter(written["values"]),
            over_12=(written["over_12"][0], written["over_12"][1]),
        )


def forms_of(column: pa.Array) -> ColumnForms:
    """Return the forms of a column of text."""
    forms = ColumnForms(rows=len(column), nulls=column.null_count)
    counted = pc.value_counts(column.drop_null())
    values, counts = counted.field("values"), np.asarray(counted.field("counts"))
    left = np.ones(len(values), bool)
    for form, pattern in _PATTERNS.items():
        if not left.any():
            break
        here = left & np.asarray(pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False))
        if here.any():
            forms.forms[form] += int(counts[here].sum())
            written = values.filter(pa.array(here))
            forms.examples[form] = str(pc.min(written).as_py())
            _measure(forms, form, written, counts[here])
        left &= ~here
    if len(values) > MOST_VALUES:
        forms.values = None
    else:
        forms.values = Counter(dict(zip(values.to_pylist(), counts.tolist(), strict=True)))
    return forms


def _measure(forms: ColumnForms, form: str, values: pa.Array, counts: np.ndarray) -> None:
    if form in ("integer", "number", "code"):
        numbers = np.asarray(pc.utf8_trim_whitespace(values).to_pylist(), dtype=np.float64)
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers):
            forms.least = min(forms.least, float(numbers.min()))
            forms.greatest = max(forms.greatest, float(numbers.max()))
    if form in ("a/b/2024", "a-b-2024"):
        parts = pc.extract_regex(values, r"^\s*(?P<a>\d+)\D(?P<b>\d+)\D")
        first, second = (np.asarray(parts.field(part).to_pylist(), dtype=np.int64) > 12 for part in ("a", "b"))
        forms.over_12 = (forms.over_12[0] + int(counts[first].sum()), forms.over_12[1] + int(counts[second].sum()))
