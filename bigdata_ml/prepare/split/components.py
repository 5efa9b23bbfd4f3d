"""Connected components of a graph: on the driver while there are few edges, else by Spark.

By Spark it is the alternating large and small stars of Kiveris et al. 2014 ("Connected components in MapReduce and beyond").
No vertex's neighbours are ever collected in one place.
"""

import numpy as np
import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused

__all__ = ["connected_components"]

# So many edges are 16 MiB on the driver, and done in a second; by Spark each round is several jobs.
_FEW_EDGES = 1 << 20
# Rounds grow with the logarithm of a component's diameter.
_MOST_ROUNDS = 40


def connected_components(edges: DataFrame, *, few: int = _FEW_EDGES) -> DataFrame:
    """Return each vertex of `edges` (a, b: long) as `vertex`, with its component's smallest vertex as `component`.

    Runs Spark jobs: two for up to `few` edges, else a few each round. What a round found is kept in two places, so that one lost
    executor does not stop the job.

    Raises:
        JobRefused: not done after 40 rounds.
    """
    edges = _ordered(edges)
    if edges.limit(few + 1).count() <= few:
        return _on_the_driver(edges)
    return _by_stars(edges)


def _on_the_driver(edges: DataFrame) -> DataFrame:
    edge_table = edges.toArrow()
    ends = np.stack([edge_table.column(name).to_numpy() for name in ("a", "b")])
    # Numbered in their order, so that the smallest number is the smallest vertex.
    vertices, numbers = np.unique(ends, return_inverse=True)
    left, right = numbers.reshape(ends.shape)
    least = np.arange(len(vertices))
    while True:
        both = np.minimum(least[left], least[right])
        lower = least.copy()
        np.minimum.at(lower, least[left], both)
        np.minimum.at(lower, least[right], both)
        lower = lower[lower]
        if np.array_equal(lower, least):
            break
        least = lower
    table = pa.table({"vertex": vertices, "component": vertices[least]})
    return edges.sparkSession.createDataFrame(table)


def _by_stars(edges: DataFrame) -> DataFrame:
    stars, before = edges, None
    for _ in range(_MOST_ROUNDS):
        stars = _kept(_small_stars(_large_stars(stars)))
        now = stars.agg(F.count(F.lit(1)), F.sum(F.xxhash64("a", "b").cast("decimal(38,0)"))).collect()[0]
        if now == before:
            centres = stars.select(F.col("a").alias("vertex"), F.col("a").alias("component"))
            return stars.select(F.col("b").alias("vertex"), F.col("a").alias("component")).union(centres).distinct()
        before = now
    raise JobRefused(f"the groups of near duplicates are not found after {_MOST_ROUNDS} rounds; give a smaller --near-distance")


def _ordered(edges: DataFrame) -> DataFrame:
    """Return each edge once, a < b."""
    edges = edges.where("a <> b")
    return edges.select(F.least("a", "b").alias("a"), F.greatest("a", "b").alias("b")).distinct()


def _large_stars(edges: DataFrame) -> DataFrame:
    """Connect each vertex's greater neighbours to the smallest of itself and its neighbours."""
    both = edges.select(F.col("a").alias("u"), F.col("b").alias("v")).union(edges.select(F.col("b").alias("u"), "a"))
    least = both.groupBy("u").agg(F.min("v").alias("m"))
    joined = both.join(least, on="u", how="inner").where("v > u")
    return _ordered(joined.select(F.least("u", "m").alias("a"), F.col("v").alias("b")))


def _small_stars(edges: DataFrame) -> DataFrame:
    """Connect each vertex and its smaller neighbours to the smallest of these."""
    least = edges.groupBy("b").agg(F.min("a").alias("m"))
    joined = edges.join(least, on="b", how="inner")
    return _ordered(joined.select(F.col("m").alias("a"), "b").union(joined.select(F.col("m"), F.col("a"))))


def _kept(edges: DataFrame) -> DataFrame:
    # Cuts the plan, which would double with every round.
    return edges.localCheckpoint(eager=True, storageLevel=StorageLevel.MEMORY_AND_DISK_2)
