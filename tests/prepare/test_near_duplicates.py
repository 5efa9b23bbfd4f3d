"""Pairs of hashes that differ in few bits, against comparing all with all."""

import numpy as np
import pytest
from pyspark.sql import SparkSession

from bigdata_ml.prepare.images.duplicates.near_pairs import near_pairs

pytestmark = pytest.mark.spark


def hashes_with_neighbours(seed: int, hashes: int) -> np.ndarray:
    """Random hashes, and of each one that differs in 0 … 15 of 64 bits."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 2**64 - 1, hashes, np.uint64, endpoint=True)
    masks = [sum(1 << int(bit) for bit in rng.choice(64, index % 16, replace=False)) for index in range(hashes)]
    return np.unique(np.concatenate([first, first ^ np.array(masks, np.uint64)])).view(np.int64)


def compared(hashes: np.ndarray, distance: int) -> set[tuple[int, int]]:
    """All pairs, by comparing all with all."""
    apart = np.bitwise_count(hashes.view(np.uint64)[:, None] ^ hashes.view(np.uint64)[None, :])
    return {(int(min(hashes[i], hashes[j])), int(max(hashes[i], hashes[j]))) for i, j in np.argwhere(apart <= distance) if i != j}


def found(spark: SparkSession, hashes: np.ndarray, **options: int) -> list[tuple[int, int | None]]:
    rows = spark.createDataFrame([(int(one),) for one in hashes], "hash long").repartition(3)
    return [(row["a"], row["b"]) for row in near_pairs(rows, **options).collect()]


@pytest.fixture(params=["one task", "many tasks"])
def few(request: pytest.FixtureRequest) -> int:
    """The most filed hashes that one task compares: all of them, or none."""
    return 1 << 62 if request.param == "one task" else -1


@pytest.mark.parametrize(("distance", "count"), [(0, 10), (3, 10), (6, 10), (6, 10**6), (6, 10**8), (12, 10**5)])
def test_no_pair_is_missed_and_none_found_twice(spark: SparkSession, distance: int, count: int, few: int) -> None:
    hashes = hashes_with_neighbours(distance, 150)
    pairs = found(spark, hashes, distance=distance, count=count, few=few)
    assert set(pairs) == compared(hashes, distance)
    assert len(pairs) == len(set(pairs))


def test_batches_and_partitions_change_nothing(spark: SparkSession, few: int) -> None:
    hashes = hashes_with_neighbours(5, 150)
    before = spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch")
    try:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "7")
        assert set(found(spark, hashes, distance=6, count=300, few=few)) == compared(hashes, 6)
    finally:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(before))


def test_a_crowd_costs_a_constant_number_of_comparisons_each_and_is_told(spark: SparkSession, few: int) -> None:
    # 200 hashes that agree in all but their last 8 bits: all of them lie under one key.
    hashes = np.arange(200, dtype=np.int64)
    pairs = found(spark, hashes, distance=2, count=200, reach=20, few=few)
    crowds = [pair for pair in pairs if pair[1] is None]
    near = {pair for pair in pairs if pair[1] is not None}
    assert crowds
    assert near < compared(hashes, 2)
    assert {(one, one + 1) for one in range(0, 200, 2)} <= near


def test_without_a_crowd_none_is_told(spark: SparkSession, few: int) -> None:
    hashes = np.arange(21, dtype=np.int64)
    pairs = found(spark, hashes, distance=2, count=21, reach=20, few=few)
    assert set(pairs) == compared(hashes, 2)


def test_one_task_finds_what_many_find_in_crowds_larger_than_what_it_compares_at_once(spark: SparkSession) -> None:
    hashes = np.arange(20_000, dtype=np.int64)
    options = {"distance": 1, "count": 20_000, "reach": 8}
    alone = found(spark, hashes, few=1 << 62, **options)
    assert sorted(alone, key=str) == sorted(found(spark, hashes, few=-1, **options), key=str)
    assert {(one, one + 1) for one in range(0, 20_000, 2)} <= set(alone)
