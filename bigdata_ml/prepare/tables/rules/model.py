"""The rules a table is held against: frozen values, checked when made; `rules_file.py` reads them from YAML."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, get_args

__all__ = [
    "ColumnRules",
    "DuplicateRule",
    "Normalise",
    "NotNullRule",
    "NullValues",
    "Otherwise",
    "OutlierRule",
    "RangeRule",
    "ReferenceRule",
    "RegexRule",
    "Scalar",
    "SetRule",
    "Severity",
    "TableRules",
    "TypeRule",
    "UniqueRule",
    "ValueKind",
]  # fmt: skip

Scalar = str | int | float | bool
ValueKind = Literal["integer", "number", "text", "boolean", "date", "timestamp"]


class Severity(str, Enum):
    """What becomes of a row that breaks a rule.

    REFUSE_ROW  the row goes to quarantine, with the rule as its reason
    FILL        the value is replaced, and counted
    WARN        the value stays, and is counted
    REFUSE_JOB  nothing is published
    """

    REFUSE_ROW = "refuse_row"
    FILL = "fill"
    WARN = "warn"
    REFUSE_JOB = "refuse_job"


@dataclass(frozen=True, kw_only=True, slots=True)
class Otherwise:
    """What becomes of a value that breaks a rule.

    Attributes:
        severity: the consequence.
        fill: the value of `Severity.FILL`; None makes it null.
    """

    severity: Severity = Severity.REFUSE_ROW
    fill: Scalar | None = None

    def __post_init__(self) -> None:
        if self.fill is not None and self.severity is not Severity.FILL:
            raise ValueError(f"a fill value goes with `otherwise: fill`, got `otherwise: {self.severity.value}`")


@dataclass(frozen=True, kw_only=True, slots=True)
class NullValues:
    """Texts that mean null, compared without the spaces around them."""

    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("null_values must name a text at least")

    def __str__(self) -> str:
        return f"null is also written {', '.join(map(repr, self.values))}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeRule:
    """The type the column gets; a value that is none breaks the rule and, if it is let pass, becomes null.

    Attributes:
        kind: of the column.
        formats: of dates and timestamps, in Spark's letters (`dd/MM/yyyy`); by default ISO 8601.
        day_first: which of two formats that both fit a text, with different outcomes, is meant; None: neither is known, and
            the text is ambiguous.
        ambiguous: what becomes of such a text: refuse_row, refuse_job, or warn (the first format then wins).
        zone: of timestamps that name none, such as `Europe/Berlin`; without it they break the rule `zone`. Kept is UTC.
        unwrap: a list of one value is taken for the value.
        otherwise: what becomes of a value that is not of the kind.
    """

    kind: ValueKind
    formats: tuple[str, ...] = ()
    day_first: bool | None = None
    ambiguous: Severity = Severity.REFUSE_ROW
    zone: str = ""
    unwrap: bool = False
    otherwise: Otherwise = Otherwise()

    def __post_init__(self) -> None:
        if self.kind not in get_args(ValueKind):
            raise ValueError(f"a type is one of {', '.join(get_args(ValueKind))}, got {self.kind!r}")
        if self.kind not in ("date", "timestamp") and (self.formats or self.day_first is not None):
            raise ValueError(f"formats and day_first go with dates and timestamps, got type {self.kind}")
        if self.zone and self.kind != "timestamp":
            raise ValueError(f"a zone goes with timestamps, got type {self.kind}")
        if self.day_first is not None and len(self.formats) < 2:
            raise ValueError("day_first says which of several formats is meant; give them as formats")
        if self.ambiguous is Severity.FILL:
            raise ValueError("what is ambiguous cannot be filled: use refuse_row, refuse_job or warn")

    def __str__(self) -> str:
        return self.kind + (f" in the forms {', '.join(self.formats)}" if self.formats else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Normalise:
    """One spelling for texts that differ in form only; changed values are counted.

    Attributes:
        spaces: spaces around go, runs of them inside become one.
        case: `lower`, `upper`, `keep`, or `set`: a text that differs from a value of the column's set in case only becomes it.
        unicode: the Unicode form: `NFC` (same characters), `NFKC` (also full-width letters, ligatures and the like), `keep`.
    """

    spaces: bool = True
    case: Literal["keep", "lower", "upper", "set"] = "keep"
    unicode: Literal["keep", "NFC", "NFKC"] = "NFC"

    def __post_init__(self) -> None:
        if self.case not in ("keep", "lower", "upper", "set"):
            raise ValueError(f"case is keep, lower, upper or set, got {self.case!r}")
        if self.unicode not in ("keep", "NFC", "NFKC"):
            raise ValueError(f"unicode is keep, NFC or NFKC, got {self.unicode!r}")

    def __str__(self) -> str:
        parts = [*(["spaces"] if self.spaces else []), f"case {self.case}", f"Unicode {self.unicode}"]
        return f"one spelling: {', '.join(parts)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SetRule:
    """The values there may be; null is none of them and breaks no set."""

    values: tuple[Scalar, ...]
    otherwise: Otherwise = Otherwise()

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a set must have a value at least")

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.values[:12]))
        return f"one of {shown}" + (f" and {len(self.values) - 12} more" if len(self.values) > 12 else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class RegexRule:
    """The pattern (Java's) that a whole text must match."""

    pattern: str
    otherwise: Otherwise = Otherwise()

    def __str__(self) -> str:
        return f"matches {self.pattern}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RangeRule:
    """The least and the greatest value there may be, both included; numbers, or dates and timestamps in ISO 8601."""

    least: Scalar | None = None
    greatest: Scalar | None = None
    otherwise: Otherwise = Otherwise()

    def __post_init__(self) -> None:
        if self.least is None and self.greatest is None:
            raise ValueError("a range must have a min or a max")
        numbers = isinstance(self.least, int | float) and isinstance(self.greatest, int | float)
        if numbers and self.least > self.greatest:  # type: ignore[operator]
            raise ValueError(f"a range's min must not exceed its max, got {self.least} and {self.greatest}")

    def __str__(self) -> str:
        if self.greatest is None:
            return f"at least {self.least}"
        return f"at most {self.greatest}" if self.least is None else f"from {self.least} to {self.greatest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class OutlierRule:
    """Bounds found on the train rows that are not refused, and held to by all rows; `fill` puts the nearer bound.

    Attributes:
        method: `quantile`: the bounds are the quantiles `low` and `high`; `mad`: the median plus and minus `times` the median
            absolute deviation, scaled by 1.4826 to be a normal deviate's standard deviation.
        low, high: from 0 to 1.
        times: 1 or more.
        otherwise: what becomes of a value outside.
    """

    method: Literal["quantile", "mad"] = "quantile"
    low: float = 0.001
    high: float = 0.999
    times: float = 8.0
    otherwise: Otherwise = Otherwise(severity=Severity.WARN)

    def __post_init__(self) -> None:
        if self.method not in ("quantile", "mad"):
            raise ValueError(f"the method is quantile or mad, got {self.method!r}")
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"low and high must be shares from 0 to 1 in this order, got {self.low} and {self.high}")
        if self.times < 1:
            raise ValueError(f"times must be 1 or more, got {self.times}")
        if self.otherwise.fill is not None:
            raise ValueError("outliers are filled with the nearer bound; give no fill value")

    def __str__(self) -> str:
        if self.method == "mad":
            return f"within {self.times} deviations (MAD) of the train rows' median"
        return f"between the train rows' quantiles {self.low} and {self.high}"


@dataclass(frozen=True, kw_only=True, slots=True)
class NotNullRule:
    """There may be no null."""

    otherwise: Otherwise = Otherwise()

    def __post_init__(self) -> None:
        if self.otherwise.severity is Severity.FILL and self.otherwise.fill is None:
            raise ValueError("a null is filled with a value: add `fill: VALUE`")

    def __str__(self) -> str:
        return "not null"


@dataclass(frozen=True, kw_only=True, slots=True)
class UniqueRule:
    """No value may stand in two rows; all rows that share one break the rule (to keep one of them: `duplicates`)."""

    otherwise: Otherwise = Otherwise()

    def __post_init__(self) -> None:
        _no_fill("unique", self.otherwise)

    def __str__(self) -> str:
        return "stands in one row"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceRule:
    """The value must stand in a column of another table; null refers to nothing and breaks no reference."""

    table: str
    column: str
    otherwise: Otherwise = Otherwise()

    def __str__(self) -> str:
        return f"stands in {self.column} of {self.table}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicateRule:
    """Of rows that share a key one is kept; a row with a null in its key is nobody's duplicate.

    Attributes:
        key: the columns.
        keep: `newest` (greatest `by`), `first` (least `by`), or `most_complete` (fewest nulls). Where that leaves several, the
            row whose text is the least: the choice never depends on the order of files.
        by: the column of `newest` and `first`.
        otherwise: what becomes of the others.
    """

    key: tuple[str, ...]
    keep: Literal["newest", "first", "most_complete"] = "most_complete"
    by: str = ""
    otherwise: Otherwise = Otherwise()

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("duplicates are found by a key: name its columns")
        if self.keep not in ("newest", "first", "most_complete"):
            raise ValueError(f"keep is newest, first or most_complete, got {self.keep!r}")
        if bool(self.by) != (self.keep in ("newest", "first")):
            raise ValueError(f"`by` names the column of newest and first, and goes with them only, got keep: {self.keep}")
        _no_fill("duplicates", self.otherwise)

    def __str__(self) -> str:
        return f"one row a {', '.join(self.key)}, the {self.keep.replace('_', ' ')}" + (f" by {self.by}" if self.by else "")


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
            raise ValueError(f"column {self.name!r}: normalise and regex go with text, got type {kind}")
        if self.normalise and self.normalise.case == "set" and not self.set:
            raise ValueError(f"column {self.name!r}: `case: set` takes the spelling of the column's set; give it one")


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRules:
    """All rules of a table."""

    columns: tuple[ColumnRules, ...] = ()
    duplicates: DuplicateRule | None = None

    def __post_init__(self) -> None:
        names = [one.name for one in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the rules of a column stand in one place, those of {', '.join(twice)} in several")


def _no_fill(name: str, otherwise: Otherwise) -> None:
    if otherwise.severity is Severity.FILL:
        raise ValueError(f"{name} cannot be mended by a value: use refuse_row, warn or refuse_job")
