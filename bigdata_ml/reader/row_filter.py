"""Conditions that no Arrow expression can say: row groups by number, and a function of their columns."""

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
        groups: numbers of the row groups that come into question, in the dataset's order from 0; None is all.
        columns: fields that `keep` is given; empty where it is None.
        keep: from a record batch of these columns, as they are stored, to bool [rows]; None keeps all rows. It must depend on
            nothing else, and is called from several threads.
    """

    expression: pc.Expression | None = None
    groups: frozenset[int] | None = None
    columns: tuple[str, ...] = ()
    keep: Callable[[pa.RecordBatch], np.ndarray] | None = None

    def __post_init__(self) -> None:
        if (self.keep is None) != (not self.columns):
            raise ValueError(f"columns go with a function that is given them, got columns={self.columns} and keep={self.keep}")
