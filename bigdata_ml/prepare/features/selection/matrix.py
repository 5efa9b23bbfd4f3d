"""Encodes columns of every type as numbers for Spark ML, fitted on train rows: nulls filled, categories by frequency."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bigdata_ml.prepare.session.columns import named

__all__ = ["Encoder", "feature_matrix", "fit_encoder"]

# Limited by the bins of the trees; all rarer categories share one number.
MOST_CATEGORIES = 31


@dataclass(frozen=True, slots=True)
class Encoder:
    """How a column becomes a number.

    Attributes:
        categories: the values of a categorical column as text, numbered from the commonest. Other values get the next number,
            null the one after. None for numbers.
        fill: the number for nulls, the median.
    """

    categories: tuple[str, ...] | None = None
    fill: float = 0.0

    def encode(self, column: pa.Array) -> np.ndarray:
        """Return float64 [rows]."""
        if self.categories is None:
            values = np.asarray(pc.fill_null(_doubles(column), float("nan")).to_numpy(zero_copy_only=False))
            return np.where(np.isfinite(values), values, self.fill)
        codes = pc.index_in(_texts(column), pa.array(self.categories, pa.string()), skip_nulls=True)
        numbers = np.asarray(pc.fill_null(codes, len(self.categories)).to_numpy(zero_copy_only=False), np.float64)
        return np.where(np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False)), len(self.categories) + 1.0, numbers)


def fit_encoder(column: pa.Array) -> Encoder:
    """Fit an encoder to a sample of the column."""
    kind = column.type
    if pa.types.is_string(kind):
        counts = pc.value_counts(column.drop_null()).to_pylist()
        ranked = sorted(counts, key=lambda count: (-count["counts"], count["values"]))
        return Encoder(categories=tuple(count["values"] for count in ranked[:MOST_CATEGORIES]))
    values = np.asarray(_doubles(column).drop_null().to_numpy(zero_copy_only=False))
    values = values[np.isfinite(values)]
    return Encoder(fill=float(np.quantile(values, 0.5, method="inverted_cdf")) if len(values) else 0.0)


def feature_matrix(
    rows: DataFrame, encoders: Mapping[str, Encoder], *, label: str, classes: Sequence[object] | None
) -> DataFrame:
    """Return `features` (a vector, in the encoders' order) and `label` (double).

    Args:
        rows: the rows.
        encoders: by column.
        label: a number, or one of `classes`.
        classes: the label's values in the order of their numbers.
    """
    from pyspark.ml.functions import array_to_vector

    wanted = rows.select(named(label).alias("label"), *(named(name).alias(str(place)) for place, name in enumerate(encoders)))
    numbers = Encoder(categories=tuple(_as_text(value) for value in classes)) if classes is not None else Encoder()
    encode = _Encode(numbers, tuple(encoders.values()))
    encoded = wanted.mapInArrow(encode, "label double, features array<double>")
    return encoded.select("label", array_to_vector(F.col("features")).alias("features"))


@dataclass(frozen=True, slots=True)
class _Encode:
    """Runs on the executors."""

    label: Encoder
    features: tuple[Encoder, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = zip(self.features, batch.columns[1:], strict=True)
            matrix = np.column_stack([encoder.encode(column) for encoder, column in columns])
            offsets = np.arange(batch.num_rows + 1, dtype=np.int32) * len(self.features)
            lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.reshape(-1)))
            yield pa.RecordBatch.from_arrays([pa.array(self.label.encode(batch.column(0))), lists], ["label", "features"])


def _doubles(column: pa.Array) -> pa.Array:
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
    return column.cast(pa.float64(), safe=False)


def _texts(column: pa.Array) -> pa.Array:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
