"""A column of whatever type becomes one of a declared type; what is wrong, ambiguous or without zone is told apart."""

import re
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DateType, StringType, TimestampNTZType, TimestampType

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.tables.rules.model import TypeRule

__all__ = ["Typed", "typed"]

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^(?i)[+-]?(nan|inf|infinity)$"
# Below so many digits every whole number is a double.
_LONG_WHOLE = r"^[+-]?\d{16,38}$"
_ZONED = r"(?i)(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
# A list of one value, as JSON writes it.
_LIST_OF_ONE = r'^\[\s*"?([^\[\]{},"]*)"?\s*\]$'


@dataclass(frozen=True, slots=True)
class Typed:
    """A column made of another: its value (null where it is none), and conditions that say why a value is none or doubtful."""

    value: Column
    wrong: Column
    ambiguous: Column
    zoneless: Column


def typed(column: Column, kind: DataType, rule: TypeRule, *, name: str, form: TextFormat | None = None) -> Typed:
    """Return the column as the rule's type. Blank text is null to every type but text.

    Args:
        column: the values.
        kind: their type.
        rule: what they are to become.
        name: of the column, for errors.
        form: how numbers are written where the column is text.

    Raises:
        JobRefused: a column of lists or structs that cannot become the type.
    """
    never = F.lit(False)
    if isinstance(kind, ArrayType) and rule.unwrap:
        one = F.when(F.size(column) == 1, F.get(column, F.lit(0)))
        inner = typed(one, kind.elementType, rule, name=name, form=form)
        wrong = inner.wrong | (column.isNotNull() & (F.size(column) != 1))
        return Typed(inner.value, wrong, inner.ambiguous, inner.zoneless)
    if kind.simpleString().startswith(("array", "struct", "map", "binary", "variant")):
        way = "add `unwrap: true` to take lists of one value for the value" if isinstance(kind, ArrayType) else "flatten it first"
        raise JobRefused(f"rule {name}.type: a column of type {kind.simpleString()} cannot become {rule.kind}; {way}")
    if rule.kind in ("date", "timestamp"):
        return _moment(column, kind, rule)
    text = _text(column, rule)
    if rule.kind == "text":
        return Typed(text if rule.unwrap else column.cast("string"), never, never, never)
    text = F.nullif(F.trim(text), F.lit(""))
    if form is not None and isinstance(kind, StringType) and rule.kind in ("integer", "number"):
        text = _plain_number(text, form)
    if rule.kind == "integer":
        # Spark writes large doubles as 1.0E10. By a decimal, since a double does not hold every whole number beyond 2^53.
        number = text.try_cast("decimal(38,18)")
        whole = F.when(number == F.floor(number), number).try_cast("bigint")
        value = F.when(text.rlike(_NUMBER), F.coalesce(F.regexp_replace(text, r"\.0*$", "").try_cast("bigint"), whole))
    elif rule.kind == "number":
        number = F.when(text.rlike(_NUMBER) & ~_loses_digits(text), text.try_cast("double"))
        # The text nan is a null to us, as the number is, and breaks no rule.
        return Typed(F.when(~F.isnan(number), number), text.isNotNull() & number.isNull(), never, never)
    else:
        word = F.lower(text)
        value = F.when(word.isin(*_TRUE), F.lit(True)).when(word.isin(*_FALSE), F.lit(False))
    return Typed(value, text.isNotNull() & value.isNull(), never, never)


def _loses_digits(text: Column) -> Column:
    """Whether a text is a whole number that no double holds, such as an identifier of 2^53 + 1."""
    whole = F.when(text.rlike(_LONG_WHOLE), text.try_cast("decimal(38,0)"))
    return F.coalesce(text.try_cast("double").try_cast("decimal(38,0)") != whole, F.lit(False))


def _plain_number(text: Column, form: TextFormat) -> Column:
    """Return a number with a decimal point and without thousands, as `TextFormat.plain_numbers` does."""
    if form.thousands:
        text = F.when(text.rlike(form.grouped), F.replace(text, F.lit(form.thousands), F.lit(""))).otherwise(text)
    return F.translate(text, ".,", ",.") if form.decimal_comma else text


def _text(column: Column, rule: TypeRule) -> Column:
    text = column.cast("string")
    if not rule.unwrap:
        return text
    found = F.regexp_extract(text, _LIST_OF_ONE, 1)
    return F.when(text.rlike(_LIST_OF_ONE), found).otherwise(text)


def _moment(column: Column, kind: DataType, rule: TypeRule) -> Typed:
    never = F.lit(False)
    target = rule.kind
    if isinstance(kind, DateType | TimestampType):
        return Typed(column.cast(target), never, never, never)
    if isinstance(kind, TimestampNTZType):
        return _zoned(column.cast("timestamp"), never, rule)
    text = F.nullif(F.trim(_text(column, rule)), F.lit(""))
    if not isinstance(kind, StringType):
        text = text.cast("string")
    if not rule.formats:
        iso = r"^\d{4}-\d{1,2}-\d{1,2}" + ("$" if target == "date" else r"[T ]?.*$")
        value = F.when(text.rlike(iso), text.try_cast(target))
        return _with_wrong(text, value, never, text.rlike(_ZONED) & ~text.rlike(r"^\d{4}-\d{1,2}-\d{1,2}$"), rule)
    formats = (
        sorted(rule.formats, key=lambda one: _day_before_month(one) is not rule.day_first) if _states(rule) else rule.formats
    )
    each = [F.try_to_timestamp(text, F.lit(one)).cast(target) for one in formats]
    several = F.size(F.array_distinct(F.array_compact(F.array(*each)))) > 1
    zoned = F.lit(False)
    for one, moment in reversed(list(zip(formats, each, strict=True))):
        zoned = F.when(moment.isNotNull(), F.lit(_has_zone(one))).otherwise(zoned)
    return _with_wrong(text, F.coalesce(*each), never if _states(rule) else several, zoned, rule)


def _states(rule: TypeRule) -> bool:
    return rule.day_first is not None


def _with_wrong(text: Column, value: Column, ambiguous: Column, zoned: Column, rule: TypeRule) -> Typed:
    wrong = text.isNotNull() & value.isNull()
    if rule.kind == "date":
        return Typed(value, wrong, ambiguous, F.lit(False))
    found = _zoned(value, zoned, rule)
    return Typed(found.value, wrong, ambiguous, found.zoneless)


def _zoned(value: Column, zoned: Column, rule: TypeRule) -> Typed:
    """Take a time that names no zone for one of the rule's zone; the session's own zone is UTC."""
    never = F.lit(False)
    if not rule.zone:
        known = F.when(zoned, value)
        return Typed(known, never, never, value.isNotNull() & ~zoned)
    return Typed(F.when(zoned, value).otherwise(F.to_utc_timestamp(value, rule.zone)), never, never, never)


def _day_before_month(form: str) -> bool:
    letters = re.sub(r"'[^']*'", "", form)
    return 0 <= letters.find("d") < letters.find("M")


def _has_zone(form: str) -> bool:
    return any(letter in re.sub(r"'[^']*'", "", form) for letter in "VzOXxZ")
