"""Precision and recall of rules on faults injected into real tables, as the example prints them."""

import hashlib
import sys
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from prepare.fetched import npm_files

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples/dirty_tables"))

from measure_faults import COPIES, EACH, FAULTS, Measured, measure, print_table  # noqa: E402
from table_faults import Fault, inject  # noqa: E402

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def movies() -> Path:
    """movies.json of the npm package vega-datasets, kept outside the repository."""
    path = npm_files("vega-datasets", "3.2.1", "data/movies.json") / "movies.json"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == "e63c499759e3b07b49563e036f55290f87feb56def8703ec049ca305ab1523d3"
    return path


def check(measured: list[Measured], name: str, *, imprecise: tuple[str, ...] = ()) -> None:
    print_table(measured)
    assert len(measured) == len(FAULTS[name]) + bool(COPIES[name])
    assert all(fault.injected > EACH[name] / 2 for fault in measured)
    assert {fault.fault for fault in measured if fault.recall < 1} == set()
    assert {fault.fault for fault in measured if fault.precision < 1} == set(imprecise)


def test_injected_values_are_wrong() -> None:
    columns = {"n": [0, 1, None, 2]}
    (hundredfold, _) = inject(
        columns, [Fault("hundredfold", "n", lambda value: str(100 * value), "n.range")], each=9, copies=0, seed=1
    )
    assert dict(hundredfold.right) == {1: 1, 3: 2}
    assert columns["n"] == [0, "100", None, "200"]


@pytest.mark.slow
def test_every_fault_of_a_tenth_of_the_flights_is_found_and_nothing_else(spark: SparkSession, tmp_path: Path) -> None:
    check(measure(spark, "flights", tmp_path, every=10), "flights")


@pytest.mark.long
def test_every_fault_of_the_whole_flights_is_found_and_nothing_else(spark: SparkSession, tmp_path: Path) -> None:
    check(measure(spark, "flights", tmp_path), "flights")


@pytest.mark.long
def test_every_fault_of_a_table_of_1503_columns_is_found(spark: SparkSession, tmp_path: Path) -> None:
    check(measure(spark, "grants", tmp_path), "grants", imprecise=("total a hundred times too large",))


@pytest.mark.long
def test_every_fault_of_the_movies_is_found_and_nothing_else(spark: SparkSession, tmp_path: Path, movies: Path) -> None:
    check(measure(spark, "movies", tmp_path, movies=movies), "movies")
