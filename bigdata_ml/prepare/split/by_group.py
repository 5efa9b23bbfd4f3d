"""Splits whose groups stay whole: rows that belong together go where the most held-out of them goes.

Each row has a split of its own by the hash of its key. Of rows that belong together the one furthest from train decides for all:
so a row that is added can move others from train to validation or test, and never back, and nothing that a model was
tested on is ever trained on later.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.split.by_hash import SCALE, SplitRule, hash_share
from bigdata_ml.prepare.split.components import connected_components
from bigdata_ml.prepare.split.from_paths import GIVEN

__all__ = ["assign_grouped_split", "bounds_from_json", "class_bounds"]

Bounds = Mapping[str, Sequence[int]]


def assign_grouped_split(
    rows: DataFrame,
    rule: SplitRule,
    *,
    linked_by: str,
    own_groups: bool,
    voting: str | None = None,
    label: str | None = None,
    bounds: Bounds | None = None,
    given: str | None = None,
) -> DataFrame:
    """Add `split`, and `moved`: whether the row's own hash would have put it elsewhere.

    Args:
        rows: rows to divide; the rule's key is one column, text.
        rule: key, shares and seed.
        linked_by: column (long or null); rows that share a value belong together, as rows with one key do.
        own_groups: whether several rows can have one key.
        voting: column (boolean) of the rows to divide; the others get no split and move none.
        label: column of the class, where `bounds` are given.
        given: column of the split that a row has already (train, validation or test), instead of one by its hash.
        bounds: by class, where each split but the last ends in [0, SCALE]; other classes take the rule's own.

    Runs Spark jobs where both the key and `linked_by` group rows.
    """
    names = [name for name, _ in rule.fractions]
    # Furthest from train last.
    order = list(GIVEN) if given is not None else sorted(names, key=lambda name: (name != "train", names.index(name)))
    key = F.col(rule.key[0])
    placed = _with_bounds(rows, rule, label, bounds or {})
    rank = (
        _rank(hash_share(rule, key), names, order)
        if given is None
        else F.array_position(F.array(*map(F.lit, order)), F.col(given)) - 1
    )
    counts = F.lit(True) if voting is None else F.col(voting)
    placed = _with_units(placed.withColumn("__rank", F.when(counts, rank)), key, linked_by, counts, own_groups=own_groups)
    held_out = F.max("__rank").over(Window.partitionBy("__unit"))
    split = F.when(counts, F.element_at(F.array(*map(F.lit, order)), held_out.cast("int") + 1))
    return placed.withColumns({"split": split, "moved": counts & (held_out != F.col("__rank"))}).drop(
        "__rank", "__unit", "__bounds"
    )


def class_bounds(rows: DataFrame, rule: SplitRule, *, label: str, known: Bounds | None = None) -> dict[str, tuple[int, ...]]:
    """Return for each class the bounds in [0, SCALE] that divide its rows by the rule's shares, to the row; runs a Spark job.

    Args:
        rows: rows to divide; rows of one key have one hash, and stay on one side of a bound.
        rule: key, shares and seed.
        label: column of the class.
        known: bounds of an earlier dataset, which its classes keep, so that no row of theirs moves.
    """
    by_hash = Window.partitionBy(label).orderBy("share", "key")
    numbered = rows.select(
        F.col(label).alias("label"), hash_share(rule, F.col(rule.key[0])).alias("share"), F.col(rule.key[0]).alias("key")
    )
    numbered = numbered.withColumns(
        {"place": F.row_number().over(by_hash) - 1, "rows": F.count(F.lit(1)).over(Window.partitionBy("label"))}
    )
    ends = F.array(*(F.rint(F.col("rows") * end / _PARTS).cast("long") for end in rule.bounds(_PARTS)))
    bound_rows = numbered.where(F.array_contains(ends, F.col("place").cast("long")) | (F.col("place") == 0))
    bounds: dict[str, tuple[int, ...]] = {name: tuple(ends) for name, ends in (known or {}).items()}
    by_class: dict[str, dict[int, int]] = {}
    sizes = {}
    for row in bound_rows.select("label", "place", "share", "rows").collect():
        by_class.setdefault(row["label"], {})[row["place"]] = row["share"]
        sizes[row["label"]] = row["rows"]
    for name in sorted(by_class.keys() - bounds.keys()):
        places = [round(sizes[name] * end / _PARTS) for end in rule.bounds(_PARTS)]
        bounds[name] = tuple(by_class[name].get(place, SCALE) for place in places)
    return bounds


def bounds_from_json(split_rule: Mapping[str, Any] | None, rule: SplitRule, place: str) -> Bounds:
    """Return the bounds of an earlier dataset's split rule, which must be `rule` otherwise.

    Raises:
        JobRefused: a dataset that was not stratified, or has another key, seed or other shares.
    """
    if split_rule is None or "class_bounds" not in split_rule:
        raise JobRefused(f"{place}: its manifest holds no bounds of classes; it was not published with --stratify")
    differing = [name for name, value in rule.to_json().items() if split_rule.get(name) != value]
    if differing:
        name = differing[0]
        raise JobRefused(
            f"{place}: its split has {name} {split_rule.get(name)}, this job {rule.to_json()[name]}; "
            "rows stay where they are only if both are the same"
        )
    return {name: tuple(ends) for name, ends in split_rule["class_bounds"].items()}


# Shares of a class are rounded as whole numbers of this, the same by Spark and here.
_PARTS = 1 << 20


def _with_bounds(rows: DataFrame, rule: SplitRule, label: str | None, bounds: Bounds) -> DataFrame:
    own = F.array(*(F.lit(end).cast("long") for end in rule.bounds(SCALE)))
    if label is None or not bounds:
        return rows.withColumn("__bounds", own)
    spark: SparkSession = rows.sparkSession
    known = spark.createDataFrame(
        [(name, list(ends)) for name, ends in sorted(bounds.items())], f"`{label}` string, __bounds array<long>"
    )
    joined = rows.join(F.broadcast(known), on=label, how="left")
    return joined.withColumn("__bounds", F.coalesce("__bounds", own))


def _rank(share: Column, names: Sequence[str], order: Sequence[str]) -> Column:
    column = F.lit(order.index(names[-1]))
    for index in reversed(range(len(names) - 1)):
        column = F.when(share < F.col("__bounds")[index], F.lit(order.index(names[index]))).otherwise(column)
    return column


def _with_units(rows: DataFrame, key: Column, linked_by: str, counts: Column, *, own_groups: bool) -> DataFrame:
    """Add `__unit`, equal for rows that belong together."""
    by_key, by_link = F.xxhash64(F.lit("key"), key), F.xxhash64(F.lit("link"), F.col(linked_by))
    linked = counts & F.col(linked_by).isNotNull()
    if not own_groups:
        return rows.withColumn("__unit", F.when(linked, by_link).otherwise(by_key))
    edges = rows.where(linked).select(by_key.alias("a"), by_link.alias("b")).distinct()
    components = connected_components(edges)
    joined = rows.withColumn("vertex", by_key).join(components, on="vertex", how="left")
    return joined.withColumn("__unit", F.coalesce("component", "vertex")).drop("vertex", "component")
