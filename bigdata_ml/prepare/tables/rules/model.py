"""The rules of a table and its columns, as frozen values that check themselves; `yaml_file.py` reads them from YAML."""

from dataclasses import dataclass
from typing import Literal, get_args

from bigdata_ml.prepare.tables.rules.consequences import REFUSE_ROW, Otherwise, Scalar, Severity
from bigdata_ml.prepare.tables.rules.cross_row_model import DuplicateRule, OutlierRule, ReferenceRule, UniqueRule

__all__ = [
    "ColumnRules", "DuplicateRule", "Normalise", "NotNullRule", "NullValues", "Otherwise", "OutlierRule", "RangeRule",
    "ReferenceRule", "RegexRule", "Scalar", "SetRule", "Severity", "TableRules", "TypeRule", "UniqueRule", "ValueKind",
]  # fmt: skip

ValueKind = Literal["integer", "number", "text", "boolean", "date", "timestamp"]


@dataclass(frozen=True, kw_only=True, slots=True)
class NullValues:
    """Texts that mean null; surrounding spaces are ignored."""

    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("null_values must list at least one text")

    def __str__(self) -> str:
        return f"null is also written {', '.join(map(repr, self.values))}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeRule:
    """The type of the column. A value of another type breaks the rule; with `warn` it becomes null.

    Attributes:
        kind: the type.
        formats: formats of dates and timestamps as Spark writes them (`dd/MM/yyyy`); ISO 8601 by default.
        day_first: which format applies if two formats give a text different dates. None: the text is ambiguous.
        ambiguous: what happens to an ambiguous text: refuse_row, refuse_job, or warn (the first format applies).
        zone: time zone of timestamps without one, such as `Europe/Berlin`; without `zone` they break the rule `zone`. Stored
            timestamps are in UTC.
        unwrap: read a list of one value as that value.
        otherwise: what happens to a value of another type.
    """

    kind: ValueKind
    formats: tuple[str, ...] = ()
    day_first: bool | None = None
    ambiguous: Severity = Severity.REFUSE_ROW
    zone: str = ""
    unwrap: bool = False
    otherwise: Otherwise = REFUSE_ROW

    def __post_init__(self) -> None:
        if self.kind not in get_args(ValueKind):
            raise ValueError(f"type must be one of {', '.join(get_args(ValueKind))}, got {self.kind!r}")
        if self.kind not in ("date", "timestamp") and (self.formats or self.day_first is not None):
            raise ValueError(f"formats and day_first need type date or timestamp, got {self.kind}")
        if self.zone and self.kind != "timestamp":
            raise ValueError(f"zone needs type timestamp, got {self.kind}")
        if self.day_first is not None and len(self.formats) < 2:
            raise ValueError("day_first chooses between several formats; list them as formats")
        if self.ambiguous is Severity.FILL:
            raise ValueError("ambiguous values cannot be filled; use refuse_row, refuse_job or warn")

    def __str__(self) -> str:
        return self.kind + (f" in the formats {', '.join(self.formats)}" if self.formats else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalise:
    """One spelling for texts that differ only in form; changed values are counted.

    Attributes:
        spaces: trim surrounding spaces and collapse inner runs of spaces.
        case: `lower`, `upper`, `keep`, or `set`: a text that differs from a value of the column's set only in case becomes
            that value.
        unicode: the Unicode normal form: `NFC` (same characters), `NFKC` (also full-width letters, ligatures), `keep`.
    """

    spaces: bool = True
    case: Literal["keep", "lower", "upper", "set"] = "keep"
    unicode: Literal["keep", "NFC", "NFKC"] = "NFC"

    def __post_init__(self) -> None:
        if self.case not in ("keep", "lower", "upper", "set"):
            raise ValueError(f"case must be keep, lower, upper or set, got {self.case!r}")
        if self.unicode not in ("keep", "NFC", "NFKC"):
            raise ValueError(f"unicode must be keep, NFC or NFKC, got {self.unicode!r}")

    def __str__(self) -> str:
        parts = [*(["spaces"] if self.spaces else []), f"case {self.case}", f"Unicode {self.unicode}"]
        return f"one spelling: {', '.join(parts)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetRule:
    """The allowed values; null never breaks the rule."""

    values: tuple[Scalar, ...]
    otherwise: Otherwise = REFUSE_ROW

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("set must list at least one value")

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.values[:12]))
        return f"one of {listed}" + (f" and {len(self.values) - 12} more" if len(self.values) > 12 else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class RegexRule:
    """The regular expression (Java syntax) that a whole text must match."""

    pattern: str
    otherwise: Otherwise = REFUSE_ROW

    def __str__(self) -> str:
        return f"matches {self.pattern}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RangeRule:
    """The least and the greatest allowed value, both inclusive: numbers, or dates and timestamps in ISO 8601."""

    least: Scalar | None = None
    greatest: Scalar | None = None
    otherwise: Otherwise = REFUSE_ROW

    def __post_init__(self) -> None:
        if self.least is None and self.greatest is None:
            raise ValueError("range needs min or max")
        numbers = isinstance(self.least, int | float) and isinstance(self.greatest, int | float)
        if numbers and self.least > self.greatest:  # type: ignore[operator]
            raise ValueError(f"range: min must not exceed max, got {self.least} and {self.greatest}")

    def __str__(self) -> str:
        if self.greatest is None:
            return f"at least {self.least}"
        return f"at most {self.greatest}" if self.least is None else f"from {self.least} to {self.greatest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class NotNullRule:
    """Null is not allowed."""

    otherwise: Otherwise = REFUSE_ROW

    def __post_init__(self) -> None:
        if self.otherwise.severity is Severity.FILL and self.otherwise.fill is None:
            raise ValueError("filling nulls needs a value: add `fill: VALUE`")

    def __str__(self) -> str:
        return "not null"


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnRules:
    """The rules of one column, in the order in which they are applied."""

    name: str
    null_values: NullValues | None = None
    type: TypeRule | None = None
    normalise: Normalise | None = None
    set: SetRule | None = None
    regex: RegexRule | None = None
    range: RangeRule | None = None
    not_null: NotNullRule | None = None
    outliers: OutlierRule | None = None
    unique: UniqueRule | None = None
    references: ReferenceRule | None = None

    def __post_init__(self) -> None:
        kind = self.type.kind if self.type else "text"
        if (self.normalise or self.regex) and kind != "text":
            raise ValueError(f"column {self.name!r}: normalise and regex need type text, got {kind}")
        if self.normalise and self.normalise.case == "set" and not self.set:
            raise ValueError(f"column {self.name!r}: `case: set` needs the column's `set`; add it")


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRules:
    """All rules of a table."""

    columns: tuple[ColumnRules, ...] = ()
    duplicates: DuplicateRule | None = None

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"give all rules of a column in one place; repeated: {', '.join(repeated)}")
