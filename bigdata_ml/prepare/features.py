"""Vocabularies: the values of categorical columns, counted on the train split."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bigdata_ml.dataset import Vocabulary

__all__ = ["feature_vocabularies", "label_vocabulary"]


def label_vocabulary(rows: DataFrame, label: str) -> Vocabulary:
    """Return the classes of kept rows in their natural order, with the train split's counts. It is closed: no unknown id."""
    in_train = F.sum((F.col("split") == "train").cast("long"))
    found = rows.groupBy(F.col(label).alias("value")).agg(in_train.alias("count")).collect()
    whole = all(str(row["value"]).isdigit() for row in found)
    found = sorted(found, key=lambda row: int(row["value"]) if whole else row["value"])
    return Vocabulary(
        values=tuple(row["value"] for row in found),
        counts=tuple(row["count"] for row in found),
        unknown=False,
    )


def feature_vocabularies(rows: DataFrame, columns: Sequence[str], *, min_count: int, max_values: int) -> dict[str, Vocabulary]:
    """Return the vocabulary of each column over the rows given (those of the train split), id 0 being the unknown one.

    Args:
        rows: rows to count.
        columns: text, whole-number or boolean columns.
        min_count: values with fewer rows are left out as rare, 1 or more.
        max_values: of the others, so many most frequent ones are kept (ties by value).
    """
    return {name: _vocabulary(rows, name, min_count, max_values) for name in columns}


def _vocabulary(rows: DataFrame, name: str, min_count: int, max_values: int) -> Vocabulary:
    counts = rows.where(F.col(name).isNotNull()).groupBy(F.col(name).alias("value")).count()
    distinct = counts.count()
    kept = counts.where(F.col("count") >= min_count).orderBy(F.desc("count"), F.asc("value")).limit(max_values).collect()
    kept = sorted(kept, key=lambda row: row["value"])
    return Vocabulary(
        values=tuple(row["value"] for row in kept),
        counts=tuple(row["count"] for row in kept),
        unknown=True,
        rare=distinct - len(kept),
    )
