"""Columns of any Spark type to columns that a batch reader hands out: scalars and arrays of scalars."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType

__all__ = ["Precision", "readable_columns"]

Precision = Literal["float32", "float64"]

_SCALARS = (
    *("BooleanType", "ByteType", "ShortType", "IntegerType", "LongType", "FloatType", "DoubleType", "DecimalType"),
    *("StringType", "CharType", "VarcharType", "BinaryType", "DateType", "TimestampType", "TimestampNTZType"),
    # Parquet holds them as microseconds and as months.
    *("DayTimeIntervalType", "YearMonthIntervalType"),
)
_DAY_MICROS = 24 * 60 * 60 * 1_000_000


def readable_columns(rows: "DataFrame", *, dtype: Precision | None) -> "DataFrame":
    """Return the same rows with columns that a batch reader hands out.

    A struct becomes a column for each of its fields, `struct_field`; an array of structs an array for each; MLlib's vectors
    become arrays. Floating columns and arrays get the precision `dtype` (None leaves them); timestamps become UTC's.

    Raises:
        ValueError: a column of another type, or two columns of one name, naming them.
    """
    from pyspark.sql import functions as F

    chosen = {}
    for field in rows.schema.fields:
        whole = F.col(f"`{field.name.replace('`', '``')}`")
        for name, column, kind in _leaves(field.name, whole, field.dataType):
            # Parquet's names, as Spark writes them, differ by more than case.
            if name.lower() in chosen:
                raise ValueError(
                    f"two columns have the name {name!r} (a struct's fields are named struct_field); rename one of them"
                )
            chosen[name.lower()] = _converted(name, column, kind, dtype).alias(name)
    return rows.select(*chosen.values())


def _leaves(name: str, column: "Column", kind: "DataType") -> Iterator[tuple[str, "Column", "DataType"]]:
    from pyspark.sql.types import ArrayType, StructType

    if isinstance(kind, StructType):
        for field in kind.fields:
            yield from _leaves(f"{name}_{field.name}", column.getField(field.name), field.dataType)
    elif isinstance(kind, ArrayType) and isinstance(kind.elementType, StructType):
        for field in kind.elementType.fields:
            yield from _leaves(f"{name}_{field.name}", column.getField(field.name), ArrayType(field.dataType))
    else:
        yield name, column, kind


def _converted(name: str, column: "Column", kind: "DataType", dtype: Precision | None) -> "Column":
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType

    if _is_vector(kind):
        from pyspark.ml.functions import vector_to_array

        return F.when(column.isNotNull(), vector_to_array(column, dtype or "float64"))
    if not isinstance(kind, ArrayType):
        return _scalar(name, column, kind, dtype)
    inner = kind.elementType
    _check_scalar(name, inner, of="arrays of ")
    wanted = _precision(inner, dtype)
    if wanted is not None:
        return column.cast(ArrayType(wanted))
    return F.transform(column, _utc) if type(inner).__name__ == "TimestampType" else column


def _scalar(name: str, column: "Column", kind: "DataType", dtype: Precision | None) -> "Column":
    _check_scalar(name, kind, of="")
    wanted = _precision(kind, dtype)
    if wanted is not None:
        return column.cast(wanted)
    return _utc(column) if type(kind).__name__ == "TimestampType" else column


def _precision(kind: "DataType", dtype: Precision | None) -> Any:
    """Return the type that a floating one is cast to, or None."""
    from pyspark.sql.types import DoubleType, FloatType

    if dtype == "float32" and isinstance(kind, DoubleType):
        return FloatType()
    return DoubleType() if dtype == "float64" and isinstance(kind, FloatType) else None


def _check_scalar(name: str, kind: "DataType", *, of: str) -> None:
    if type(kind).__name__ in _SCALARS:
        return
    raise ValueError(
        f"column {name!r} holds {of}{kind.simpleString()}, which no batch has a tensor for; {_way_out(kind)}, or drop the column"
    )


def _way_out(kind: "DataType") -> str:
    return {
        "MapType": "select its values by key, or take map_keys() and map_values()",
        "ArrayType": "make it one array with flatten()",
    }.get(type(kind).__name__, "cast it to a number, text or bytes")


def _is_vector(kind: "DataType") -> bool:
    return type(kind).__name__ == "VectorUDT"


def _utc(column: "Column") -> "Column":
    """Return a moment as UTC's date and time.

    Spark would write a moment as INT96, whose nanoseconds wrap around in 2262. A cast by the session's time zone has no answer
    for the hour that summer time skips.
    """
    from pyspark.sql import functions as F

    micros, day = F.unix_micros(column), F.lit(_DAY_MICROS)
    days = F.floor(micros / day)
    # Quotients of whole numbers are floating in Spark: the day's part is small enough to be exact.
    rest = ((micros - days * day) / F.lit(1_000_000)).cast("decimal(18,6)")
    epoch = F.lit("1970-01-01").cast("timestamp_ntz")
    return epoch + F.make_dt_interval(days.cast("int"), F.lit(0), F.lit(0), rest)
