"""Rules that need other rows: outliers, unique values, references to other tables, duplicates by key.

Outliers cost one pass over the train rows, two where a rule uses MAD; each unique, reference and duplicate rule one shuffle.
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
from bigdata_ml.prepare.tables.rules.rulebook import Broken, Rulebook, note, settle

__all__ = [
    "Bounds", "Read", "apply_outliers", "outlier_bounds", "refuse_duplicates_by_key", "refuse_shared_values",
    "refuse_unreferenced",
]  # fmt: skip

Read = Callable[[str], DataFrame]

# A normal deviate's standard deviation is so many times its median absolute deviation.
_NORMAL = 1.4826


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the greatest value of a column that are no outliers."""

    least: float
    greatest: float


def outlier_bounds(train: DataFrame, rules: Sequence[ColumnRules]) -> dict[str, Bounds]:
    """Return the bounds that the outlier rules find in the train rows, by column; none for a column without a known value.

    Raises:
        JobRefused: a column that is no number.
    """
    asked = {one.name: one.outliers for one in rules if one.outliers}
    for name in asked:
        kind = train.schema[name].dataType
        if not isinstance(kind, NumericType):
            raise JobRefused(f"rule {name}.outliers: it goes with numbers, the column is {kind.simpleString()}; give it a type")
    shares = sorted(
        {share for rule in asked.values() for share in ((rule.low, rule.high) if rule.method == "quantile" else (0.5,))}
    )
    found = quantiles(train, {name: named(name) for name in asked}, shares)
    medians = {name: found[name][0.5] for name, rule in asked.items() if rule.method == "mad" and name in found}
    apart = quantiles(train, {name: F.abs(named(name).cast("double") - medians[name]) for name in medians}, (0.5,))
    bounds = {}
    for name, rule in asked.items():
        if name in medians:
            reach = rule.times * _NORMAL * apart[name][0.5]
            bounds[name] = Bounds(medians[name] - reach, medians[name] + reach)
        elif name in found:
            bounds[name] = Bounds(found[name][rule.low], found[name][rule.high])
    return bounds


def apply_outliers(rows: DataFrame, rules: Sequence[ColumnRules], bounds: Mapping[str, Bounds], book: Rulebook) -> DataFrame:
    """Note the values outside the bounds; `fill` puts the nearer bound."""
    broken = []
    for one in rules:
        if one.outliers and one.name in bounds:
            column, limit = named(one.name), bounds[one.name]
            where = F.coalesce(~column.cast("double").between(limit.least, limit.greatest), F.lit(False))
            becomes = None
            if one.outliers.otherwise.severity is Severity.FILL:
                becomes = _clipped(column, where, limit, rows.schema[one.name].dataType)
            broken.append(Broken(f"{one.name}.outliers", one.name, where, column, becomes))
    return note(rows, broken, book)


def _clipped(column: Column, where: Column, limit: Bounds, kind: DataType) -> Column:
    least, greatest = limit.least, limit.greatest
    if isinstance(kind, IntegralType):
        least, greatest = math.ceil(least), math.floor(greatest)
    nearer = F.when(column.cast("double") < limit.least, F.lit(least)).otherwise(F.lit(greatest))
    return F.when(where, nearer.cast(kind)).otherwise(column)


def refuse_unreferenced(rows: DataFrame, rules: Sequence[ColumnRules], book: Rulebook, *, read: Read) -> DataFrame:
    """Note the values that the tables referred to do not hold.

    Raises:
        JobRefused: a column that the other table has not, or of a type that is not compared with this one's.
    """
    for one in rules:
        if one.references:
            other = read(one.references.table)
            if one.references.column not in other.columns:
                raise JobRefused(
                    f"rule {one.name}.references: {one.references.table} has no column {one.references.column!r}; "
                    f"it has {', '.join(other.columns)}"
                )
            kind, found = rows.schema[one.name].dataType, other.schema[one.references.column].dataType
            pair = comparable(named(one.name), kind, named(one.references.column), found)
            if pair is None:
                raise JobRefused(
                    f"rule {one.name}.references: the column is {kind.simpleString()}, {one.references.column} of "
                    f"{one.references.table} is {found.simpleString()}, and these are not compared; give it a type by the rules"
                )
            there = other.select(pair[1].alias("__there")).where("__there is not null").distinct()
            joined = rows.join(there, on=pair[0] == there["__there"], how="left")
            where = named(one.name).isNotNull() & F.col("__there").isNull()
            name = f"{one.name}.references"
            mended = filled(one.references.otherwise, where, named(one.name), kind, name)
            rows = note(joined, [Broken(name, one.name, where, named(one.name), mended)], book)
            rows = settle(rows.drop("__there"), book)
    return rows


def refuse_duplicates_by_key(rows: DataFrame, rule: DuplicateRule, book: Rulebook) -> DataFrame:
    """Note all rows but one of those that share a key; rows refused before neither win nor lose."""
    keys = [named(name) for name in rule.key]
    order = {
        "newest": [named(rule.by).desc_nulls_last()] if rule.by else [],
        "first": [named(rule.by).asc_nulls_last()] if rule.by else [],
        "most_complete": [],
    }[rule.keep]
    visible = [name for name in rows.columns if not name.startswith("__")]
    nulls = F.size(F.filter(F.array(*(named(name).isNull() for name in visible)), lambda one: one))
    candidate = F.col("__reason").isNull()
    for key in keys:
        candidate = candidate & key.isNotNull()
    by_key = _same(candidate, keys).orderBy(*order, nulls.asc(), F.col("__row").asc(), F.col("__source").asc())
    found = F.concat_ws(", ", *(F.coalesce(key.cast("string"), F.lit("null")) for key in keys))
    placed = rows.withColumn("__rank", F.row_number().over(by_key))
    where = candidate & (F.col("__rank") > 1)
    return settle(note(placed, [Broken("duplicates", "", where, found)], book).drop("__rank"), book)


def refuse_shared_values(rows: DataFrame, rules: Sequence[ColumnRules], book: Rulebook) -> DataFrame:
    """Note the values that stand in several rows, among those not refused before."""
    for one in rules:
        if one.unique:
            column = named(one.name)
            candidate = F.col("__reason").isNull() & column.isNotNull()
            counted = rows.withColumn("__sharing", F.count(F.lit(1)).over(_same(candidate, [column])))
            where = candidate & (F.col("__sharing") > 1)
            rows = settle(note(counted, [Broken(f"{one.name}.unique", one.name, where, column)], book).drop("__sharing"), book)
    return rows


def _same(candidate: Column, keys: Sequence[Column]) -> WindowSpec:
    # Rows that are no candidates are spread by a hash instead of all meeting in one task.
    alone = F.when(~candidate, F.xxhash64("__row", "__source"))
    return Window.partitionBy(candidate, *(F.when(candidate, key) for key in keys), alone)
