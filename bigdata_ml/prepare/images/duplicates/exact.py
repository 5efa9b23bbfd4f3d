"""Exact duplicates: of rows with the same content one is kept, and one content has one label."""

from typing import Literal

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

__all__ = ["ConflictPolicy", "judge_label_conflicts", "refuse_duplicates"]

ConflictPolicy = Literal["refuse", "first", "warn"]


def refuse_duplicates(rows: DataFrame, *, key: str, order: str, then: str, among: tuple[str, ...] = ()) -> DataFrame:
    """Refuse all but one of the rows with the same `key`, as `duplicate`; the one that comes first by `order` is kept.

    `then` decides among rows that `order` does not tell apart.

    Rows that were refused before (`reason` is set) neither win nor count as duplicates. Rows that differ in the columns
    `among` are no duplicates of each other.
    """
    same = Window.partitionBy(key, *among, F.col("reason").isNull()).orderBy(order, then)
    first = F.first(order).over(same)
    again = F.col("reason").isNull() & (F.row_number().over(same) > 1)
    return rows.withColumns(
        {
            "reason": F.when(again, F.lit("duplicate")).otherwise(F.col("reason")),
            "detail": F.when(again, F.concat(F.lit("the same content as "), first)).otherwise(F.col("detail")),
        }
    )


def judge_label_conflicts(rows: DataFrame, *, key: str, label: str, order: str, policy: ConflictPolicy) -> DataFrame:
    """Find rows with the same `key` and different labels: `label_conflict`.

    `refuse` refuses them all, `first` those whose label is not that of the first by `order`, `warn` adds the name to their
    `warnings`. Rows that were refused before do not count.
    """
    same = Window.partitionBy(key, F.col("reason").isNull())
    least, greatest = F.min(label).over(same), F.max(label).over(same)
    first = F.min_by(F.struct(order, label), order).over(same)
    conflict = F.col("reason").isNull() & (least != greatest)
    if policy == "warn":
        noticed = F.array_append("warnings", F.lit("label_conflict"))
        return rows.withColumn("warnings", F.when(conflict, noticed).otherwise(F.col("warnings")))
    if policy == "refuse":
        detail = F.concat(F.lit("the same content is labelled "), least, F.lit(" and "), greatest)
    else:
        conflict = conflict & (F.col(label) != first[label])
        detail = F.concat(F.lit("the same content as "), first[order], F.lit(", which is labelled "), first[label])
    return rows.withColumns(
        {
            "reason": F.when(conflict, F.lit("label_conflict")).otherwise(F.col("reason")),
            "detail": F.when(conflict, detail).otherwise(F.col("detail")),
        }
    )
