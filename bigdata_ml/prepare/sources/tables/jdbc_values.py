"""Read values that a database driver would change silently as text, and convert them exactly."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from bigdata_ml.prepare.session.columns import named, quoted

__all__ = ["exact_values", "read_as_text"]

_YEAR_MONTH_DAY = r"^\d{4,6}-\d\d-\d\d$"
_DAY_AND_TIME = r"^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d(:\d\d){0,2})?$"


def read_as_text(url: str, schema: T.StructType) -> str:
    """Return the columns to read as text for Spark's option `customSchema`, or an empty text.

    PostgreSQL's driver changes infinite dates, days of the Julian calendar, times of day, and numbers with more digits than
    Spark's type has.
    """
    if not url.startswith("jdbc:postgresql:"):
        return ""
    return ", ".join(f"{quoted(field.name)} STRING" for field in schema if _is_changed(field))


def exact_values(rows: DataFrame, schema: T.StructType, place: str) -> DataFrame:
    """Return rows with the types of `schema`; a time of day stays text.

    A value that the type cannot hold exactly ends the job; the error names the column.
    """
    columns = [
        _exact(field, place).alias(field.name)
        if rows.schema[field.name].dataType != field.dataType and not _is_time(field)
        else named(field.name)
        for field in schema
    ]
    return rows.select(*columns)


def _is_changed(field: T.StructField) -> bool:
    kinds = (T.DecimalType, T.DateType, T.TimestampType, T.TimestampNTZType)
    return _is_time(field) or isinstance(field.dataType, kinds)


def _is_time(field: T.StructField) -> bool:
    return bool(field.metadata.get("logical_time_type")) or field.dataType.typeName() == "time"


def _exact(field: T.StructField, place: str) -> Column:
    text, kind = named(field.name), field.dataType
    value = text.try_cast(kind)
    if isinstance(kind, T.DecimalType):
        digits = F.length(F.regexp_extract(text, r"^-?\d+\.(\d*?)0*$", 1))
        fits = value.isNotNull() & (digits <= kind.scale)
        cast = f"round(…, {kind.scale}) or CAST(… AS double precision)"
    else:
        pattern = _YEAR_MONTH_DAY if isinstance(kind, T.DateType) else _DAY_AND_TIME
        fits = value.isNotNull() & text.rlike(pattern)
        cast = "CAST(… AS text)"
    error = F.concat(
        F.lit(f"{place}: column {field.name!r}: "),
        text,
        F.lit(f" is no exact {kind.simpleString()}; leave such rows out by a query, or convert the column there: {cast}"),
    )
    return F.when(text.isNull() | fits, value).otherwise(F.raise_error(error).cast(kind))
