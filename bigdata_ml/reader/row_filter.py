"""Conditions that no Arrow expression can say: row groups by number, and a function of their columns."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader.fetch import GroupSource

__all__ = ["RowFilter", "kept_rows"]


@dataclass(frozen=True, eq=False, kw_only=True)
class RowFilter:
    """A condition on row groups and rows, for `ReadOptions(predicate=…)`.

    Attributes:
        groups: numbers of the row groups that come into question, in the dataset's order from 0; None is all.
        columns: fields that `keep` is given; empty where it is None.
        keep: from a record batch of these columns, as they are stored, to bool [rows]; None keeps all rows. It must depend on
            nothing else, and is called from several threads.
    """

    groups: frozenset[int] | None = None
    columns: tuple[str, ...] = ()
    keep: Callable[[pa.RecordBatch], np.ndarray] | None = None

    def __post_init__(self) -> None:
        if (self.keep is None) != (not self.columns):
            raise ValueError(f"columns go with a function that is given them, got columns={self.columns} and keep={self.keep}")


def kept_rows(dataset: Dataset, condition: RowFilter, *, threads: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return what a condition keeps: rows of each group, int64 [groups], and bool [rows] of each group that was looked into.

    Raises:
        ValueError: a function that does not return one boolean a row.
        DatasetInvalid: a row group that cannot be read.
    """
    counts = dataset.row_groups.rows.copy()
    if condition.groups is not None:
        asked = np.zeros(len(counts), bool)
        asked[[group for group in condition.groups if group < len(counts)]] = True
        counts[~asked] = 0
    keep = condition.keep
    if keep is None:
        return counts, {}
    source, left = GroupSource(dataset, condition.columns), np.flatnonzero(counts).tolist()

    def look(group: int) -> np.ndarray:
        columns = source.read(group)
        batch = pa.RecordBatch.from_arrays(list(columns.values()), schema=source.schema)
        found = np.asarray(keep(batch))
        if found.dtype != np.bool_ or found.shape != (batch.num_rows,):
            gave = f"it gave {found.dtype} {list(found.shape)}"
            raise ValueError(f"{source.place(group, 0)}: the condition must give bool [{batch.num_rows}], {gave}")
        return found

    with ThreadPoolExecutor(threads) as pool:
        masks = dict(zip(left, pool.map(look, left), strict=True))
    for group, mask in masks.items():
        counts[group] = np.count_nonzero(mask)
    return counts, masks
