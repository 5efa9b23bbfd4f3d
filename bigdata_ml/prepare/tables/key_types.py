"""Keys of two tables whose types differ: compared exactly, as text, or not at all."""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, DecimalType, FractionalType, IntegralType, StringType

__all__ = ["comparable"]


def comparable(here: Column, kind: DataType, there: Column, other: DataType) -> tuple[Column, Column] | None:
    """Return the two keys as columns that are equal where the keys are the same; None if their types do not say what is the same.

    Whole numbers and dates beside text are compared as text, floating numbers beside whole ones as whole numbers of 64 bits.

    Args:
        here, there: the keys.
        kind, other: their types.
    """
    if kind == other or (_is_exact(kind) and _is_exact(other)) or (_is_floating(kind) and _is_floating(other)):
        return here, there
    if isinstance(kind, StringType) and isinstance(other, IntegralType | DateType):
        return here, there.cast("string")
    if isinstance(other, StringType) and isinstance(kind, IntegralType | DateType):
        return here.cast("string"), there
    if _is_floating(kind) and isinstance(other, IntegralType):
        return _whole(here), there
    if _is_floating(other) and isinstance(kind, IntegralType):
        return here, _whole(there)
    return None


def _is_exact(kind: DataType) -> bool:
    return isinstance(kind, IntegralType | DecimalType)


def _is_floating(kind: DataType) -> bool:
    return isinstance(kind, FractionalType) and not isinstance(kind, DecimalType)


def _whole(number: Column) -> Column:
    return F.when(number == F.rint(number), number.try_cast("bigint"))
