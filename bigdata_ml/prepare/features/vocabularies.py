"""Vocabularies: the values of categorical columns, counted in the train split."""

from collections.abc import Collection, Sequence

from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, IntegralType

from bigdata_ml.dataset import Vocabulary
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.progress import say

__all__ = ["feature_vocabularies", "label_vocabulary", "refuse_many_classes"]

_CLASSES_SHOWN = 5


def refuse_many_classes(source: str, label: str, classes: int, *, most: int, way_out: str) -> None:
    """Raise JobRefused if a label has more than `most` classes: the driver collects them, and a network has one output each."""
    if classes > most:
        raise JobRefused(
            f"{source}: the label {label!r} has {classes:,} classes, but --max-classes allows {most:,}; {way_out}, "
            "or raise --max-classes"
        )


def label_vocabulary(rows: DataFrame, label: str, *, splits: Collection[str] = ()) -> Vocabulary:
    """Return the classes of kept rows in natural order, with their counts in the train split. There is no unknown id.

    Warns of each of the `splits` that has rows, but lacks a class. All classes are collected, so count them before.
    """
    counts = {name: F.count_if(F.col("split") == name) for name in sorted({"train", *splits})}
    counted = rows.groupBy(named(label).alias("value")).agg(
        F.struct(*(count.alias(name) for name, count in counts.items())).alias("rows")
    )
    classes = counted.select("value", "rows", F.col("rows.train").alias("count")).collect()
    whole = all(str(row["value"]).isdecimal() for row in classes)
    # "7" and "007" are two classes, whose order must not depend on Spark.
    classes = sorted(classes, key=lambda row: (int(row["value"]), row["value"]) if whole else row["value"])
    for name in sorted(splits):
        missing = [row["value"] for row in classes if not row["rows"][name]]
        if 0 < len(missing) < len(classes):
            listed = ", ".join(map(repr, missing[:_CLASSES_SHOWN])) + (", …" if len(missing) > _CLASSES_SHOWN else "")
            say(f"warning: the split {name} has no rows of {len(missing):,} of {len(classes):,} classes of {label}: {listed}")
    return Vocabulary(
        values=tuple(row["value"] for row in classes),
        counts=tuple(row["count"] for row in classes),
        unknown=False,
    )


def feature_vocabularies(rows: DataFrame, columns: Sequence[str], *, min_count: int, max_values: int) -> dict[str, Vocabulary]:
    """Return the vocabulary of each column, with id 0 for unknown values.

    Args:
        rows: rows of the train split, counted in one pass for all columns.
        columns: text, whole-number or boolean columns.
        min_count: values with fewer rows are omitted as rare, 1 or more.
        max_values: how many of the other values are kept, the most frequent ones (ties by value).
    """
    if not columns:
        return {}
    pairs = F.array(*(F.struct(F.lit(name).alias("name"), named(name).cast("string").alias("value")) for name in columns))
    counts = (
        rows.select(F.explode(pairs).alias("pair")).where("pair.value is not null").groupBy("pair.name", "pair.value").count()
    )
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
    # The commonest value is included even if it is rare, because it carries the number of distinct values.
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
