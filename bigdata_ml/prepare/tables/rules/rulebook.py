"""Violations are noted in the rows themselves and counted from there, so the counts stay right when tasks are retried.

`__violations` of a row holds, for each rule that the row breaks, the number of the rule and the offending value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.tables.rules.model import Severity, TableRules

__all__ = [
    "MALFORMED_ROWS", "RuleEntry", "RuleTally", "RuleViolation", "Rulebook", "note", "refuse_rows", "settle", "tally_rules",
    "with_violations",
]  # fmt: skip

_LONGEST_VALUE = 200
# Reasons for rows of text files that could not be split into values, and what they break.
MALFORMED_ROWS = {
    "ragged_row": "a row has one value per column of the header",
    "torn_row": "a row of a text file is complete",
}


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """A rule's name (`COLUMN.RULE`), what happens to rows that break it, and its description."""

    name: str
    severity: Severity
    words: str


@dataclass(frozen=True, slots=True)
class Rulebook:
    """The rules, numbered in the order in which they are applied."""

    rules: tuple[RuleEntry, ...] = ()

    @classmethod
    def of(cls, rules: TableRules) -> "Rulebook":
        """Return the numbered rules."""
        entries: list[RuleEntry] = []
        for column in rules.columns:
            if column.null_values:
                entries.append(RuleEntry(f"{column.name}.null_values", Severity.FILL, str(column.null_values)))
            if column.type:
                severity = column.type.otherwise.severity
                entries.append(RuleEntry(f"{column.name}.type", severity, f"of type {column.type}"))
                if column.type.kind in ("date", "timestamp"):
                    entries.append(RuleEntry(f"{column.name}.ambiguous", column.type.ambiguous, "the same date in all formats"))
                if column.type.kind == "timestamp":
                    entries.append(RuleEntry(f"{column.name}.zone", severity, "has a time zone"))
            if column.normalise:
                entries.append(RuleEntry(f"{column.name}.normalise", Severity.FILL, str(column.normalise)))
            for kind in ("set", "regex", "range", "not_null", "outliers", "unique", "references"):
                if rule := getattr(column, kind):
                    entries.append(RuleEntry(f"{column.name}.{kind}", rule.otherwise.severity, str(rule)))
        if rules.duplicates:
            entries.append(RuleEntry("duplicates", rules.duplicates.otherwise.severity, str(rules.duplicates)))
        return cls(tuple(entries))

    def number(self, name: str) -> int:
        """Return the number of the rule of that name."""
        return next(number for number, rule in enumerate(self.rules) if rule.name == name)

    def numbers(self, *severities: Severity) -> list[int]:
        """Return the numbers of the rules of those severities."""
        return [number for number, rule in enumerate(self.rules) if rule.severity in severities]


@dataclass(frozen=True, slots=True)
class RuleViolation:
    """Where a rule is broken, the offending value, the column and its new value in every row (None: unchanged)."""

    rule: str
    column: str
    where: Column
    value: Column
    replacement: Column | None = None


@dataclass(frozen=True, slots=True)
class RuleTally:
    """What happened to the rows.

    Attributes:
        found: all rows.
        kept: rows that are not refused.
        refused: rows by reason.
        noted: by rule, the kept rows that break it and whose value was filled or accepted.
    """

    found: int
    kept: int
    refused: Mapping[str, int]
    noted: Mapping[str, int]


def with_violations(rows: DataFrame) -> DataFrame:
    """Add an empty `__violations`."""
    return rows.withColumn("__violations", F.array().cast("array<struct<rule:int,value:string>>"))


def note(rows: DataFrame, violations: Sequence[RuleViolation], book: Rulebook) -> DataFrame:
    """Note the violations and replace values; all conditions see the columns as they were."""
    if not violations:
        return rows
    notes = [
        F.when(
            violation.where,
            F.struct(
                F.lit(book.number(violation.rule)).alias("rule"),
                F.substring(violation.value.cast("string"), 1, _LONGEST_VALUE).alias("value"),
            ),
        )
        for violation in violations
    ]
    # Nearly all rows break no rule and keep their array.
    any_broken = F.coalesce(*(F.when(violation.where, F.lit(True)) for violation in violations), F.lit(False))
    any_broken = any_broken & ~F.coalesce(F.col("__reason").isin(*MALFORMED_ROWS), F.lit(False))
    noted = F.concat("__violations", F.array_compact(F.array(*notes)))
    replaced = {violation.column: violation.replacement for violation in violations if violation.replacement is not None}
    replaced["__violations"] = F.when(any_broken, noted).otherwise(F.col("__violations"))
    return rows.select(*(replaced[name].alias(name) if name in replaced else named(name) for name in rows.columns))


def settle(rows: DataFrame, book: Rulebook) -> DataFrame:
    """Refuse rows that break a rule of severity refuse_row. The reason is the first such rule; earlier reasons stay."""
    refusing = book.numbers(Severity.REFUSE_ROW)
    if not refusing:
        return rows
    broken = F.array_sort(F.filter("__violations", lambda violation: violation["rule"].isin(refusing)))
    first = F.get(broken, F.lit(0))
    names = F.array(*(F.lit(rule.name) for rule in book.rules))
    words = F.array(*(F.lit(rule.words) for rule in book.rules))
    others = F.transform(F.slice(broken, 2, len(book.rules)), lambda violation: F.get(names, violation["rule"]))
    others = F.array_distinct(others)
    also = F.when(F.size(others) > 0, F.concat(F.lit("; also broken: "), F.array_join(others, ", "))).otherwise(F.lit(""))
    value = F.coalesce(F.concat(F.lit("'"), first["value"], F.lit("'")), F.lit("null"))
    column = F.regexp_replace(F.get(names, first["rule"]), r"\.\w+$", "")
    detail = F.concat(column, F.lit(": "), value, F.lit(" breaks the rule: "), F.get(words, first["rule"]), also)
    return refuse_rows(rows, first.isNotNull(), reason=F.get(names, first["rule"]), detail=detail)


def refuse_rows(rows: DataFrame, where: Column, *, reason: Column, detail: Column) -> DataFrame:
    """Set `__reason` and `__detail` of the rows that meet a condition and were not refused before."""
    refused = F.col("__reason").isNull() & where
    values = {"__detail": detail, "__reason": reason}
    return rows.withColumns({name: F.when(refused, value).otherwise(F.col(name)) for name, value in values.items()})


def tally_rules(rows: DataFrame, book: Rulebook) -> RuleTally:
    """Count rows by reason and by broken rule, in one pass.

    Raises:
        JobRefused: a row, refused or not, breaks a rule of severity refuse_job.
    """
    broken = F.array_distinct(F.transform("__violations", lambda violation: violation["rule"]))
    rule = F.explode(F.concat(F.array(F.lit(-1)), broken))
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
    violations = rows.select(F.col("__source").alias("source"), F.explode("__violations").alias("violation"))
    first = F.min(F.struct("source", F.col("violation.value").alias("value"))).alias("first")
    example = violations.where(F.col("violation.rule") == number).agg(first).collect()[0]["first"]
    raise JobRefused(
        f"rule {rule.name} ({rule.words}): {broken[number]} rows break it and it refuses the job; an example is "
        f"{example['value']!r} in {example['source']}; correct the source, or give the rule another severity"
    )
