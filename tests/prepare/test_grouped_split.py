"""Splits whose groups stay whole, and classes that are divided to the row."""

import random
from collections import Counter
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import SplitRule
from bigdata_ml.prepare.split.by_group import Bounds, assign_grouped_split, bounds_from_json, class_bounds

pytestmark = pytest.mark.spark

RULE = SplitRule(key=("key",), fractions=(("train", 0.7), ("validation", 0.1), ("test", 0.2)))
RANK = {"train": 0, "validation": 1, "test": 2}
Row = tuple[int, str, int | None, str]


def made(seed: int, rows: int, *, keys: int, links: int) -> list[Row]:
    """Rows of (id, key, link or none, label): keys and links group some of them, and chains of both more."""
    draw = random.Random(seed)
    linked = [draw.randrange(links) if draw.random() < 0.3 else None for _ in range(rows)]
    return [(index, f"key {draw.randrange(keys)}", linked[index], draw.choice("aaab")) for index in range(rows)]


def divided(spark: SparkSession, rows: list[Row], *, bounds: Bounds | None = None, own_groups: bool = True) -> dict[int, Any]:
    frame = spark.createDataFrame(rows, "id long, key string, link long, label string").repartition(3)
    split = assign_grouped_split(frame, RULE, linked_by="link", own_groups=own_groups, label="label", bounds=bounds)
    found = {row["id"]: row for row in split.collect()}
    assert found.keys() == {row[0] for row in rows}
    return found


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_one_key_or_one_link_are_never_separated(spark: SparkSession, seed: int) -> None:
    rows = made(seed, 300, keys=150, links=40)
    found = divided(spark, rows)
    for column in (1, 2):
        groups: dict[Any, set[str]] = {}
        for row in rows:
            if row[column] is not None:
                groups.setdefault(row[column], set()).add(found[row[0]]["split"])
        assert all(len(splits) == 1 for splits in groups.values())
    assert {row["split"] for row in found.values()} == set(RANK)


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_are_added_move_others_only_away_from_train(spark: SparkSession, seed: int) -> None:
    rows = made(seed, 200, keys=120, links=30)
    more = [(1000 + index, *row[1:]) for index, row in enumerate(made(seed + 50, 100, keys=180, links=30))]
    before, after = divided(spark, rows), divided(spark, rows + more)  # type: ignore[arg-type]
    assert all(RANK[after[one]["split"]] >= RANK[row["split"]] for one, row in before.items())
    keys = Counter(row[1] for row in rows + more)
    # Whatever is linked to nothing stays.
    alone = [row[0] for row in rows if row[2] is None and keys[row[1]] == 1]
    assert alone
    assert all(after[one]["split"] == before[one]["split"] for one in alone)


def test_a_row_without_company_goes_where_its_own_hash_says(spark: SparkSession) -> None:
    rows = [(index, f"{index}", None, "a") for index in range(2000)]
    found = divided(spark, rows, own_groups=False)
    counts = Counter(row["split"] for row in found.values())
    assert not any(row["moved"] for row in found.values())
    # Four standard deviations of a binomial.
    assert all(abs(counts[name] - 2000 * share) < 4 * (2000 * share * (1 - share)) ** 0.5 for name, share in RULE.fractions)


def test_rows_that_their_company_moved_are_told(spark: SparkSession) -> None:
    alone = divided(spark, [(index, f"{index}", None, "a") for index in range(60)], own_groups=False)
    paired = divided(spark, [(index, f"{index}", index // 2, "a") for index in range(60)], own_groups=False)
    assert {one for one, row in paired.items() if row["moved"]} == {
        one for one, row in paired.items() if row["split"] != alone[one]["split"]
    }
    assert any(row["moved"] for row in paired.values())


@pytest.mark.parametrize("own_groups", [True, False])
def test_rows_that_do_not_vote_get_no_split_and_move_none(spark: SparkSession, own_groups: bool) -> None:
    keys = 150 if own_groups else 10_000_000
    rows, silent = made(1, 200, keys=keys, links=40), made(2, 200, keys=keys, links=40)
    alone = divided(spark, rows, own_groups=own_groups)
    schema = "id long, key string, link long, label string, votes boolean"
    frame = spark.createDataFrame([(*one, True) for one in rows] + [(one[0] + 1000, *one[1:], False) for one in silent], schema)
    split = assign_grouped_split(frame, RULE, linked_by="link", own_groups=own_groups, voting="votes")
    found = {row["id"]: (row["split"], row["moved"]) for row in split.collect()}
    assert {one: found.pop(one) for one in alone} == {one: (row["split"], row["moved"]) for one, row in alone.items()}
    assert len(found) == 200
    assert {*found.values()} == {(None, False)}


def bounds_of(spark: SparkSession, rows: list[Row], known: Bounds | None = None) -> dict[str, tuple[int, ...]]:
    frame = spark.createDataFrame(rows, "id long, key string, link long, label string").repartition(3)
    return class_bounds(frame, RULE, label="label", known=known)


def test_each_class_is_divided_by_the_shares_to_the_row(spark: SparkSession) -> None:
    sizes = {"a": 200, "b": 30, "c": 10, "d": 1}
    rows = [(index, f"{label} {index}", None, label) for label, size in sizes.items() for index in range(size)]
    rows = [(place, *row[1:]) for place, row in enumerate(rows)]
    found = divided(spark, rows, bounds=bounds_of(spark, rows), own_groups=False)
    for label, size in sizes.items():
        counts = Counter(found[row[0]]["split"] for row in rows if row[3] == label)
        assert all(abs(counts[name] - size * share) <= 1 for name, share in RULE.fractions), (label, counts)


def test_bounds_that_are_kept_move_no_row_and_give_new_classes_bounds_of_their_own(spark: SparkSession) -> None:
    rows = [(index, f"{index}", None, "a") for index in range(50)]
    more = [(index, f"{index}", None, "ab"[index % 2]) for index in range(50, 130)]
    bounds = bounds_of(spark, rows)
    kept = bounds_of(spark, rows + more, bounds)
    assert kept["a"] == bounds["a"]
    assert bounds_of(spark, rows + more)["a"] != bounds["a"]
    before = divided(spark, rows, bounds=bounds, own_groups=False)
    after = divided(spark, rows + more, bounds=kept, own_groups=False)
    assert all(after[one]["split"] == row["split"] for one, row in before.items())
    new = Counter(after[row[0]]["split"] for row in more if row[3] == "b")
    assert all(abs(new[name] - 40 * share) <= 1 for name, share in RULE.fractions)


def test_bounds_of_another_split_are_refused() -> None:
    written = {**RULE.to_json(), "class_bounds": {"a": [1, 2]}}
    assert bounds_from_json(written, RULE, "/data/old") == {"a": (1, 2)}
    with pytest.raises(JobRefused, match="/data/old: its split has seed 0, this job 5"):
        bounds_from_json(written, SplitRule(key=("key",), fractions=RULE.fractions, seed=5), "/data/old")
    with pytest.raises(JobRefused, match="not published with --stratify"):
        bounds_from_json(RULE.to_json(), RULE, "/data/old")
