"""Broken rules are noted in the rows themselves, and counted from them: so the counts are right under retries.

A row's `__broken` holds, for each rule it breaks, the rule's number and the value found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.tables.rules.model import Severity, TableRules

__all__ = ["TORN", "Broken", "RuleTally", "Rulebook", "Stated", "note", "rulebook", "settle", "tally_rules", "with_broken"]

_LONGEST_VALUE = 200
# Reasons of rows of text files that have no values, which break no rule of values.
TORN = {
    "ragged_row": "a row has a value for each name of the header",
    "torn_row": "a row of a text file is whole",
}


@dataclass(frozen=True, slots=True)
class Stated:
    """A rule's name (`COLUMN.RULE`), what becomes of what breaks it, and its words."""

    name: str
    severity: Severity
    words: str


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules by number, in the order in which they are applied."""

    rules: tuple[Stated, ...] = ()

    def number(self, name: str) -> int:
        """Return the number of the rule of that name."""
        return next(number for number, one in enumerate(self.rules) if one.name == name)

    def numbers(self, *severities: Severity) -> list[int]:
        """Return the numbers of the rules of those severities."""
        return [number for number, one in enumerate(self.rules) if one.severity in severities]


@dataclass(frozen=True, slots=True)
class Broken:
    """Where a rule is broken, the value found, the column, and what it becomes in every row (None: it stays)."""

    rule: str
    column: str
    where: Column
    found: Column
    becomes: Column | None = None


@dataclass(frozen=True, slots=True)
class RuleTally:
    """What became of the rows.

    Attributes:
        found: all rows.
        kept: rows that are not refused.
        refused: rows by reason.
        noted: by rule, the kept rows in which it was broken and the value was filled or let pass.
    """

    found: int
    kept: int
    refused: Mapping[str, int]
    noted: Mapping[str, int]


def rulebook(rules: TableRules) -> Rulebook:
    """Return the numbered rules."""
    found: list[Stated] = []
    for one in rules.columns:
        if one.null_values:
            found.append(Stated(f"{one.name}.null_values", Severity.FILL, str(one.null_values)))
        if one.type:
            severity = one.type.otherwise.severity
            found.append(Stated(f"{one.name}.type", severity, f"of type {one.type}"))
            if one.type.kind in ("date", "timestamp"):
                found.append(Stated(f"{one.name}.ambiguous", one.type.ambiguous, "read the same in all its forms"))
            if one.type.kind == "timestamp":
                found.append(Stated(f"{one.name}.zone", severity, "of a known time zone"))
        if one.normalise:
            found.append(Stated(f"{one.name}.normalise", Severity.FILL, str(one.normalise)))
        for rule in (one.set, one.regex, one.range, one.not_null, one.outliers, one.unique, one.references):
            if rule is not None:
                kind = next(name for name in one.__dataclass_fields__ if getattr(one, name) is rule)
                found.append(Stated(f"{one.name}.{kind}", rule.otherwise.severity, str(rule)))
    if rules.duplicates:
        found.append(Stated("duplicates", rules.duplicates.otherwise.severity, str(rules.duplicates)))
    return Rulebook(tuple(found))


def with_broken(rows: DataFrame) -> DataFrame:
    """Add an empty `__broken`."""
    return rows.withColumn("__broken", F.array().cast("array<struct<rule:int,value:string>>"))


def note(rows: DataFrame, broken: Sequence[Broken], book: Rulebook) -> DataFrame:
    """Note where rules are broken, and put what the columns become; all conditions see the columns as they were."""
    if not broken:
        return rows
    notes = [
        F.when(
            one.where,
            F.struct(
                F.lit(book.number(one.rule)).alias("rule"),
                F.substring(one.found.cast("string"), 1, _LONGEST_VALUE).alias("value"),
            ),
        )
        for one in broken
    ]
    # Rows that break nothing, nearly all, keep their array.
    any_broken = F.coalesce(*(F.when(one.where, F.lit(True)) for one in broken), F.lit(False))
    any_broken = any_broken & ~F.coalesce(F.col("__reason").isin(*TORN), F.lit(False))
    added = F.when(any_broken, F.concat("__broken", F.array_compact(F.array(*notes)))).otherwise(F.col("__broken"))
    becomes = {one.column: one.becomes for one in broken if one.becomes is not None}
    columns = [becomes[name].alias(name) if name in becomes else named(name) for name in rows.columns if name != "__broken"]
    return rows.select(*columns, added.alias("__broken"))


def settle(rows: DataFrame, book: Rulebook) -> DataFrame:
    """Refuse the rows that break a rule of severity refuse_row, the first of them being the reason; others keep their reason."""
    refusing = book.numbers(Severity.REFUSE_ROW)
    if not refusing:
        return rows
    broken = F.array_sort(F.filter("__broken", lambda one: one["rule"].isin(refusing)))
    first = F.get(broken, F.lit(0))
    names = F.array(*(F.lit(one.name) for one in book.rules))
    words = F.array(*(F.lit(one.words) for one in book.rules))
    others = F.array_distinct(F.transform(F.slice(broken, 2, len(book.rules)), lambda one: F.get(names, one["rule"])))
    also = F.when(F.size(others) > 0, F.concat(F.lit("; also broken: "), F.array_join(others, ", "))).otherwise(F.lit(""))
    value = F.coalesce(F.concat(F.lit("'"), first["value"], F.lit("'")), F.lit("null"))
    column = F.regexp_replace(F.get(names, first["rule"]), r"\.\w+$", "")
    detail = F.concat(column, F.lit(": "), value, F.lit(" breaks the rule: "), F.get(words, first["rule"]), also)
    refused = F.col("__reason").isNull() & first.isNotNull()
    return rows.withColumns(
        {
            "__detail": F.when(refused, detail).otherwise(F.col("__detail")),
            "__reason": F.when(refused, F.get(names, first["rule"])).otherwise(F.col("__reason")),
        }
    )


def tally_rules(rows: DataFrame, book: Rulebook) -> RuleTally:
    """Count rows by reason and broken rules, in one pass.

    Raises:
        JobRefused: a rule of severity refuse_job is broken, be it in a row that is refused.
    """
    rule = F.explode(F.concat(F.array(F.lit(-1)), F.array_distinct(F.transform("__broken", lambda one: one["rule"]))))
    counted = rows.select("__reason", rule.alias("rule")).groupBy("__reason", "rule").count().collect()
    by_reason = {row["__reason"]: row["count"] for row in counted if row["rule"] == -1}
    _refuse_job(rows, book, [(row["rule"], row["count"]) for row in counted if row["rule"] != -1])
    noting = set(book.numbers(Severity.FILL, Severity.WARN))
    noted = {row["rule"]: row["count"] for row in counted if row["__reason"] is None and row["rule"] in noting}
    kept = by_reason.pop(None, 0)
    return RuleTally(
        found=kept + sum(by_reason.values()),
        kept=kept,
        refused=dict(sorted(by_reason.items())),
        noted={book.rules[number].name: noted[number] for number in sorted(noted)},
    )


def _refuse_job(rows: DataFrame, book: Rulebook, counts: Sequence[tuple[int, int]]) -> None:
    broken: dict[int, int] = {}
    for number, count in counts:
        if number in book.numbers(Severity.REFUSE_JOB):
            broken[number] = broken.get(number, 0) + count
    if not broken:
        return
    number = min(broken)
    rule = book.rules[number]
    values = rows.select("__source", F.explode("__broken").alias("one")).where(F.col("one.rule") == number)
    first = values.agg(
        F.min(F.struct(F.col("__source").alias("source"), F.col("one.value").alias("value"))).alias("one")
    ).collect()
    found = first[0]["one"]
    raise JobRefused(
        f"rule {rule.name} ({rule.words}) is broken in {broken[number]} rows and refuses the job, by {found['value']!r} in "
        f"{found['source']}; mend the source, or give the rule another severity"
    )
