"""Rules that compare rows: outliers, unique values, references and duplicates."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.features.quantiles import quantiles
from prepare.ruled import RuledTable

pytestmark = pytest.mark.spark


def rows(*values: Any) -> list[dict[str, Any]]:
    return [{"id": index, "a": value} for index, value in enumerate(values)]


def test_the_newest_first_or_most_complete_duplicate_is_kept(spark: SparkSession, tmp_path: Path) -> None:
    table = [
        {"id": 0, "k": 1, "t": "2024-01-01", "x": None},
        {"id": 1, "k": 1, "t": "2024-01-03", "x": None},
        {"id": 2, "k": 1, "t": "2024-01-02", "x": 5},
        {"id": 3, "k": 2, "t": "2024-01-01", "x": None},
        {"id": 4, "k": None, "t": None, "x": None},
        {"id": 5, "k": None, "t": None, "x": None},
    ]
    for keep, winner in (("newest, by: t", 1), ("first, by: t", 0), ("most_complete", 2)):
        cleaned = RuledTable(spark, tmp_path, table, f"duplicates: {{key: k, keep: {keep}}}")
        assert cleaned.refused == dict.fromkeys({0, 1, 2} - {winner}, "duplicates")
    assert "'1'" in cleaned.details[0]


def test_the_winner_does_not_depend_on_the_order_of_rows(spark: SparkSession, tmp_path: Path) -> None:
    table = [{"id": index, "k": index % 5, "x": (index * 7) % 3} for index in range(60)]
    texts = [
        RuledTable(spark, tmp_path, order, "duplicates: {key: k, keep: first, by: x}").values("id")
        for order in (table, table[::-1])
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) == 5


def test_refused_rows_are_ignored_among_duplicates(spark: SparkSession, tmp_path: Path) -> None:
    table = [{"id": index, "k": 1, "x": value} for index, value in enumerate([-1, 3, 2])]
    cleaned = RuledTable(spark, tmp_path, table, "columns: {x: {range: {min: 0}}}\nduplicates: {key: k, keep: first, by: x}")
    assert cleaned.refused == {0: "x.range", 1: "duplicates"}


def test_all_rows_that_share_a_unique_value_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    cleaned = RuledTable(spark, tmp_path, rows("x", "y", "x", None, None), "columns: {a: {unique: true}}")
    assert cleaned.refused == {0: "a.unique", 2: "a.unique"}


def test_a_reference_must_occur_in_the_other_table(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "ports.csv").write_text("faa,name\nJFK,Kennedy\nJFK,again\n,none\n")
    rule = f"references: {{table: '{tmp_path}/ports.csv', column: faa"
    cleaned = RuledTable(spark, tmp_path, rows("JFK", "XXX", None), f"columns: {{a: {{{rule}}}}}}}")
    assert cleaned.refused == {1: "a.references"}
    assert cleaned.tally.found == 3
    filled = RuledTable(spark, tmp_path, rows("JFK", "XXX"), f"columns: {{a: {{{rule}, otherwise: fill, fill: EWR}}}}}}")
    assert filled.values("a") == ["JFK", "EWR"]
    with pytest.raises(JobRefused, match=r"a\.references: .*ports\.csv.*'code'.*faa, name"):
        RuledTable(
            spark, tmp_path, rows("JFK"), f"columns: {{a: {{references: {{table: '{tmp_path}/ports.csv', column: code}}}}}}"
        )


def test_values_beyond_the_quantiles_of_the_train_rows_are_outliers(spark: SparkSession, tmp_path: Path) -> None:
    values = [*range(1, 100), 10_000]
    cleaned = RuledTable(spark, tmp_path, rows(*values), "columns: {a: {outliers: {low: 0, high: 0.99, otherwise: fill}}}")
    assert (cleaned.bounds["a"].least, cleaned.bounds["a"].greatest) == (1, 99)
    assert cleaned.values("a") == [*range(1, 100), 99]
    assert dict(cleaned.tally.noted) == {"a.outliers": 1}


def test_outliers_by_the_median_and_its_deviation(spark: SparkSession, tmp_path: Path) -> None:
    values = [2013 + index % 5 for index in range(101)]
    cleaned = RuledTable(
        spark, tmp_path, rows(*values, 1890), "columns: {a: {outliers: {method: mad, times: 4, otherwise: refuse_row}}}"
    )
    median = float(np.quantile([*values, 1890], 0.5, method="inverted_cdf"))
    reach = 4 * 1.4826 * float(np.quantile(np.abs(np.array([*values, 1890]) - median), 0.5, method="inverted_cdf"))
    assert (cleaned.bounds["a"].least, cleaned.bounds["a"].greatest) == pytest.approx((median - reach, median + reach))
    assert cleaned.refused == {101: "a.outliers"}


def test_bounds_come_from_train_rows_only(spark: SparkSession, tmp_path: Path) -> None:
    made = RuledTable(spark, tmp_path, rows(*range(100)), "columns: {a: {outliers: {low: 0, high: 1}}}")
    split = made.rows.withColumn("split", F.when(F.col("a") < 50, F.lit("train")).otherwise(F.lit("test")))
    _, bounds = made.cleaner.outliers(split)
    assert (bounds["a"].least, bounds["a"].greatest) == (0, 49)


def test_an_unknown_column_is_refused_with_the_nearest_name(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match=r"column 'idd'.*'id'"):
        RuledTable(spark, tmp_path, rows(1), "columns: {idd: {not_null: true}}")
    with pytest.raises(JobRefused, match=r"duplicates.*'zzz'"):
        RuledTable(spark, tmp_path, rows(1), "duplicates: {key: zzz}")
    with pytest.raises(JobRefused, match=r"a\.outliers: .*string"):
        RuledTable(spark, tmp_path, rows("x"), "columns: {a: {outliers: mad}}")


def test_quantiles_are_values_of_the_column_and_do_not_depend_on_partitions(spark: SparkSession) -> None:
    generator = np.random.default_rng(5)
    values = np.concatenate([generator.normal(0, 1e3, 3000), generator.lognormal(0, 4, 2000), -generator.integers(0, 99, 500)])
    frame = spark.createDataFrame([(float(value), int(value)) for value in values] + [(float("nan"), None)], "x double, n int")
    shares = (0.0, 0.01, 0.25, 0.5, 0.9, 1.0)
    columns = {"x": F.col("x"), "n": F.col("n")}
    measured = quantiles(frame.repartition(7), columns, shares)
    assert measured == quantiles(frame.coalesce(1), columns, shares)
    exact = np.quantile(values, shares, method="inverted_cdf")
    assert np.allclose([measured["x"][share] for share in shares], exact, rtol=1 / 4096, atol=0)
    assert set(measured["x"].values()) <= set(values.tolist())
    assert measured["n"][0.5] == np.quantile(values.astype(int), 0.5, method="inverted_cdf")
