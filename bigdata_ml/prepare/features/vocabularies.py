"""Vocabularies: the values of categorical columns, counted on the train split."""

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
    """Raise JobRefused if a label has more than `most` classes: the driver collects them, a network has an output for each."""
    if classes > most:
        raise JobRefused(
            f"{source}: the label {label!r} has {classes:,} classes, and --max-classes allows {most:,}; {way_out}, "
            "or allow more by --max-classes"
        )


def label_vocabulary(rows: DataFrame, label: str, *, splits: Collection[str] = ()) -> Vocabulary:
    """Return the classes of kept rows in their natural order, with the train split's counts. It is closed: no unknown id.

    Warns of each of the `splits` that has rows, and none of some class. The classes must have been counted before: all are
    collected.
    """
    counts = {name: F.count_if(F.col("split") == name) for name in sorted({"train", *splits})}
    counted = rows.groupBy(named(label).alias("value")).agg(
        F.struct(*(one.alias(name) for name, one in counts.items())).alias("rows")
    )
    found = counted.select("value", "rows", F.col("rows.train").alias("count")).collect()
    whole = all(str(row["value"]).isdecimal() for row in found)
    # "7" and "007" are two classes, whose order must not be that in which Spark brings them.
    found = sorted(found, key=lambda row: (int(row["value"]), row["value"]) if whole else row["value"])
    for name in sorted(splits):
        missing = [row["value"] for row in found if not row["rows"][name]]
        if 0 < len(missing) < len(found):
            shown = ", ".join(map(repr, missing[:_CLASSES_SHOWN])) + (", …" if len(missing) > _CLASSES_SHOWN else "")
            say(f"warning: the split {name} has no rows of {len(missing):,} of {len(found):,} classes of {label}: {shown}")
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
