"""Columns by name, whatever characters the name has."""

from pyspark.sql import Column
from pyspark.sql import functions as F

__all__ = ["named", "quoted"]


def named(name: str) -> Column:
    """Return the column of exactly that name; Spark alone would read `a.b` as the part b of a."""
    return F.col(quoted(name))


def quoted(name: str) -> str:
    """Return the name as Spark's SQL writes it."""
    return "`" + name.replace("`", "``") + "`"
