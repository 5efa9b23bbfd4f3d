"""Conditions beyond Arrow expressions: row groups by number, and a function of the stored columns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["RowFilter"]


@dataclass(frozen=True, eq=False, kw_only=True)
class RowFilter:
    """A condition on row groups and rows, for `ReadOptions(predicate=…)`.

    Attributes:
        expression: Arrow expression that rows must satisfy as well; None is no condition.
        groups: numbers of the row groups to read, in the dataset's order from 0; None is all.
        columns: fields that `keep` receives; empty if it is None.
        keep: function of a record batch of these stored columns that returns bool [rows]; None keeps all rows. It must
            depend on nothing else, and several threads call it.

    Raises:
        ValueError: `columns` without `keep`, or `keep` without `columns`.

    >>> RowFilter(groups=frozenset({0, 2}), columns=("id",), keep=lambda rows: rows["id"].to_numpy() % 2 == 0).columns
    ('id',)
    """

    expression: pc.Expression | None = None
    groups: frozenset[int] | None = None
    columns: tuple[str, ...] = ()
    keep: Callable[[pa.RecordBatch], np.ndarray] | None = None

    def __post_init__(self) -> None:
        if (self.keep is None) != (not self.columns):
            raise ValueError(f"columns and keep must be given together, got columns={self.columns} and keep={self.keep}")
