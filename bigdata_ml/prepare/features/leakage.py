"""Finds columns that alone predict the label nearly perfectly; these are more often leaks than features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from bigdata_ml.prepare.features.train_sample import sampled_columns

__all__ = ["LEAK", "Leak", "errors_avoided", "label_leaks"]

LEAK = 0.95
_MOST_BINS = 4096
_ROWS_A_BIN = 20
_LABEL_BINS = 20
_MOST_CLASSES = 100


@dataclass(frozen=True, slots=True)
class Leak:
    """A column that predicts the label, and the share of a guess's errors that it avoids."""

    column: str
    errors_avoided: float


def label_leaks(sample: DataFrame, label: str, columns: Sequence[str], *, threshold: float = LEAK) -> list[Leak]:
    """Return the columns that alone predict the label nearly perfectly, the worst first.

    The measure is `errors_avoided`, Goodman and Kruskal's lambda on held-out rows.

    Args:
        sample: persisted train rows.
        label: the label; more than 100 distinct numbers become 20 classes of equal size.
        columns: the candidates.
        threshold: the least measure of a leak, 0 … 1.
    """
    (_, labels), (_, places) = sampled_columns(sample, [label, "__place"])
    many = _is_number(labels) and pc.count_distinct(labels).as_py() > _MOST_CLASSES
    classes = _codes(labels, _LABEL_BINS if many else None)
    # By the rows' hash, so that equal rows are all in the same half.
    learn = np.asarray(places.to_numpy()) >> 7 & 1 == 0
    leaks = [Leak(name, errors_avoided(column, classes, learn)) for name, column in sampled_columns(sample, columns)]
    return sorted(
        (leak for leak in leaks if leak.errors_avoided >= threshold), key=lambda leak: (-leak.errors_avoided, leak.column)
    )


def errors_avoided(column: pa.Array, classes: np.ndarray, learn: np.ndarray) -> float:
    """Return the share of a guess's errors that the column avoids, 0 … 1, on the held-out rows.

    The guess is the commonest class; with the column it is the commonest class of rows with the same value. Numbers are cut
    into bins of equal size, of at least 20 rows.

    Args:
        column: values, null included.
        classes: whole numbers from 0, [rows].
        learn: whether to learn from a row, [rows]; the others are held out.
    """
    codes = _codes(column, int(np.clip(learn.sum() // _ROWS_A_BIN, 2, _MOST_BINS)))
    commonest = np.bincount(classes[learn]).argmax() if learn.any() else 0
    errors = int((classes[~learn] != commonest).sum())
    if not errors:
        return 0.0
    pairs, counts = np.unique(np.stack([codes[learn], classes[learn]]), axis=1, return_counts=True)
    # The last class of each code has the greatest count, and the assignment below keeps it.
    order = np.lexsort((-pairs[1], counts, pairs[0]))
    guess = np.full(codes.max() + 1, commonest)
    guess[pairs[0][order]] = pairs[1][order]
    return max(0.0, 1 - int((guess[codes[~learn]] != classes[~learn]).sum()) / errors)


def _codes(column: pa.Array, bins: int | None) -> np.ndarray:
    """Return whole numbers from 0, equal for equal values or for values of one bin."""
    if bins is None or not _is_number(column):
        encoded = pc.dictionary_encode(column.cast(pa.string()) if not pa.types.is_string(column.type) else column)
        return np.asarray(pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False), np.int64)
    values = np.asarray(pc.fill_null(column.cast(pa.float64(), safe=False), float("nan")).to_numpy(zero_copy_only=False))
    known = np.isfinite(values)
    distinct = np.unique(values[known])
    if len(distinct) > bins:
        distinct = np.unique(np.quantile(values[known], np.linspace(0, 1, bins + 1)[:-1], method="inverted_cdf"))
    return np.where(known, np.searchsorted(distinct, values, side="right"), 0).astype(np.int64)


def _is_number(column: pa.Array) -> bool:
    kind = column.type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
