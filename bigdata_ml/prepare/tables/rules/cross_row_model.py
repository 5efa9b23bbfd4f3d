"""Rules that compare a row with other rows: outliers, unique values, references and duplicates."""

from dataclasses import dataclass
from typing import Literal

from bigdata_ml.prepare.tables.rules.consequences import REFUSE_ROW, WARN, Otherwise, refuse_fill

__all__ = ["DuplicateRule", "OutlierRule", "ReferenceRule", "UniqueRule"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OutlierRule:
    """Bounds computed from the train rows that are not refused, applied to all rows; `fill` sets the nearer bound.

    Attributes:
        method: `quantile`: the quantiles `low` and `high` are the bounds. `mad`: the median plus and minus `times` the median
            absolute deviation, scaled by 1.4826 to equal the standard deviation of a normal distribution.
        low, high: shares from 0 to 1.
        times: 1 or more.
        otherwise: what happens to a value outside the bounds.
    """

    method: Literal["quantile", "mad"] = "quantile"
    low: float = 0.001
    high: float = 0.999
    times: float = 8.0
    otherwise: Otherwise = WARN

    def __post_init__(self) -> None:
        if self.method not in ("quantile", "mad"):
            raise ValueError(f"method must be quantile or mad, got {self.method!r}")
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"low and high must satisfy 0 <= low < high <= 1, got {self.low} and {self.high}")
        if self.times < 1:
            raise ValueError(f"times must be 1 or more, got {self.times}")
        if self.otherwise.fill is not None:
            raise ValueError("outliers are filled with the nearer bound; remove the fill value")

    def __str__(self) -> str:
        if self.method == "mad":
            return f"within {self.times} MAD of the median of the train rows"
        return f"between the quantiles {self.low} and {self.high} of the train rows"


@dataclass(frozen=True, kw_only=True, slots=True)
class UniqueRule:
    """Each value occurs in one row; all rows that share a value break the rule (`duplicates` keeps one of them)."""

    otherwise: Otherwise = REFUSE_ROW

    def __post_init__(self) -> None:
        refuse_fill("unique", self.otherwise)

    def __str__(self) -> str:
        return "occurs in one row"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceRule:
    """The value must occur in a column of another table; null never breaks the rule."""

    table: str
    column: str
    otherwise: Otherwise = REFUSE_ROW

    def __str__(self) -> str:
        return f"occurs in {self.column} of {self.table}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicateRule:
    """One row of each key is kept; rows with a null in the key are never duplicates.

    Attributes:
        key: the columns.
        keep: `newest` (greatest `by`), `first` (least `by`), or `most_complete` (fewest nulls). Ties go to the fewest nulls,
            then to the least row text, so the choice never depends on the order of files.
        by: the column for `newest` and `first`.
        otherwise: what happens to the other rows.
    """

    key: tuple[str, ...]
    keep: Literal["newest", "first", "most_complete"] = "most_complete"
    by: str = ""
    otherwise: Otherwise = REFUSE_ROW

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("duplicates needs a key; name its columns")
        if self.keep not in ("newest", "first", "most_complete"):
            raise ValueError(f"keep must be newest, first or most_complete, got {self.keep!r}")
        if bool(self.by) != (self.keep in ("newest", "first")):
            raise ValueError(f"`by` must be given exactly with keep: newest or first, got keep: {self.keep}, by: {self.by!r}")
        refuse_fill("duplicates", self.otherwise)

    def __str__(self) -> str:
        return f"one row per {', '.join(self.key)}, the {self.keep.replace('_', ' ')}" + (f" by {self.by}" if self.by else "")
