"""Rules that need other rows: outliers, unique values, references to other tables, duplicates by key.

Outliers cost one pass over the train rows, two if a rule uses MAD. Each unique, references and duplicates rule costs a shuffle.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, IntegralType, NumericType

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.features.quantiles import quantiles
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.tables.key_types import comparable
from bigdata_ml.prepare.tables.rules.model import ColumnRules, DuplicateRule, Severity
from bigdata_ml.prepare.tables.rules.row_rules import filled
from bigdata_ml.prepare.tables.rules.rulebook import Rulebook, RuleViolation, note, settle

__all__ = [
    "Bounds", "Read", "apply_outliers", "outlier_bounds", "refuse_duplicates_by_key", "refuse_shared_values",
    "refuse_unreferenced",
]  # fmt: skip

Read = Callable[[str], DataFrame]

# The standard deviation of a normal distribution divided by its median absolute deviation.
_NORMAL = 1.4826


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value of a column that are not outliers."""

    least: float
    greatest: float


def outlier_bounds(train: DataFrame, rules: Sequence[ColumnRules]) -> dict[str, Bounds]:
    """Compute the bounds of the outlier rules from the train rows, by column; columns without known values have none.

    Raises:
        JobRefused: a column is not numeric.
    """
    outliers = {rule.name: rule.outliers for rule in rules if rule.outliers}
    for name in outliers:
        kind = train.schema[name].dataType
        if not isinstance(kind, NumericType):
            raise JobRefused(f"rule {name}.outliers: needs numbers, the column is {kind.simpleString()}; give it a type")
    shares = sorted(
        {share for rule in outliers.values() for share in ((rule.low, rule.high) if rule.method == "quantile" else (0.5,))}
    )
    exact = quantiles(train, {name: named(name) for name in outliers}, shares)
    medians = {name: exact[name][0.5] for name, rule in outliers.items() if rule.method == "mad" and name in exact}
    deviations = quantiles(train, {name: F.abs(named(name).cast("double") - medians[name]) for name in medians}, (0.5,))
    bounds = {}
    for name, rule in outliers.items():
        if name in medians:
            reach = rule.times * _NORMAL * deviations[name][0.5]
            bounds[name] = Bounds(medians[name] - reach, medians[name] + reach)
        elif name in exact:
            bounds[name] = Bounds(exact[name][rule.low], exact[name][rule.high])
    return bounds


def apply_outliers(rows: DataFrame, rules: Sequence[ColumnRules], bounds: Mapping[str, Bounds], book: Rulebook) -> DataFrame:
    """Note the values outside the bounds; `fill` sets the nearer bound."""
    violations = []
    for rule in rules:
        if rule.outliers and rule.name in bounds:
            column, limit = named(rule.name), bounds[rule.name]
            where = F.coalesce(~column.cast("double").between(limit.least, limit.greatest), F.lit(False))
            replacement = None
            if rule.outliers.otherwise.severity is Severity.FILL:
                replacement = _clipped(column, where, limit, rows.schema[rule.name].dataType)
            violations.append(RuleViolation(f"{rule.name}.outliers", rule.name, where, column, replacement))
    return note(rows, violations, book)


def _clipped(column: Column, where: Column, limit: Bounds, kind: DataType) -> Column:
    least, greatest = limit.least, limit.greatest
    if isinstance(kind, IntegralType):
        least, greatest = math.ceil(least), math.floor(greatest)
    nearer = F.when(column.cast("double") < limit.least, F.lit(least)).otherwise(F.lit(greatest))
    return F.when(where, nearer.cast(kind)).otherwise(column)


def refuse_unreferenced(rows: DataFrame, rules: Sequence[ColumnRules], book: Rulebook, *, read: Read) -> DataFrame:
    """Note the values that do not occur in the tables that the rules refer to.

    Raises:
        JobRefused: the other table lacks the column, or the types of the two columns cannot be compared.
    """
    for rule in rules:
        if not rule.references:
            continue
        name, table, key = f"{rule.name}.references", rule.references.table, rule.references.column
        referenced = read(table)
        if key not in referenced.columns:
            raise JobRefused(f"rule {name}: {table} has no column {key!r}; it has {', '.join(referenced.columns)}")
        kind, key_kind = rows.schema[rule.name].dataType, referenced.schema[key].dataType
        pair = comparable(named(rule.name), kind, named(key), key_kind)
        if pair is None:
            raise JobRefused(
                f"rule {name}: the column is {kind.simpleString()}, {key} of {table} is {key_kind.simpleString()}, and these "
                "cannot be compared; give the column a type by a rule"
            )
        keys = referenced.select(pair[1].alias("__key")).where("__key is not null").distinct()
        joined = rows.join(keys, on=pair[0] == keys["__key"], how="left")
        column = named(rule.name)
        where = column.isNotNull() & F.col("__key").isNull()
        replacement = filled(rule.references.otherwise, where, column, kind, name)
        rows = note(joined, [RuleViolation(name, rule.name, where, column, replacement)], book)
        rows = settle(rows.drop("__key"), book)
    return rows


def refuse_duplicates_by_key(rows: DataFrame, rule: DuplicateRule, book: Rulebook) -> DataFrame:
    """Note all rows of a key except the one that is kept; rows refused before are ignored."""
    keys = [named(name) for name in rule.key]
    order = {
        "newest": [named(rule.by).desc_nulls_last()] if rule.by else [],
        "first": [named(rule.by).asc_nulls_last()] if rule.by else [],
        "most_complete": [],
    }[rule.keep]
    visible = [name for name in rows.columns if not name.startswith("__")]
    nulls = F.size(F.filter(F.array(*(named(name).isNull() for name in visible)), lambda null: null))
    candidate = F.col("__reason").isNull()
    for key in keys:
        candidate = candidate & key.isNotNull()
    by_key = _by_key(candidate, keys).orderBy(*order, nulls.asc(), F.col("__row").asc(), F.col("__source").asc())
    value = F.concat_ws(", ", *(F.coalesce(key.cast("string"), F.lit("null")) for key in keys))
    ranked = rows.withColumn("__rank", F.row_number().over(by_key))
    where = candidate & (F.col("__rank") > 1)
    return settle(note(ranked, [RuleViolation("duplicates", "", where, value)], book).drop("__rank"), book)


def refuse_shared_values(rows: DataFrame, rules: Sequence[ColumnRules], book: Rulebook) -> DataFrame:
    """Note the values that occur in several rows; rows refused before are ignored."""
    for rule in rules:
        if rule.unique:
            column = named(rule.name)
            candidate = F.col("__reason").isNull() & column.isNotNull()
            counted = rows.withColumn("__sharing", F.count(F.lit(1)).over(_by_key(candidate, [column])))
            where = candidate & (F.col("__sharing") > 1)
            noted = note(counted, [RuleViolation(f"{rule.name}.unique", rule.name, where, column)], book)
            rows = settle(noted.drop("__sharing"), book)
    return rows


def _by_key(candidate: Column, keys: Sequence[Column]) -> WindowSpec:
    # Rows that are not candidates are spread by a hash, so that they do not all go to one task.
    alone = F.when(~candidate, F.xxhash64("__row", "__source"))
    return Window.partitionBy(candidate, *(F.when(candidate, key) for key in keys), alone)
