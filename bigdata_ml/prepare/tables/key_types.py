"""Compares keys of two tables whose types differ: exactly, as text, or not at all."""

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DateType, DecimalType, FractionalType, IntegralType, StringType

__all__ = ["comparable"]


def comparable(here: Column, kind: DataType, there: Column, there_kind: DataType) -> tuple[Column, Column] | None:
    """Return both keys converted so that equal keys are equal values; None if their types cannot be compared.

    Whole numbers and dates are compared with text as text, floating with whole numbers as whole numbers of 64 bits.

    Args:
        here, there: the keys.
        kind, there_kind: their types.
    """
    if kind == there_kind or (_is_exact(kind) and _is_exact(there_kind)) or (_is_floating(kind) and _is_floating(there_kind)):
        return here, there
    if isinstance(kind, StringType) and isinstance(there_kind, IntegralType | DateType):
        return here, there.cast("string")
    if isinstance(there_kind, StringType) and isinstance(kind, IntegralType | DateType):
        return here.cast("string"), there
    if _is_floating(kind) and isinstance(there_kind, IntegralType):
        return _whole(here), there
    if _is_floating(there_kind) and isinstance(kind, IntegralType):
        return here, _whole(there)
    return None


def _is_exact(kind: DataType) -> bool:
    return isinstance(kind, IntegralType | DecimalType)


def _is_floating(kind: DataType) -> bool:
    return isinstance(kind, FractionalType) and not isinstance(kind, DecimalType)


def _whole(number: Column) -> Column:
    return F.when(number == F.rint(number), number.try_cast("bigint"))
