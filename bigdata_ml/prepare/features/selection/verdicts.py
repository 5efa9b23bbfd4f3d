"""The options of a feature selection, and its verdict on each column."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

__all__ = ["FeatureSelection", "FeatureTable", "FeatureVerdict"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureSelection:
    """Which columns become features.

    Attributes:
        keep: the greatest number of kept columns; a share of all columns if below 1.
        most_null: the greatest allowed share of nulls, 0 … 1.
        most_common: the greatest allowed share of the commonest value, 0 … 1 (measured on the sample).
        most_correlated: the greatest allowed absolute correlation of two numeric columns, 0 … 1 (Pearson's, nulls at the
            median, measured on the sample); of two others the one with the weaker univariate test is dropped.
        trees, depth: of the forest that ranks the remaining columns.
        seed: of the forest.
    """

    keep: float
    most_null: float = 0.95
    most_common: float = 0.995
    most_correlated: float = 0.95
    trees: int = 60
    depth: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.keep <= 0 or (self.keep > 1 and self.keep != int(self.keep)):
            raise ValueError(f"keep must be a number of columns, or a share of the columns between 0 and 1, got {self.keep}")
        for name in ("most_null", "most_common", "most_correlated"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be a share between 0 and 1, got {getattr(self, name)}")

    @classmethod
    def parse(cls, text: str, *, seed: int = 0) -> "FeatureSelection":
        """Parse `120` (columns) or `10%` (of the columns)."""
        try:
            keep = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(int(text))
        except ValueError as error:
            raise ValueError(f"select a number or percentage of columns, such as 120 or 10%, got {text!r}") from error
        return cls(keep=keep, seed=seed)

    def wanted(self, columns: int) -> int:
        """Return the greatest number of kept columns."""
        return int(self.keep) if self.keep > 1 or self.keep == int(self.keep) else max(1, int(self.keep * columns))


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureVerdict:
    """The measurements of a column, and whether it is kept.

    Attributes:
        column: its name.
        kept: whether it is kept.
        reason: why it is kept or dropped.
        rank: by importance in the forest, from 1.
        nulls: share of nulls.
        commonest: share of the commonest value, null included.
        test, statistic, p: the univariate test against the label.
        importance: in the forest, 0 … 1.
    """

    column: str
    kept: bool
    reason: str
    rank: int | None = None
    nulls: float = 0.0
    commonest: float | None = None
    test: str | None = None
    statistic: float | None = None
    p: float | None = None
    importance: float | None = None


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The verdicts on all columns: kept columns by rank, then dropped columns by rank and name."""

    verdicts: tuple[FeatureVerdict, ...]

    @property
    def kept(self) -> tuple[str, ...]:
        """The kept columns, the most important first."""
        return tuple(verdict.column for verdict in self.verdicts if verdict.kept)

    @property
    def dropped(self) -> tuple[str, ...]:
        """The dropped columns."""
        return tuple(verdict.column for verdict in self.verdicts if not verdict.kept)

    def reasons(self) -> dict[str, int]:
        """Count columns by the first words of the reason."""
        counts = Counter(verdict.reason.split(":")[0] for verdict in self.verdicts)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def to_json(self) -> list[dict[str, Any]]:
        """Return a record per column, without absent values."""
        return [{key: value for key, value in asdict(verdict).items() if value is not None} for verdict in self.verdicts]

    def to_arrow(self) -> pa.Table:
        """Return a row per column."""
        return pa.Table.from_pylist([asdict(verdict) for verdict in self.verdicts])
