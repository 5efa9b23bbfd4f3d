"""Rules that need one row only and no extra pass: null values, types, spelling, sets, patterns, ranges and nulls."""

import datetime
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, InvalidOperation
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import arrow_udf
from pyspark.sql.types import DataType

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.failures import cause_of
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.tables.rules.model import ColumnRules, Normalise, Otherwise, Severity
from bigdata_ml.prepare.tables.rules.rulebook import Rulebook, RuleViolation, note
from bigdata_ml.prepare.tables.rules.value_types import typed

__all__ = ["apply_row_rules", "check_patterns", "filled"]

_BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
_EXACT = Context(prec=1000)
_Layer = Callable[[ColumnRules, DataType], Iterator[RuleViolation]]


def apply_row_rules(
    rows: DataFrame, rules: Sequence[ColumnRules], book: Rulebook, *, form: TextFormat | None = None
) -> DataFrame:
    """Note broken rules in `__violations`, and apply the columns' types, spellings and fills.

    Rules are applied in this order, each to the result of the one before: null values, type, normalise, set, regex, range,
    not_null. `form` says how numbers are written in text columns.

    Raises:
        JobRefused: a rule or one of its values does not fit the column's type.
    """
    types = partial(_type, form=form or TextFormat())
    for layer in (_null_values, types, _normalise, _set, _regex, _range, _not_null):
        kinds = {field.name: field.dataType for field in rows.schema}
        violations = [violation for column in rules for violation in layer(column, kinds[column.name])]
        rows = note(rows, violations, book)
    return rows


def check_patterns(spark: SparkSession, rules: Sequence[ColumnRules]) -> None:
    """Raise JobRefused for a pattern, date format or time zone that Spark does not accept, or a session not in UTC."""
    zone = spark.conf.get("spark.sql.session.timeZone")
    timed = [rule.name for rule in rules if rule.type and rule.type.kind == "timestamp"]
    if timed and zone not in ("UTC", "Etc/UTC", "Z", "GMT"):
        raise JobRefused(
            f"rule {timed[0]}.type: times are stored in UTC, so spark.sql.session.timeZone must be UTC, got {zone!r}"
        )
    for rule in rules:
        checks: dict[str, Column] = {}
        if rule.regex:
            checks[f"{rule.name}.regex: {rule.regex.pattern!r} is not a pattern"] = F.lit("").rlike(rule.regex.pattern)
        for form in rule.type.formats if rule.type else ():
            checks[f"{rule.name}.type: {form!r} is not a format"] = F.date_format(F.current_timestamp(), form)
        if rule.type and rule.type.zone:
            zoned = F.to_utc_timestamp(F.lit("2024-01-01 00:00:00").cast("timestamp"), rule.type.zone)
            checks[f"{rule.name}.type: {rule.type.zone!r} is not a time zone"] = zoned
        for text, column in checks.items():
            try:
                spark.range(1).select(column).collect()
            except PySparkException as error:
                raise JobRefused(f"rule {text}: {cause_of(error)}") from error


def _null_values(rules: ColumnRules, _kind: DataType) -> Iterator[RuleViolation]:
    if rules.null_values:
        column = named(rules.name)
        where = F.coalesce(F.trim(column.cast("string")).isin(*rules.null_values.values), F.lit(False))
        yield RuleViolation(f"{rules.name}.null_values", rules.name, where, column, F.when(~where, column))


def _type(rules: ColumnRules, kind: DataType, *, form: TextFormat) -> Iterator[RuleViolation]:
    rule = rules.type
    if not rule:
        return
    column = named(rules.name)
    result = typed(column, kind, rule, name=rules.name, form=form)
    target = {"integer": "bigint", "number": "double", "text": "string"}.get(rule.kind, rule.kind)
    missing = result.wrong | result.zoneless
    value = filled(rule.otherwise, missing, result.value, target, f"{rules.name}.type")
    yield RuleViolation(f"{rules.name}.type", rules.name, result.wrong, column, value)
    if rule.kind in ("date", "timestamp"):
        yield RuleViolation(f"{rules.name}.ambiguous", rules.name, result.ambiguous, column)
    if rule.kind == "timestamp":
        yield RuleViolation(f"{rules.name}.zone", rules.name, result.zoneless, column)


def _normalise(rules: ColumnRules, kind: DataType) -> Iterator[RuleViolation]:
    if rules.normalise:
        _text_only(rules.name, "normalise", kind)
        column = named(rules.name)
        value = _spelled(column, rules.normalise, [str(value) for value in rules.set.values] if rules.set else [])
        yield RuleViolation(f"{rules.name}.normalise", rules.name, ~column.eqNullSafe(value), column, value)


def _spelled(column: Column, rule: Normalise, known: Sequence[str]) -> Column:
    if rule.unicode != "keep":
        # ASCII text has one normal form and need not go to Python.
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


def _set(rules: ColumnRules, kind: DataType) -> Iterator[RuleViolation]:
    if rules.set:
        column, name = named(rules.name), f"{rules.name}.set"
        members = [_checked_literal(value, kind, name) for value in rules.set.values]
        where = column.isNotNull() & ~column.isin(*members)
        yield RuleViolation(name, rules.name, where, column, filled(rules.set.otherwise, where, column, kind, name))


def _regex(rules: ColumnRules, kind: DataType) -> Iterator[RuleViolation]:
    if rules.regex:
        _text_only(rules.name, "regex", kind)
        column, name = named(rules.name), f"{rules.name}.regex"
        where = column.isNotNull() & ~column.rlike(rf"\A(?:{rules.regex.pattern})\z")
        yield RuleViolation(name, rules.name, where, column, filled(rules.regex.otherwise, where, column, kind, name))


def _range(rules: ColumnRules, kind: DataType) -> Iterator[RuleViolation]:
    if not rules.range:
        return
    column, name = named(rules.name), f"{rules.name}.range"
    if not isinstance(kind, T.NumericType | T.DateType | T.TimestampType | T.TimestampNTZType):
        raise JobRefused(
            f"rule {name}: range needs numbers, dates or timestamps, the column is {kind.simpleString()}; give it a type"
        )
    where = F.lit(False)
    if rules.range.least is not None:
        where = where | _outside(column, rules.range.least, kind, name, below=True)
    if rules.range.greatest is not None:
        where = where | _outside(column, rules.range.greatest, kind, name, below=False)
    where = F.coalesce(where, F.lit(False))
    yield RuleViolation(name, rules.name, where, column, filled(rules.range.otherwise, where, column, kind, name))


def _outside(column: Column, bound: object, kind: DataType, name: str, *, below: bool) -> Column:
    """Whether values are less (`below`) or greater than a bound; exact for whole numbers and decimals."""
    if isinstance(kind, T.IntegralType | T.DecimalType):
        least, greatest, step = _extent(kind)
        limit = _decimal(bound, name)
        if limit > greatest if below else limit < least:
            return column.isNotNull()
        # The nearest value of the column's own type.
        rounding = ROUND_CEILING if below else ROUND_FLOOR
        limit = min(max(limit, least), greatest).quantize(step, rounding=rounding, context=_EXACT)
        value = F.lit(str(limit)).cast(kind)
    else:
        number = isinstance(kind, T.NumericType)
        column = column.cast("double") if number else column
        value = _checked_literal(bound, "double" if number else kind, name)
    return column < value if below else column > value


def _extent(kind: T.IntegralType | T.DecimalType) -> tuple[Decimal, Decimal, Decimal]:
    """Return the least and the greatest value of a type, and the step between its values."""
    if isinstance(kind, T.DecimalType):
        step = Decimal(1).scaleb(-kind.scale)
        greatest = Decimal("9" * kind.precision).scaleb(-kind.scale, _EXACT)
        return -greatest, greatest, step
    bits = _BITS[kind.simpleString()]
    return Decimal(-(1 << (bits - 1))), Decimal((1 << (bits - 1)) - 1), Decimal(1)


def _decimal(value: object, name: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("nan")
    if number.is_nan():
        raise JobRefused(f"rule {name}: {value!r} is not a number like the column; correct the rule, or give the column a type")
    return number


def _not_null(rules: ColumnRules, kind: DataType) -> Iterator[RuleViolation]:
    if rules.not_null:
        column, name = named(rules.name), f"{rules.name}.not_null"
        where = column.isNull()
        yield RuleViolation(name, rules.name, where, column, filled(rules.not_null.otherwise, where, column, kind, name))


def filled(otherwise: Otherwise, where: Column, column: Column, kind: DataType | str, name: str) -> Column:
    """Return the column with the fill value where the rule is broken, if the severity is fill.

    Raises:
        JobRefused: the fill value is not of the column's type.
    """
    if otherwise.severity is not Severity.FILL:
        return column
    fill = F.lit(None) if otherwise.fill is None else _checked_literal(otherwise.fill, kind, name)
    return F.when(where, fill).otherwise(column)


def _checked_literal(value: object, kind: DataType | str, name: str) -> Column:
    text = kind if isinstance(kind, str) else kind.simpleString()
    if not _fits(str(value), text):
        raise JobRefused(f"rule {name}: {value!r} is not {text} like the column; correct the rule, or give the column a type")
    return F.lit(str(value).lower() if isinstance(value, bool) else str(value)).cast(kind)


def _fits(text: str, kind: str) -> bool:
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
    if not isinstance(kind, T.StringType):
        raise JobRefused(f"rule {name}.{rule}: needs text, the column is {kind.simpleString()}; give it `type: text`")
