"""Connected components, by both ways, against a search that visits every vertex."""

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from pyspark.sql import SparkSession

from bigdata_ml.prepare.split.components import connected_components

pytestmark = pytest.mark.spark


def searched(edges: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Each vertex's smallest reachable vertex, found by walking."""
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    found: dict[int, int] = {}
    for start in sorted(neighbours):
        waiting = [start]
        while waiting:
            vertex = waiting.pop()
            if vertex not in found:
                found[vertex] = start
                waiting += neighbours[vertex]
    return found


def found(spark: SparkSession, edges: list[tuple[int, int]], few: int) -> dict[int, int]:
    rows = connected_components(spark.createDataFrame(edges, "a long, b long"), few=few).collect()
    assert len(rows) == len({row["vertex"] for row in rows})
    return {row["vertex"]: row["component"] for row in rows}


@pytest.mark.parametrize("few", [0, 1000], ids=["by stars", "on the driver"])
def test_components_are_those_of_a_search(spark: SparkSession, few: int) -> None:
    rng = np.random.default_rng(few)
    # 64-bit ends of both signs, sparse enough for many components, each edge in either direction and some twice.
    vertices = rng.integers(-(2**63), 2**63 - 1, 60)
    edges = [(int(a), int(b)) for a, b in rng.choice(vertices, (45, 2)) if a != b]
    edges += [(b, a) for a, b in edges[:10]] + edges[:5]
    assert found(spark, edges, few) == searched(edges)


@pytest.mark.long
@pytest.mark.parametrize("few", [0, 1000], ids=["by stars", "on the driver"])
def test_a_long_chain_is_one_component(spark: SparkSession, few: int) -> None:
    order = np.random.default_rng(1).permutation(60).tolist()
    chain = list(pairwise(order))
    assert set(found(spark, chain, few).values()) == {0}


def test_a_graph_without_edges_has_no_components(spark: SparkSession) -> None:
    assert found(spark, [], 1000) == {}
