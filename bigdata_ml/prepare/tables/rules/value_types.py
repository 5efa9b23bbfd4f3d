"""Converts a column to a declared type, with conditions for wrong, ambiguous and zoneless values."""

import re
from dataclasses import dataclass

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DateType, StringType, TimestampNTZType, TimestampType

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.tables.rules.model import TypeRule

__all__ = ["TypedColumn", "typed"]

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^(?i)[+-]?(nan|inf|infinity)$"
# A double represents every whole number of fewer digits exactly.
_LONG_WHOLE = r"^[+-]?\d{16,38}$"
_ZONED = r"(?i)(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")
# A list of one value, as JSON writes it.
_LIST_OF_ONE = r'^\[\s*"?([^\[\]{},"]*)"?\s*\]$'


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """The converted value (null where conversion fails), and conditions that say why a value is null or doubtful."""

    value: Column
    wrong: Column
    ambiguous: Column
    zoneless: Column


def typed(column: Column, kind: DataType, rule: TypeRule, *, name: str, form: TextFormat | None = None) -> TypedColumn:
    """Return the column as the rule's type. Blank text is null to every type but text.

    Args:
        column: the values.
        kind: their type.
        rule: the target type.
        name: of the column, for errors.
        form: how numbers are written in a text column.

    Raises:
        JobRefused: a nested column cannot be converted to the type.
    """
    never = F.lit(False)
    if isinstance(kind, ArrayType) and rule.unwrap:
        element = F.when(F.size(column) == 1, F.get(column, F.lit(0)))
        inner = typed(element, kind.elementType, rule, name=name, form=form)
        wrong = inner.wrong | (column.isNotNull() & (F.size(column) != 1))
        return TypedColumn(inner.value, wrong, inner.ambiguous, inner.zoneless)
    if kind.simpleString().startswith(("array", "struct", "map", "binary", "variant")):
        way = "add `unwrap: true` to read a list of one value as the value" if isinstance(kind, ArrayType) else "flatten it first"
        raise JobRefused(f"rule {name}.type: a column of type {kind.simpleString()} cannot become {rule.kind}; {way}")
    if rule.kind in ("date", "timestamp"):
        return _moment(column, kind, rule)
    text = _text(column, rule)
    if rule.kind == "text":
        return TypedColumn(text if rule.unwrap else column.cast("string"), never, never, never)
    text = F.nullif(F.trim(text), F.lit(""))
    if form is not None and isinstance(kind, StringType) and rule.kind in ("integer", "number"):
        text = _plain_number(text, form)
    if rule.kind == "integer":
        # Spark writes large doubles as 1.0E10. Via decimal, because doubles cannot represent all whole numbers beyond 2^53.
        number = text.try_cast("decimal(38,18)")
        whole = F.when(number == F.floor(number), number).try_cast("bigint")
        value = F.when(text.rlike(_NUMBER), F.coalesce(F.regexp_replace(text, r"\.0*$", "").try_cast("bigint"), whole))
    elif rule.kind == "number":
        number = F.when(text.rlike(_NUMBER) & ~_loses_digits(text), text.try_cast("double"))
        # The text nan is read as null, like the number, and breaks no rule.
        return TypedColumn(F.when(~F.isnan(number), number), text.isNotNull() & number.isNull(), never, never)
    else:
        word = F.lower(text)
        value = F.when(word.isin(*_TRUE), F.lit(True)).when(word.isin(*_FALSE), F.lit(False))
    return TypedColumn(value, text.isNotNull() & value.isNull(), never, never)


def _loses_digits(text: Column) -> Column:
    """Whether a text is a whole number that a double cannot represent, such as 2^53 + 1."""
    whole = F.when(text.rlike(_LONG_WHOLE), text.try_cast("decimal(38,0)"))
    return F.coalesce(text.try_cast("double").try_cast("decimal(38,0)") != whole, F.lit(False))


def _plain_number(text: Column, form: TextFormat) -> Column:
    """Return a number with a decimal point and no thousands separators, as `TextFormat.plain_numbers` does."""
    if form.thousands:
        text = F.when(text.rlike(form.grouped), F.replace(text, F.lit(form.thousands), F.lit(""))).otherwise(text)
    return F.translate(text, ".,", ",.") if form.decimal_comma else text


def _text(column: Column, rule: TypeRule) -> Column:
    text = column.cast("string")
    if not rule.unwrap:
        return text
    return F.when(text.rlike(_LIST_OF_ONE), F.regexp_extract(text, _LIST_OF_ONE, 1)).otherwise(text)


def _moment(column: Column, kind: DataType, rule: TypeRule) -> TypedColumn:
    never = F.lit(False)
    target = rule.kind
    if isinstance(kind, DateType | TimestampType):
        return TypedColumn(column.cast(target), never, never, never)
    if isinstance(kind, TimestampNTZType):
        return _zoned(column.cast("timestamp"), never, rule)
    text = F.nullif(F.trim(_text(column, rule)), F.lit(""))
    if not isinstance(kind, StringType):
        text = text.cast("string")
    if not rule.formats:
        iso = r"^\d{4}-\d{1,2}-\d{1,2}" + ("$" if target == "date" else r"[T ]?.*$")
        value = F.when(text.rlike(iso), text.try_cast(target))
        return _with_wrong(text, value, never, text.rlike(_ZONED) & ~text.rlike(r"^\d{4}-\d{1,2}-\d{1,2}$"), rule)
    certain = rule.day_first is not None
    formats = sorted(rule.formats, key=lambda form: certain and _day_before_month(form) is not rule.day_first)
    each = [F.try_to_timestamp(text, F.lit(form)).cast(target) for form in formats]
    several = F.size(F.array_distinct(F.array_compact(F.array(*each)))) > 1
    zoned = F.lit(False)
    for form, moment in reversed(list(zip(formats, each, strict=True))):
        zoned = F.when(moment.isNotNull(), F.lit(_has_zone(form))).otherwise(zoned)
    return _with_wrong(text, F.coalesce(*each), never if certain else several, zoned, rule)


def _with_wrong(text: Column, value: Column, ambiguous: Column, zoned: Column, rule: TypeRule) -> TypedColumn:
    wrong = text.isNotNull() & value.isNull()
    if rule.kind == "date":
        return TypedColumn(value, wrong, ambiguous, F.lit(False))
    local = _zoned(value, zoned, rule)
    return TypedColumn(local.value, wrong, ambiguous, local.zoneless)


def _zoned(value: Column, zoned: Column, rule: TypeRule) -> TypedColumn:
    """Read a time without a zone in the rule's zone; the session's own zone is UTC."""
    never = F.lit(False)
    if not rule.zone:
        return TypedColumn(F.when(zoned, value), never, never, value.isNotNull() & ~zoned)
    return TypedColumn(F.when(zoned, value).otherwise(F.to_utc_timestamp(value, rule.zone)), never, never, never)


def _day_before_month(form: str) -> bool:
    letters = re.sub(r"'[^']*'", "", form)
    return 0 <= letters.find("d") < letters.find("M")


def _has_zone(form: str) -> bool:
    return any(letter in re.sub(r"'[^']*'", "", form) for letter in "VzOXxZ")
