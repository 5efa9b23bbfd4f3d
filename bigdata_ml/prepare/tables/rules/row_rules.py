"""Rules that a row decides by itself, at the cost of no pass: null values, types, spelling, sets, patterns, ranges, nulls."""

import datetime
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import (
    DataType,
    DateType,
    DecimalType,
    IntegralType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)  # fmt: skip

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.failures import cause_of
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.tables.rules.model import ColumnRules, Normalise, Otherwise, Severity
from bigdata_ml.prepare.tables.rules.rulebook import Broken, Rulebook, note
from bigdata_ml.prepare.tables.rules.value_types import typed

__all__ = ["apply_row_rules", "check_patterns", "filled"]

_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_EXACT = Context(prec=1000)
_Layer = Callable[[ColumnRules, DataType], Iterator[Broken]]


def apply_row_rules(
    rows: DataFrame, rules: Sequence[ColumnRules], book: Rulebook, *, form: TextFormat | None = None
) -> DataFrame:
    """Note in `__broken` the rules that rows break, and give the columns their types, spellings and fills.

    `form` says how numbers are written in columns of text.

    Each rule sees what the one before it left: null values, type, normalise, set, regex, range, not_null.

    Raises:
        JobRefused: a rule that does not go with its column's type, or a value that is none of it.
    """
    types = partial(_type, form=form or TextFormat())
    for layer in (_null_values, types, _normalise, _set, _regex, _range, _not_null):
        kinds = {field.name: field.dataType for field in rows.schema}
        broken = [found for one in rules for found in layer(one, kinds[one.name])]
        rows = note(rows, broken, book)
    return rows


def check_patterns(spark: SparkSession, rules: Sequence[ColumnRules]) -> None:
    """Raise JobRefused for a regular expression, date format or time zone that Spark does not know, or a session not in UTC."""
    zone = spark.conf.get("spark.sql.session.timeZone")
    timed = [one.name for one in rules if one.type and one.type.kind == "timestamp"]
    if timed and zone not in ("UTC", "Etc/UTC", "Z", "GMT"):
        raise JobRefused(f"rule {timed[0]}.type: times are kept in UTC, so spark.sql.session.timeZone must be UTC, got {zone!r}")
    for one in rules:
        tried: dict[str, Column] = {}
        if one.regex:
            tried[f"{one.name}.regex: {one.regex.pattern!r} is no pattern"] = F.lit("").rlike(one.regex.pattern)
        for form in one.type.formats if one.type else ():
            tried[f"{one.name}.type: {form!r} is no format"] = F.date_format(F.current_timestamp(), form)
        if one.type and one.type.zone:
            zoned = F.to_utc_timestamp(F.lit("2024-01-01 00:00:00").cast("timestamp"), one.type.zone)
            tried[f"{one.name}.type: {one.type.zone!r} is no zone"] = zoned
        for text, column in tried.items():
            try:
                spark.range(1).select(column).collect()
            except PySparkException as error:
                raise JobRefused(f"rule {text}: {cause_of(error)}") from error


def _null_values(one: ColumnRules, _kind: DataType) -> Iterator[Broken]:
    if one.null_values:
        column = named(one.name)
        where = F.coalesce(F.trim(column.cast("string")).isin(*one.null_values.values), F.lit(False))
        yield Broken(f"{one.name}.null_values", one.name, where, column, F.when(~where, column))


def _type(one: ColumnRules, kind: DataType, *, form: TextFormat) -> Iterator[Broken]:
    rule = one.type
    if not rule:
        return
    column = named(one.name)
    made = typed(column, kind, rule, name=one.name, form=form)
    target = {"integer": "bigint", "number": "double", "text": "string"}.get(rule.kind, rule.kind)
    missing = made.wrong | made.zoneless
    value = filled(rule.otherwise, missing, made.value, target, f"{one.name}.type")
    yield Broken(f"{one.name}.type", one.name, made.wrong, column, value)
    if rule.kind in ("date", "timestamp"):
        yield Broken(f"{one.name}.ambiguous", one.name, made.ambiguous, column)
    if rule.kind == "timestamp":
        yield Broken(f"{one.name}.zone", one.name, made.zoneless, column)


def _normalise(one: ColumnRules, kind: DataType) -> Iterator[Broken]:
    if one.normalise:
        _text_only(one.name, "normalise", kind)
        column = named(one.name)
        value = _spelled(column, one.normalise, [str(value) for value in one.set.values] if one.set else [])
        yield Broken(f"{one.name}.normalise", one.name, ~column.eqNullSafe(value), column, value)


def _spelled(column: Column, rule: Normalise, known: Sequence[str]) -> Column:
    if rule.unicode != "keep":
        # What is ASCII has one form, and need not go to Python.
        column = F.coalesce(_unicode(rule.unicode)(F.when(column.rlike(r"[^\x00-\x7F]"), column)), column)
    if rule.spaces:
        column = F.nullif(F.regexp_replace(F.regexp_replace(column, r"(?U)\s+", " "), "^ | $", ""), F.lit(""))
    if rule.case == "set":
        by_lower = {value.lower(): value for value in reversed(known)}
        pairs = F.create_map(*(F.lit(text) for pair in by_lower.items() for text in pair))
        return F.when(column.isin(*known), column).otherwise(F.coalesce(F.element_at(pairs, F.lower(column)), column))
    return {"lower": F.lower, "upper": F.upper}.get(rule.case, lambda same: same)(column)


def _unicode(form: str) -> Callable[[Column], Column]:
    def normalised(texts: pa.Array) -> pa.Array:
        return pc.utf8_normalize(texts, form=form)

    return arrow_udf(normalised, "string")  # type: ignore[no-any-return, call-overload]


def _set(one: ColumnRules, kind: DataType) -> Iterator[Broken]:
    if one.set:
        column, name = named(one.name), f"{one.name}.set"
        members = [_literal(value, kind, name) for value in one.set.values]
        where = column.isNotNull() & ~column.isin(*members)
        yield Broken(name, one.name, where, column, _mended(one.set.otherwise, where, column, kind, name))


def _regex(one: ColumnRules, kind: DataType) -> Iterator[Broken]:
    if one.regex:
        _text_only(one.name, "regex", kind)
        column, name = named(one.name), f"{one.name}.regex"
        where = column.isNotNull() & ~column.rlike(rf"\A(?:{one.regex.pattern})\z")
        yield Broken(name, one.name, where, column, _mended(one.regex.otherwise, where, column, kind, name))


def _range(one: ColumnRules, kind: DataType) -> Iterator[Broken]:
    if not one.range:
        return
    column, name = named(one.name), f"{one.name}.range"
    if not isinstance(kind, NumericType | DateType | TimestampType | TimestampNTZType):
        raise JobRefused(
            f"rule {name}: a range goes with numbers, dates and timestamps, the column is {kind.simpleString()}; give it a type"
        )
    where = F.lit(False)
    if one.range.least is not None:
        where = where | _below(column, one.range.least, kind, name)
    if one.range.greatest is not None:
        where = where | _above(column, one.range.greatest, kind, name)
    where = F.coalesce(where, F.lit(False))
    yield Broken(name, one.name, where, column, _mended(one.range.otherwise, where, column, kind, name))


def _below(column: Column, bound: object, kind: DataType, name: str) -> Column:
    """Whether values are less than a bound: of whole numbers and decimals exactly, beside the next value that the type has."""
    if not isinstance(kind, IntegralType | DecimalType):
        return _compared(column, kind) < _literal(bound, "double" if isinstance(kind, NumericType) else kind, name)
    least, greatest, step = _extent(kind)
    limit = _decimal(bound, name)
    if limit > greatest:
        return column.isNotNull()
    return column < F.lit(str(_rounded(max(limit, least), step, ROUND_CEILING))).cast(kind)


def _above(column: Column, bound: object, kind: DataType, name: str) -> Column:
    if not isinstance(kind, IntegralType | DecimalType):
        return _compared(column, kind) > _literal(bound, "double" if isinstance(kind, NumericType) else kind, name)
    least, greatest, step = _extent(kind)
    limit = _decimal(bound, name)
    if limit < least:
        return column.isNotNull()
    return column > F.lit(str(_rounded(min(limit, greatest), step, ROUND_FLOOR))).cast(kind)


def _compared(column: Column, kind: DataType) -> Column:
    return column.cast("double") if isinstance(kind, NumericType) else column


def _extent(kind: IntegralType | DecimalType) -> tuple[Decimal, Decimal, Decimal]:
    """Return the least and the greatest value of a type, and how far apart its values are."""
    if isinstance(kind, DecimalType):
        step = Decimal(1).scaleb(-kind.scale)
        greatest = Decimal("9" * kind.precision).scaleb(-kind.scale, _EXACT)
        return -greatest, greatest, step
    bits = _BITS[kind.simpleString()]
    return Decimal(-(1 << (bits - 1))), Decimal((1 << (bits - 1)) - 1), Decimal(1)


def _rounded(value: Decimal, step: Decimal, way: str) -> Decimal:
    return value.quantize(step, rounding=way, context=_EXACT)


def _decimal(value: object, name: str) -> Decimal:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("nan")
    if found.is_nan():
        raise JobRefused(f"rule {name}: {value!r} is no number, as the column is; correct the rule, or give the column a type")
    return found


def _not_null(one: ColumnRules, kind: DataType) -> Iterator[Broken]:
    if one.not_null:
        column, name = named(one.name), f"{one.name}.not_null"
        where = column.isNull()
        yield Broken(name, one.name, where, column, _mended(one.not_null.otherwise, where, column, kind, name))


def _mended(otherwise: Otherwise, where: Column, column: Column, kind: DataType, name: str) -> Column | None:
    if otherwise.severity is not Severity.FILL:
        return None
    return filled(otherwise, where, column, kind, name)


def filled(otherwise: Otherwise, where: Column, column: Column, kind: DataType | str, name: str) -> Column:
    """Return the column with the fill value where it is broken, if the severity is fill.

    Raises:
        JobRefused: a fill value that is none of the column's type.
    """
    if otherwise.severity is not Severity.FILL:
        return column
    fill = F.lit(None) if otherwise.fill is None else _literal(otherwise.fill, kind, name)
    return F.when(where, fill).otherwise(column)


def _literal(value: object, kind: DataType | str, name: str) -> Column:
    text = kind if isinstance(kind, str) else kind.simpleString()
    if not _is(str(value), text):
        raise JobRefused(f"rule {name}: {value!r} is no {text}, as the column is; correct the rule, or give the column a type")
    return F.lit(str(value).lower() if isinstance(value, bool) else str(value)).cast(kind)


def _is(text: str, kind: str) -> bool:
    try:
        if kind in _BITS:
            return -(1 << (_BITS[kind] - 1)) <= int(text) < 1 << (_BITS[kind] - 1)
        if kind.startswith("decimal"):
            digits, scale = map(int, kind.removeprefix("decimal(").removesuffix(")").split(","))
            value = Decimal(text).normalize(_EXACT).as_tuple()
            exponent = value.exponent
            return isinstance(exponent, int) and exponent >= -scale and len(value.digits) + exponent <= digits - scale
        if kind in ("float", "double"):
            float(text)
        elif kind in ("date", "timestamp", "timestamp_ntz"):
            datetime.datetime.fromisoformat(text)
        return kind != "boolean" or text.lower() in ("true", "false")
    except (ValueError, InvalidOperation):
        return False


def _text_only(name: str, rule: str, kind: DataType) -> None:
    if not isinstance(kind, StringType):
        raise JobRefused(f"rule {name}.{rule}: it goes with text, the column is {kind.simpleString()}; give it `type: text`")
