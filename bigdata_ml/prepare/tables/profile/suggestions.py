"""Derives a column's type, suspicions and rules from the forms of its values."""

import json
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import Any

from bigdata_ml.prepare.tables.profile.value_forms import DATE_FORMS, NULL_WORDS, ColumnForms

__all__ = ["ColumnProfile", "suggested_yaml"]

_NUMBERS = ("integer", "number")
_TIMES = ("time", "time with zone")
_MOST_IN_SET = 30
# If at least this share of the known values has one type, the other values are strays.
_MOSTLY = 0.8


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """A column: its name, the type that a job infers and why, and the forms of its values (None for nested columns)."""

    name: str
    inferred: str
    seen: ColumnForms | None
    why: str = ""

    @property
    def kind(self) -> str:
        """The type of most values: integer, number, boolean, date, timestamp or text; or the nested type."""
        if self.seen is None:
            return self.inferred
        forms = self._known()
        total = sum(forms.values())
        if not total or "code" in forms:
            return "text"
        shares = {
            "integer": forms["integer"],
            "number": forms["integer"] + forms["number"],
            "boolean": forms["boolean"],
            "date": sum(forms[form] for form in DATE_FORMS),
            "timestamp": sum(forms[form] for form in _TIMES),
        }
        whole = next((kind for kind, count in shares.items() if count == total), None)
        mostly = max(shares, key=lambda kind: (shares[kind], kind == "integer"))
        return whole or (mostly if shares[mostly] >= _MOSTLY * total else "text")

    @property
    def strays(self) -> Counter[str]:
        """Counts of values by form that are not of the column's type."""
        kind, forms = self.kind, self._known()
        fitting: dict[str, tuple[str, ...]] = {
            "integer": ("integer",), "number": _NUMBERS, "boolean": ("boolean",), "date": tuple(DATE_FORMS), "timestamp": _TIMES,
        }  # fmt: skip
        known = fitting.get(kind)
        return Counter() if known is None else Counter({form: count for form, count in forms.items() if form not in known})

    @property
    def spellings(self) -> dict[str, list[str]]:
        """Texts that differ only in case, spaces or Unicode form: all spellings by the commonest."""
        if self.seen is None or self.seen.values is None or self.kind != "text":
            return {}
        groups: dict[str, list[str]] = {}
        for value in self.seen.values:
            groups.setdefault(_folded(value), []).append(value)
        counts = self.seen.values
        several = (
            sorted(group, key=lambda text: (-counts[text], text)) for key, group in groups.items() if key and len(group) > 1
        )
        return {group[0]: group for group in several}

    @property
    def suspicions(self) -> list[str]:
        """What to check, in words."""
        seen = self.seen
        if seen is None:
            return [f"nested ({self.inferred}): flatten or drop it"]
        texts, known = [], seen.rows - seen.nulls - seen.forms["blank"]
        if seen.rows and not known:
            texts.append("only null")
        elif seen.values is not None and len(seen.values) == 1 and not seen.nulls:
            texts.append("constant")
        elif seen.nulls > 0.95 * seen.rows:
            texts.append(f"mostly null: {seen.nulls / seen.rows:.1%}")
        if self.kind in _NUMBERS and self.inferred == "string":
            texts.append("numbers as text")
        if self.strays:
            strays = ", ".join(f"{count} {form} such as {seen.examples[form]!r}" for form, count in self.strays.most_common(3))
            texts.append(f"mixed types: {strays}")
        if seen.forms["null word"]:
            texts.append(f"words for null, such as {seen.examples['null word']!r}: {seen.forms['null word']} times")
        if seen.forms["code"]:
            texts.append(f"leading zeros, such as {seen.examples['code']!r}: stays text")
        texts += self._suspicious_dates()
        if self.spellings:
            most = next(iter(self.spellings.values()))
            texts.append(f"several spellings of {len(self.spellings)} values, such as {', '.join(map(repr, most[:3]))}")
        return texts

    def _suspicious_dates(self) -> list[str]:
        if self.seen is None or self.kind not in ("date", "timestamp"):
            return []
        texts, forms = [], [form for form in DATE_FORMS if self.seen.forms[form]]
        if len(forms) > 1:
            texts.append(f"several date forms: {', '.join(forms)}")
        if any(len(DATE_FORMS[form]) > 1 for form in forms):
            first, second = self.seen.over_12
            if bool(first) == bool(second):
                texts.append("ambiguous day and month" if not first else "days first and months first, mixed")
        if self.kind == "timestamp" and self.seen.forms["time"]:
            texts.append("times without a time zone: UTC is a guess")
        return texts

    def _known(self) -> Counter[str]:
        if self.seen is None:
            return Counter()
        return Counter({form: count for form, count in self.seen.forms.items() if form not in ("blank", "null word")})

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON values."""
        seen = self.seen
        values: dict[str, Any] = {"name": self.name, "type": self.kind, "inferred": self.inferred, "why": self.why}
        values["suspicions"] = self.suspicions
        if seen is not None:
            values |= {key: value for key, value in seen.to_json().items() if key not in ("values", "over_12", "rows")}
            values["distinct"] = None if seen.values is None else len(seen.values)
        return values

    def yaml(self) -> list[str]:
        """Return the lines of rules that all values satisfy."""
        if self.seen is None:
            return []
        lines = []
        kind = self.kind
        if kind != "text" and (words := self._null_words()):
            lines.append(f"null_values: {_flow(words)}")
        lines.append(f"type: {self._type(kind)}")
        values = self._set()
        if self.spellings:
            lines.append(f"normalise: {{case: {'set' if values else 'keep'}}}")
        if values:
            lines.append(f"set: {_flow(values)}")
        if kind in _NUMBERS and self.seen.least <= self.seen.greatest:
            lines.append(f"range: [{_number(self.seen.least)}, {_number(self.seen.greatest)}]")
        blank = self.seen.nulls or self.seen.forms["blank"] or self.seen.forms["null word"]
        if self.seen.rows and not blank and not self.strays:
            lines.append("not_null: true")
        return lines

    def _type(self, kind: str) -> str:
        seen = self.seen
        if seen is None:
            return kind
        more = []
        if kind == "date":
            forms = [form for form in DATE_FORMS if seen.forms[form]]
            formats = [spark_format for form in forms for spark_format in self._readings(form)]
            more.append(f"formats: {_flow(formats)}")
            if len(formats) > len(forms):
                more.append("ambiguous: warn")
        if kind == "timestamp" and seen.forms["time"]:
            more.append("zone: UTC")
        if self.strays["list of one"]:
            more.append("unwrap: true")
        if self.strays:
            more.append("otherwise: warn")
        return f"{{is: {kind}, {', '.join(more)}}}" if more else kind

    def _readings(self, form: str) -> tuple[str, ...]:
        both = DATE_FORMS[form]
        if len(both) < 2 or self.seen is None:
            return both
        first, second = self.seen.over_12
        return both if bool(first) == bool(second) else both[:1] if first else both[1:]

    def _null_words(self) -> list[str]:
        if self.seen is None or not self.seen.forms["null word"]:
            return []
        if self.seen.values is None:
            return [self.seen.examples["null word"].strip()]
        return sorted({value.strip() for value in self.seen.values if value.strip().lower() in NULL_WORDS})

    def _set(self) -> list[str]:
        seen = self.seen
        if seen is None or self.kind != "text" or seen.values is None or seen.forms["blank"]:
            return []
        others = {spelling for group in self.spellings.values() for spelling in group[1:]}
        values = sorted(set(seen.values) - others)
        stripped = all(value == _spaced(value) for value in values)
        repeated = sum(seen.values.values()) >= 5 * len(values)
        return values if 0 < len(values) <= _MOST_IN_SET and repeated and (stripped or not self.spellings) else []


def suggested_yaml(source: str, rows: int, columns: tuple[ColumnProfile, ...]) -> str:
    """Return rules as YAML text, with each column's suspicions as comments above it."""
    lines = [
        f"# Suggested by `bigdata-ml profile {' '.join(source.split())}` from {rows} rows: review and correct it.",
        "columns:",
    ]
    for column in columns:
        lines += [f"  # {' '.join(text.split())}" for text in column.suspicions]
        rules = column.yaml()
        if rules:
            lines += [f"  {json.dumps(column.name, ensure_ascii=False)}:", *(f"    {rule}" for rule in rules)]
    return "\n".join(lines if len(lines) > 2 else lines[:1]) + "\n"


def _folded(value: str) -> str:
    return _spaced(unicodedata.normalize("NFC", value)).lower()


def _spaced(value: str) -> str:
    return " ".join(value.split())


def _flow(values: list[str]) -> str:
    return f"[{', '.join(json.dumps(value, ensure_ascii=False) for value in values)}]"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
