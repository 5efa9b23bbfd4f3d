"""Mean, standard deviation and extremes, mergeable over files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bigdata_ml.dataset import Statistics
from bigdata_ml.schema.converting import nearest_doubles

__all__ = ["Moments", "image_statistics", "is_numeric"]

# The last digits of float sums depend on the order, so published numbers are rounded. Digits are counted from the size of the
# values, because a mean around zero or a deviation of equal values consists only of such digits.
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, nulls, mean, sum of squared deviations and extremes of a column."""

    count: int = 0
    nulls: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float = float("inf")
    greatest: float = float("-inf")

    @staticmethod
    def of(column: pa.Array) -> "Moments":
        """Return the moments of a numeric or boolean column; values that are not finite count as null."""
        decimal = pa.types.is_decimal(column.type)
        floats = nearest_doubles(column) if decimal else column.cast(pa.float64(), safe=False)
        values = np.asarray(pc.fill_null(floats, float("nan")).to_numpy(zero_copy_only=False))
        known = values[np.isfinite(values)]
        if not len(known):
            return Moments(nulls=len(values))
        mean = float(known.mean())
        squares = float(((known - mean) ** 2).sum())
        least, greatest = float(known.min()), float(known.max())
        if pa.types.is_integer(column.type):
            # A double cannot represent every whole number beyond 2^53.
            least, greatest = pc.min(column).as_py(), pc.max(column).as_py()
        return Moments(len(known), len(values) - len(known), mean, squares, least, greatest)

    def merge(self, other: "Moments") -> "Moments":
        """Return the moments of both (Chan, Golub, LeVeque 1979)."""
        if not self.count or not other.count:
            return replace(self if self.count else other, nulls=self.nulls + other.nulls)
        count = self.count + other.count
        difference = other.mean - self.mean
        return Moments(
            count,
            self.nulls + other.nulls,
            self.mean + difference * other.count / count,
            self.squares + other.squares + difference * difference * self.count * other.count / count,
            min(self.least, other.least),
            max(self.greatest, other.greatest),
        )

    def to_statistics(self) -> Statistics | None:
        """Return the statistics as the manifest stores them, or None without known values."""
        if not self.count:
            return None
        std = (self.squares / self.count) ** 0.5
        size = max(abs(self.mean), std)
        return Statistics(
            count=self.count,
            nulls=self.nulls,
            mean=(_rounded(self.mean, size),),
            std=(_rounded(std, size),),
            least=self.least,
            greatest=self.greatest,
        )


def is_numeric(kind: pa.DataType) -> bool:
    """Whether columns of that type have moments."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_boolean(kind))


def image_statistics(inspected: DataFrame, *, channels: int) -> Statistics | None:
    """Return the statistics of the pixels of all rows of `inspected`, summed as whole numbers and so exact in any order.

    Grey images among colour images count in all three channels.
    """
    pixels = F.col("height").cast("long") * F.col("width")
    grey = F.col("channels") == 1
    sums = inspected.agg(
        F.sum(pixels).alias("pixels"),
        *(F.sum(F.when(grey, F.col("sums")[0]).otherwise(F.get("sums", F.lit(i)))).alias(f"sum{i}") for i in range(channels)),
        *(
            F.sum(F.when(grey, F.col("squares")[0]).otherwise(F.get("squares", F.lit(i)))).alias(f"square{i}")
            for i in range(channels)
        ),
        F.min("least").alias("least"),
        F.max("greatest").alias("greatest"),
    ).collect()[0]
    count = sums["pixels"]
    if not count:
        return None
    means = [sums[f"sum{i}"] / count for i in range(channels)]
    deviations = [(sums[f"square{i}"] * count - sums[f"sum{i}"] ** 2) ** 0.5 / count for i in range(channels)]
    return Statistics(
        count=count,
        nulls=0,
        mean=tuple(_rounded(mean, 255.0) for mean in means),
        std=tuple(_rounded(std, 255.0) for std in deviations),
        least=sums["least"],
        greatest=sums["greatest"],
    )


def merged(parts: Sequence[Moments]) -> Moments:
    """Merge the moments of all parts in their order."""
    total = Moments()
    for part in parts:
        total = total.merge(part)
    return total


def _rounded(value: float, size: float) -> float:
    """Round to the last of `_DIGITS` digits of a number of that size."""
    return round(value, _DIGITS - 1 - math.floor(math.log10(size))) if size else 0.0
