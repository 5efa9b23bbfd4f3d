"""Exact duplicates: of rows with the same content one is kept."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

__all__ = ["refuse_duplicates"]


def refuse_duplicates(rows: DataFrame, *, key: str, order: str) -> DataFrame:
    """Refuse all but one of the rows with the same `key`, as `duplicate`; the one that comes first by `order` is kept.

    Rows that were refused before (`reason` is set) neither win nor count as duplicates.
    """
    same = Window.partitionBy(key, F.col("reason").isNull()).orderBy(order)
    first = F.first(order).over(same)
    again = F.col("reason").isNull() & (F.row_number().over(same) > 1)
    return rows.withColumns(
        {
            "reason": F.when(again, F.lit("duplicate")).otherwise(F.col("reason")),
            "detail": F.when(again, F.concat(F.lit("the same content as "), first)).otherwise(F.col("detail")),
        }
    )
