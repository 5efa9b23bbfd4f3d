"""Vocabularies: the values of categorical columns, counted on the train split."""

from collections.abc import Sequence

from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, IntegralType

from bigdata_ml.dataset import Vocabulary
from bigdata_ml.prepare.columns import named

__all__ = ["feature_vocabularies", "label_vocabulary"]


def label_vocabulary(rows: DataFrame, label: str) -> Vocabulary:
    """Return the classes of kept rows in their natural order, with the train split's counts. It is closed: no unknown id."""
    in_train = F.sum((F.col("split") == "train").cast("long"))
    found = rows.groupBy(named(label).alias("value")).agg(in_train.alias("count")).collect()
    whole = all(str(row["value"]).isdecimal() for row in found)
    # "7" and "007" are two classes, whose order must not be that in which Spark brings them.
    found = sorted(found, key=lambda row: (int(row["value"]), row["value"]) if whole else row["value"])
    return Vocabulary(
        values=tuple(row["value"] for row in found),
        counts=tuple(row["count"] for row in found),
        unknown=False,
    )


def feature_vocabularies(rows: DataFrame, columns: Sequence[str], *, min_count: int, max_values: int) -> dict[str, Vocabulary]:
    """Return the vocabulary of each column over the rows given (those of the train split), id 0 being the unknown one.

    Args:
        rows: rows to count, in one pass for all columns.
        columns: text, whole-number or boolean columns.
        min_count: values with fewer rows are left out as rare, 1 or more.
        max_values: of the others, so many most frequent ones are kept (ties by value).
    """
    if not columns:
        return {}
    pairs = F.array(*(F.struct(F.lit(name).alias("name"), named(name).cast("string").alias("value")) for name in columns))
    counts = rows.select(F.explode(pairs).alias("one")).where("one.value is not null").groupBy("one.name", "one.value").count()
    by_name = Window.partitionBy("name")
    ranked = counts.withColumns(
        {
            "rank": F.row_number().over(by_name.orderBy(F.desc("count"), F.asc("value"))),
            "distinct": F.count(F.lit(1)).over(by_name),
        }
    )
    kept = ranked.where((F.col("count") >= min_count) & (F.col("rank") <= max_values) | (F.col("rank") == 1)).collect()
    return {
        name: _vocabulary(rows.schema[name].dataType, [row for row in kept if row["name"] == name], min_count) for name in columns
    }


def _vocabulary(kind: DataType, counted: Sequence[Row], min_count: int) -> Vocabulary:
    # The commonest value comes even if it is rare, to bring the number of distinct ones.
    distinct = counted[0]["distinct"] if counted else 0
    kept = sorted((_typed(kind, row["value"]), row["count"]) for row in counted if row["count"] >= min_count)
    return Vocabulary(
        values=tuple(value for value, _ in kept),
        counts=tuple(count for _, count in kept),
        unknown=True,
        rare=distinct - len(kept),
    )


def _typed(kind: DataType, text: str) -> str | int | bool:
    if isinstance(kind, BooleanType):
        return text == "true"
    return int(text) if isinstance(kind, IntegralType) else text
