"""Quantiles that are independent of partitions and order, from counts in bins of the values' leading bits.

A bin holds doubles with the same sign, exponent and first 12 bits of the mantissa, so each whole number up to 8,192 has its
own bin. A quantile is the least value of the bin that contains its rank. It is a value of the column, with a relative error
of at most 1/4096 (0.025 %), and exact for such whole numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

__all__ = ["quantiles"]

_DROPPED_BITS = 52 - 12
_MOST_WAITING = 1 << 16
_COUNTED = "place int, bin long, count long, least double"
_ARROW = pa.schema([("place", pa.int32()), ("bin", pa.int64()), ("count", pa.int64()), ("least", pa.float64())])


def quantiles(rows: DataFrame, columns: Mapping[str, Column], shares: Sequence[float]) -> dict[str, dict[float, float]]:
    """Return the quantiles of numeric columns by name and share, in one pass; columns without finite values are omitted.

    The quantile of the share p is the value of rank ceil(p · n) among the n finite values, counted from 1.

    Args:
        rows: the rows.
        columns: numbers by name.
        shares: from 0 to 1.
    """
    names = list(columns)
    if not names:
        return {}
    doubles = rows.select(*(columns[name].cast("double").alias(str(place)) for place, name in enumerate(names)))
    counted = doubles.mapInArrow(_count_bins, _COUNTED).groupBy("place", "bin")
    bins = counted.agg(F.sum("count").alias("count"), F.min("least").alias("least"))
    by_column = Window.partitionBy("place")
    upto = by_column.orderBy("bin").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    ranked = bins.select(
        "place", "least", "count", F.sum("count").over(upto).alias("upto"), F.sum("count").over(by_column).alias("all")
    )
    ranks = [F.greatest(F.ceil(F.lit(share) * F.col("all")), F.lit(1)) for share in shares]
    held = F.array(*((rank > F.col("upto") - F.col("count")) & (rank <= F.col("upto")) for rank in ranks))
    holding = ranked.select("place", "least", held.alias("held")).where(F.exists("held", lambda holds: holds)).collect()
    result: dict[str, dict[float, float]] = {}
    for row in sorted(holding, key=lambda row: (row["place"], row["least"])):
        values = result.setdefault(names[row["place"]], {})
        values.update({share: row["least"] for share, here in zip(shares, row["held"], strict=True) if here})
    return result


@dataclass(slots=True)
class _Bins:
    """The bins of one column so far: sorted numbers, counts and least values. New values are merged in large groups."""

    bins: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    least: np.ndarray = field(default_factory=lambda: np.zeros(0))
    waiting: list[np.ndarray] = field(default_factory=list)
    waiting_values: int = 0

    def add(self, values: np.ndarray) -> None:
        # Turns -0.0 into 0.0.
        self.waiting.append(values + 0.0)
        self.waiting_values += len(values)
        if self.waiting_values > max(_MOST_WAITING, len(self.bins)):
            self.merge()

    def merge(self) -> None:
        values = np.concatenate(self.waiting)
        words = values.view(np.int64)
        # The bits of negative doubles are in reverse order.
        ordered = np.where(words < 0, words ^ np.int64(0x7FFFFFFFFFFFFFFF), words) >> np.int64(_DROPPED_BITS)
        counts = np.concatenate([self.counts, np.ones(len(values), np.int64)])
        least = np.concatenate([self.least, values])
        self.bins, place = np.unique(np.concatenate([self.bins, ordered]), return_inverse=True)
        self.counts = np.zeros(len(self.bins), np.int64)
        np.add.at(self.counts, place, counts)
        self.least = np.full(len(self.bins), np.inf)
        np.minimum.at(self.least, place, least)
        self.waiting, self.waiting_values = [], 0


def _count_bins(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    columns: dict[int, _Bins] = {}
    for batch in batches:
        for place, column in enumerate(batch.columns):
            values = np.asarray(pc.fill_null(column, float("nan")).to_numpy(zero_copy_only=False))
            values = values[np.isfinite(values)]
            if len(values):
                columns.setdefault(place, _Bins()).add(values)
    for place, bins in columns.items():
        if bins.waiting:
            bins.merge()
        arrays = (np.full(len(bins.bins), place, np.int32), bins.bins, bins.counts, bins.least)
        yield pa.RecordBatch.from_arrays([pa.array(values) for values in arrays], schema=_ARROW)
