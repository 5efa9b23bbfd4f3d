"""Groups of near duplicates: which images belong together, which of them is kept, and what is said of the others."""

from typing import Literal

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from bigdata_ml.prepare.images.duplicates.exact import ConflictPolicy
from bigdata_ml.prepare.images.duplicates.near_pairs import near_pairs
from bigdata_ml.prepare.split.components import connected_components

__all__ = ["NearPolicy", "judge_near_duplicates", "largest_near_groups", "with_near_groups"]

NearPolicy = Literal["group", "refuse", "ignore"]


def with_near_groups(images: DataFrame, *, distance: int, count: int) -> tuple[DataFrame, int]:
    """Return the images with `linked` and `near`, and how many crowds of hashes were not compared in full; runs Spark jobs.

    `linked` (long) is equal for images that look alike: those that a chain of pairs connects, each differing in at most
    `distance` of 64 bits. `near` is the same of those that are not refused, and null for images like which there is no other
    such one. `images` has `looks_like` (long or null), `reason`, and `voting`: whether a row counts, be it refused; `count` says
    about how many images there are.
    """
    hashes = images.where(_has_looks()).select(F.col("looks_like").alias("hash")).distinct()
    pairs = near_pairs(hashes, distance=distance, count=count).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        counts = pairs.agg(F.count(F.lit(1)).alias("rows"), F.count("b").alias("pairs")).collect()[0]
        linked = F.col("looks_like")
        joined = images
        if counts["pairs"]:
            # Images without a hash are dealt out by their path, or one task would get them all.
            by_hash = images.withColumn("vertex", F.coalesce("looks_like", F.xxhash64("path")))
            joined = by_hash.join(connected_components(pairs.where("b is not null")), on="vertex", how="left")
            linked = F.coalesce("component", "looks_like")
        grouped = joined.withColumn("linked", F.when(_has_looks(), linked))
        grouped = grouped.withColumn("near", F.when(F.col("reason").isNull(), F.col("linked")))
        others = F.count(F.lit(1)).over(_group()) > 1
        grouped = grouped.withColumn("near", F.when(others, F.col("near")))
        return grouped.drop("component", "vertex"), counts["rows"] - counts["pairs"]
    finally:
        pairs.unpersist()


def judge_near_duplicates(images: DataFrame, *, policy: NearPolicy, conflicts: ConflictPolicy) -> DataFrame:
    """Decide about images that look alike (`near`).

    `group` keeps them and adds `near_duplicate` to their `warnings`, and `near_label_conflict` where they have different
    labels. `refuse` keeps the one with the most pixels (of equal ones the first by path) and refuses the others as
    `near_duplicate`; where they have different labels, `conflicts` says what is done: `refuse` refuses all of them as
    `label_conflict`, `first` those labelled otherwise than the kept one, `warn` keeps one of each label.
    """
    if policy == "ignore":
        return images
    alike = F.col("near").isNotNull() & F.col("reason").isNull()
    group = _group()
    several = alike & (F.min("label").over(group) != F.max("label").over(group))
    if policy == "group":
        names = F.array_compact(F.array(F.when(alike, F.lit("near_duplicate")), F.when(several, F.lit("near_label_conflict"))))
        return images.withColumn("warnings", F.concat("warnings", names))
    among = _group("label") if conflicts == "warn" else group
    best = F.first(F.struct("path", "label", "looks_like")).over(among.orderBy(F.desc("source_pixels"), "path"))
    images = images.withColumns({"__several": several, "__best": best})
    conflict = {
        "refuse": F.col("__several"),
        "first": F.col("__several") & (F.col("label") != F.col("__best.label")),
        "warn": F.lit(False),
    }[conflicts]
    again = alike & (F.col("path") != F.col("__best.path"))
    bits = F.bit_count(F.col("looks_like").bitwiseXOR(F.col("__best.looks_like"))).cast("string")
    looks = F.concat(F.lit("looks like "), F.col("__best.path"), F.lit(" (differs in "), bits, F.lit(" of 64 bits)"))
    labelled = F.concat(
        F.lit("it is labelled "),
        F.col("label"),
        F.lit(" and looks like images with other labels, such as "),
        F.col("__best.path"),
    )
    noticed = F.array_append("warnings", F.lit("near_label_conflict"))
    judged = images.withColumns(
        {
            "reason": F.when(conflict, F.lit("label_conflict")).when(again, F.lit("near_duplicate")).otherwise(F.col("reason")),
            "detail": F.when(conflict, labelled).when(again, looks).otherwise(F.col("detail")),
            "warnings": F.when(several & ~conflict & ~again, noticed).otherwise(F.col("warnings")),
        }
    )
    return judged.drop("__several", "__best")


def largest_near_groups(images: DataFrame, *, groups: int, members: int) -> list[list[str]]:
    """Return paths of the largest groups of kept near duplicates, the largest first, some members of each; runs Spark jobs."""
    alike = images.where(F.col("near").isNotNull() & F.col("reason").isNull())
    sizes = alike.groupBy("near").agg(F.count(F.lit(1)).alias("size"), F.min("path").alias("first")).where("size > 1")
    largest = sizes.orderBy(F.desc("size"), "first").limit(groups)
    place = F.row_number().over(Window.partitionBy("near").orderBy("path"))
    shown = alike.join(F.broadcast(largest), on="near", how="inner").withColumn("place", place).where(F.col("place") <= members)
    paths_by_group: dict[tuple[int, str], list[str]] = {}
    for row in shown.select("size", "first", "path").collect():
        paths_by_group.setdefault((-row["size"], row["first"]), []).append(row["path"])
    return [sorted(paths_by_group[group]) for group in sorted(paths_by_group)]


def _has_looks() -> Column:
    return F.col("voting") & F.col("looks_like").isNotNull()


def _group(*also: str) -> WindowSpec:
    # Images of no group are dealt out by their path, or one task would get them all.
    return Window.partitionBy("near", *also, F.when(F.col("near").isNull(), F.col("path")))
