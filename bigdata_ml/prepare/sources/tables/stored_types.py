"""Convert columns of Parquet and ORC files into Spark's types.

Spark's schema inference fails for all columns if it does not know the type of one: nanoseconds, UUID, times, half floats. So we
give Spark a schema made from the footers: 16 bytes for a UUID, a whole number for nanoseconds.
"""

from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

__all__ = ["NotReadable", "Refusal", "as_kind", "spark_type", "stored_type"]

_EPOCH = "timestamp_ntz'1970-01-01 00:00:00'"
_EXACT = 1 << 53
_WHOLE = {8: T.ByteType(), 16: T.ShortType(), 32: T.IntegerType(), 64: T.LongType()}
_UNSIGNED = {8: T.ShortType(), 16: T.IntegerType(), 32: T.LongType(), 64: T.DecimalType(20, 0)}
_MOST_DIGITS = 38


class NotReadable(Exception):
    """A table job does not read this type."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that ends the job at a value.

    Attributes:
        name: column name.
        file: URL of the file of the row.
        way_out: remedy.
    """

    name: str
    file: Column
    way_out: str

    def of(self, value: Column, why: str) -> Column:
        """Return the error as a column that takes the place of the value."""
        return F.raise_error(
            F.concat(self.file, F.lit(f": column {self.name!r}: "), value.cast("string"), F.lit(f" {why}; {self.way_out}"))
        )


def spark_type(kind: pa.DataType) -> T.DataType:
    """Return the Spark type for values of an Arrow type.

    Raises:
        NotReadable: no type holds them.
    """
    if pa.types.is_boolean(kind):
        return T.BooleanType()
    if pa.types.is_integer(kind):
        return (_WHOLE if pa.types.is_signed_integer(kind) else _UNSIGNED)[kind.bit_width]
    if pa.types.is_floating(kind):
        return T.DoubleType() if kind.bit_width == 64 else T.FloatType()
    if pa.types.is_decimal(kind) and kind.precision <= _MOST_DIGITS and kind.scale >= 0:
        return T.DecimalType(kind.precision, kind.scale)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return T.StringType()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return T.BinaryType()
    if pa.types.is_date(kind):
        return T.DateType()
    if pa.types.is_timestamp(kind):
        return T.TimestampNTZType() if kind.tz is None else T.TimestampType()
    if pa.types.is_null(kind):
        # As stored in Parquet.
        return T.IntegerType()
    if pa.types.is_dictionary(kind):
        return spark_type(kind.value_type)
    if isinstance(kind, pa.FixedShapeTensorType):
        return T.ArrayType(spark_type(kind.value_type))
    if _is_list(kind):
        return T.ArrayType(spark_type(kind.value_type))
    if pa.types.is_struct(kind):
        return T.StructType([T.StructField(field.name, spark_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return T.MapType(spark_type(kind.key_type), spark_type(kind.item_type))
    raise NotReadable(str(kind))


def stored_type(kind: pa.DataType) -> T.DataType:
    """Return the type in the schema given to Spark for an Arrow type; raises as `spark_type`."""
    if _is_nanoseconds(kind):
        return T.LongType()
    if pa.types.is_float16(kind):
        return T.BinaryType()
    if pa.types.is_dictionary(kind):
        return stored_type(kind.value_type)
    if _is_list(kind):
        return T.ArrayType(stored_type(kind.value_type))
    if pa.types.is_struct(kind):
        return T.StructType([T.StructField(field.name, stored_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return T.MapType(stored_type(kind.key_type), stored_type(kind.item_type))
    return spark_type(kind)


def as_kind(column: Column, kind: pa.DataType, wanted: pa.DataType, refusal: Refusal) -> Column:
    """Convert a column from `stored_type(kind)` to `spark_type(wanted)`, with the same values.

    Args:
        column: as read from the file.
        kind: type in the file.
        wanted: common type of all files, from `common_type`.
        refusal: the error for a value that `wanted` cannot hold.
    """
    target = spark_type(wanted)
    if pa.types.is_null(kind):
        return F.lit(None).cast(target)
    if pa.types.is_dictionary(kind):
        return as_kind(column, kind.value_type, wanted, refusal)
    if pa.types.is_dictionary(wanted):
        return as_kind(column, kind, wanted.value_type, refusal)
    if _is_list(kind) and _is_list(wanted):
        if _same(kind, wanted):
            return column
        return F.transform(column, lambda item: as_kind(item, kind.value_type, wanted.value_type, refusal))
    if pa.types.is_struct(kind):
        if _same(kind, wanted):
            return column
        parts = [
            as_kind(column.getField(item.name), kind.field(item.name).type, item.type, refusal).alias(item.name)
            for item in wanted
        ]
        return F.when(column.isNotNull(), F.struct(*parts))
    if pa.types.is_map(kind):
        if _same(kind, wanted):
            return column
        keys = F.transform(F.map_keys(column), lambda item: as_kind(item, kind.key_type, wanted.key_type, refusal))
        values = F.transform(F.map_values(column), lambda item: as_kind(item, kind.item_type, wanted.item_type, refusal))
        return F.map_from_arrays(keys, values)
    if _is_nanoseconds(kind):
        column = _from_nanoseconds(column, kind, refusal)
    elif pa.types.is_float16(kind):
        column = _from_half(column)
    elif pa.types.is_integer(kind) and pa.types.is_floating(wanted) and kind.bit_width == 64:
        fits = column.isNull() | (F.abs(column.cast("decimal(20,0)")) <= _EXACT)
        return F.when(fits, column.cast("double")).otherwise(
            refusal.of(column, "is beyond 2^53, where doubles do not hold every whole number")
        )
    return column if stored_type(kind) == target else column.cast(target)


def _same(kind: pa.DataType, wanted: pa.DataType) -> bool:
    try:
        return stored_type(kind) == spark_type(wanted) and not _holds_null(kind)
    except NotReadable:
        return False


def _holds_null(kind: pa.DataType) -> bool:
    return pa.types.is_null(kind) or any(_holds_null(kind.field(place).type) for place in range(kind.num_fields))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_nanoseconds(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) and kind.unit == "ns")


def _from_nanoseconds(column: Column, kind: pa.TimestampType, refusal: Refusal) -> Column:
    over = F.pmod(column, F.lit(1000))
    micros = F.call_function("div", column - over, F.lit(1000))
    moment = F.timestamp_micros(micros)
    if kind.tz is None:
        moment = F.timestamp_add("MICROSECOND", micros, F.expr(_EPOCH))
    return F.when(column.isNull() | (over == 0), moment).otherwise(refusal.of(column, "ns are no whole microseconds"))


def _from_half(column: Column) -> Column:
    """Return IEEE 16-bit little-endian floats as floats."""
    bits = F.conv(F.hex(F.concat(F.substring(column, 2, 1), F.substring(column, 1, 1))), 16, 10).cast("int")
    sign = F.when(F.shiftright(bits, 15) == 1, -1.0).otherwise(1.0)
    exponent, mantissa = F.shiftright(bits, 10).bitwiseAND(31), bits.bitwiseAND(1023).cast("double")
    value = (
        F.when(exponent == 0, mantissa * 2.0**-24)
        .when((exponent == 31) & (mantissa == 0), float("inf"))
        .when(exponent == 31, float("nan"))
        .otherwise((1 + mantissa / 1024) * F.pow(F.lit(2.0), exponent - 15))
    )
    return (sign * value).cast("float")
