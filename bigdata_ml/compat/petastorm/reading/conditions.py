"""Petastorm's predicate, selector and filters as one row filter of the reader."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.compat.petastorm.reading.source import Rows, as_frame
from bigdata_ml.compat.petastorm.selectors import RowGroupSelectorBase
from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.compat.petastorm.values.columns import batch_columns, row_columns, rows_of
from bigdata_ml.dataset import Dataset
from bigdata_ml.reader.row_filter import RowFilter

__all__ = ["condition_of"]


def condition_of(
    dataset: Dataset,
    schema: Unischema,
    *,
    predicate: Any,
    selector: RowGroupSelectorBase | None,
    indexes: Mapping[str, Any],
    filters: Any,
    batched: bool,
) -> RowFilter | None:
    """Return the filter that selects the rows to read; None selects all.

    Args:
        dataset: the dataset to read.
        schema: all fields of the dataset.
        predicate: an object with `get_fields` and `do_include`, or None.
        selector: of row groups, or None.
        indexes: row-group indexes by name.
        filters: as in pyarrow: (column, operator, value) terms that must all hold, or lists of terms, one of which must hold.
        batched: whether the predicate gets a DataFrame rather than one row's values.

    Raises:
        ValueError: a missing field, index or column, or an object that is not a predicate or selector.
    """
    if predicate is None and selector is None and not filters:
        return None
    names: tuple[str, ...] = ()
    keep = None
    if predicate is not None:
        names = _fields_of(predicate, schema)
        view = Unischema("predicate", [schema.fields[name] for name in names])
        keep = _by_frame(predicate, view) if batched else _by_row(predicate, view)
    expression = pq.filters_to_expression(filters) if filters else None
    groups = None if selector is None else _groups_of(dataset, selector, indexes)
    return RowFilter(expression=expression, groups=groups, columns=names, keep=keep)


def _fields_of(predicate: Any, schema: Unischema) -> tuple[str, ...]:
    if not (callable(getattr(predicate, "get_fields", None)) and callable(getattr(predicate, "do_include", None))):
        raise ValueError(f"predicate must be derived from PredicateBase, got {type(predicate).__name__}")
    names = tuple(sorted(predicate.get_fields()))
    if not names:
        raise ValueError("the predicate's get_fields() must name at least one field")
    unknown = [name for name in names if name not in schema.fields]
    if unknown:
        raise ValueError(
            f"the predicate reads the unknown fields {', '.join(unknown)}; the dataset has {', '.join(schema.fields)}"
        )
    return names


def _by_row(predicate: Any, view: Unischema) -> Any:
    def keep(batch: pa.RecordBatch) -> np.ndarray:
        columns = row_columns(batch, view, place=lambda row: f"row {row}")
        return np.array([bool(predicate.do_include(row)) for row in rows_of(columns, batch.num_rows)], bool)

    return keep


def _by_frame(predicate: Any, view: Unischema) -> Any:
    def keep(batch: pa.RecordBatch) -> np.ndarray:
        included = predicate.do_include(as_frame(Rows(batch_columns(batch, view), batch.num_rows)))
        return np.broadcast_to(np.asarray(included, bool), batch.num_rows)

    return keep


def _groups_of(dataset: Dataset, selector: RowGroupSelectorBase, indexes: Mapping[str, Any]) -> frozenset[int]:
    if not callable(getattr(selector, "select_row_groups", None)):
        raise ValueError(f"rowgroup_selector must be derived from RowGroupSelectorBase, got {type(selector).__name__}")
    missing = sorted(set(selector.get_index_names()) - set(indexes))
    if missing:
        raise ValueError(
            f"{dataset.url} has no row-group indexes {', '.join(missing)}; it has {', '.join(indexes) or 'none'}; "
            "create them by build_rowgroup_index"
        )
    # Petastorm numbers row groups by path, then by position in the file.
    table = dataset.row_groups.table
    numbered = sorted(
        range(len(dataset.row_groups)), key=lambda group: (table["path"][group].as_py(), table["row_group"][group].as_py())
    )
    return frozenset(numbered[number] for number in selector.select_row_groups(indexes))
