"""Feature selection: reasons, kept columns, and the AUC of a real wide table with a tenth of its columns."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.layout import QUALITY, QUALITY_NUMBERS
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import SplitRule, TableJob, assign_split, prepare_table
from bigdata_ml.prepare.features.leakage import errors_avoided, label_leaks
from bigdata_ml.prepare.features.selection.select import select_features
from bigdata_ml.prepare.features.selection.verdicts import FeatureSelection, FeatureTable
from prepare.wide_table import grants

pytestmark = pytest.mark.spark

ROWS = 600


def example_table() -> pa.Table:
    """Useless columns of every kind, and two that predict the label."""
    draw = np.random.default_rng(3)
    signal, weak = draw.normal(size=ROWS), draw.normal(size=ROWS)
    y = signal + 0.5 * weak + draw.normal(scale=0.4, size=ROWS) > 0
    return pa.table(
        {
            "y": y,
            "signal": signal,
            "weak": weak,
            "copy": signal,
            "near": signal * 3 + draw.normal(scale=1e-3, size=ROWS),
            "seven": [7] * ROWS,
            "null": pa.nulls(ROWS, pa.float64()),
            "almost_zero": [0] * (ROWS - 2) + [1, 1],
            "mostly_null": [1.5 if index % 40 == 0 else None for index in range(ROWS)],
            "noise": draw.normal(size=ROWS),
            "worded": [("yes" if positive else "no") if index % 3 else "perhaps" for index, positive in enumerate(y)],
            "list": [[index] for index in range(ROWS)],
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("features")
    pq.write_table(example_table(), place / "t.parquet")
    return place


def placed(spark: SparkSession, path: Path) -> DataFrame:
    rows = spark.read.parquet(str(path))
    hashed = rows.transform(assign_split, SplitRule(key=tuple(rows.columns)), mix_by=rows.columns)
    return hashed.repartition(2, "__place").sortWithinPartitions("__place").persist()


@pytest.fixture(scope="module")
def table(spark: SparkSession, place: Path) -> FeatureTable:
    rows = placed(spark, place / "t.parquet")
    columns = [name for name in example_table().column_names if name != "y"]
    return select_features(rows, columns, FeatureSelection(keep=4, trees=10), label="y", classes=True)


def test_each_useless_column_is_dropped_with_its_reason(table: FeatureTable) -> None:
    reasons = {
        verdict.column: verdict.reason
        for verdict in table.verdicts
        if not verdict.kept and verdict.column not in ("signal", "near")
    }
    beginnings = {
        "copy": "copy: of signal",
        "seven": "constant",
        "null": "constant",
        "almost_zero": "nearly constant: 99.67%",
        "mostly_null": "mostly null: 97.5%",
        "noise": "ranked too low: rank 4, 3 ",
    }
    assert reasons.keys() == beginnings.keys()
    assert [name for name in reasons if not reasons[name].startswith(beginnings[name])] == []


def test_one_of_two_correlated_columns_is_kept(table: FeatureTable) -> None:
    by_name = {verdict.column: verdict for verdict in table.verdicts}
    (dropped,) = [by_name[name] for name in ("signal", "near") if not by_name[name].kept]
    kept = "near" if dropped.column == "signal" else "signal"
    assert dropped.reason == f"correlated: 1.000 with {kept}"


def test_kept_columns_are_ranked_with_their_tests(table: FeatureTable) -> None:
    kept = {verdict.column: verdict for verdict in table.verdicts if verdict.kept}
    assert set(kept) - {"signal", "near"} == {"weak", "worded", "list"}
    assert kept["worded"].test == "chi-square"
    assert kept["weak"].test == "anova"
    assert kept["weak"].p is not None
    assert kept["weak"].p < 1e-6
    assert kept["list"].reason.startswith("not judged: ")
    ranks = [verdict.rank for verdict in table.verdicts if verdict.rank is not None and verdict.kept]
    assert ranks == sorted(ranks)


def test_the_verdicts_are_data(table: FeatureTable) -> None:
    assert table.to_arrow().num_rows == len(table.verdicts) == 11
    assert json.loads(json.dumps(table.to_json()))[0]["kept"] is True
    assert table.reasons()["constant"] == 2


def test_a_number_to_predict_is_tested_by_regression(spark: SparkSession, place: Path) -> None:
    rows = placed(spark, place / "t.parquet").withColumn("target", F.col("signal") * 2 + F.col("noise") / 50)
    selected = select_features(
        rows, ["weak", "signal", "noise"], FeatureSelection(keep=1, trees=5), label="target", classes=False
    )
    assert selected.kept == ("signal",)
    assert selected.verdicts[0].test == "f-value"


def test_a_selection_without_informative_columns_is_refused(spark: SparkSession, place: Path) -> None:
    rows = placed(spark, place / "t.parquet")
    with pytest.raises(JobRefused, match=r"none of 2 columns .*: 2 constant"):
        select_features(rows, ["seven", "null"], FeatureSelection(keep=1), label="y", classes=True)


@pytest.mark.parametrize(("text", "columns", "wanted"), [("10%", 1502, 150), ("120", 1502, 120), ("0.5%", 100, 1), ("1", 9, 1)])
def test_the_number_of_kept_columns_is_a_number_or_a_share(text: str, columns: int, wanted: int) -> None:
    assert FeatureSelection.parse(text).wanted(columns) == wanted


@pytest.mark.parametrize("text", ["", "x", "0", "-3", "1.5", "0%"])
def test_an_invalid_selection_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="columns"):
        FeatureSelection.parse(text)


def test_the_job_keeps_the_features_and_shows_reasons_and_leaks(spark: SparkSession, place: Path) -> None:
    leaking = (
        example_table().drop_columns("list").append_column("outcome", pa.array([f"{label}!" for label in example_table()["y"]]))
    )
    pq.write_table(leaking, place / "late.parquet")
    job = TableJob(source=f"{place}/late.parquet", dataset=f"{place}/out", label="y", select_features="3", min_count=2)
    manifest = prepare_table(spark, job)
    dataset = Dataset.open(f"{place}/out")
    assert len(dataset.schema.names) == 4
    assert "outcome" in dataset.schema.names
    assert dict(manifest.provenance["tells_the_label"]) == {"outcome": 1.0}
    numbers: dict[str, Any] = json.loads((dataset.location / QUALITY_NUMBERS).read_bytes())
    assert {record["column"]: record["reason"] for record in numbers["features"]}["seven"] == "constant"
    page = (dataset.location / QUALITY).read_bytes().decode()
    assert "outcome" in page
    assert "nearly constant" in page
    numeric = next(name for name in dataset.schema.names if name in ("signal", "near", "weak"))
    train = np.array([row[0] for row in spark.read.parquet(f"{place}/out/split=train").select(numeric).collect()])
    quantiles = manifest.statistics[numeric].quantiles
    assert quantiles["0.5"] == pytest.approx(np.quantile(train, 0.5, method="inverted_cdf"), rel=1 / 4096)


def test_label_leaks_of_any_type_are_found(spark: SparkSession, place: Path) -> None:
    rows = placed(spark, place / "t.parquet").select(
        "*",
        F.concat(F.lit("was "), F.col("y").cast("string")).alias("word"),
        (F.col("y").cast("int") * 2.0 + F.rand(1)).alias("number"),
        F.monotonically_increasing_id().alias("id"),
    )
    leaks = label_leaks(rows, "y", ["word", "number", "signal", "id", "noise", "worded"])
    assert [leak.column for leak in leaks] == ["number", "word"]


def test_an_identifier_is_not_a_leak() -> None:
    draw = np.random.default_rng(1)
    classes = draw.integers(0, 2, 2000)
    learn = np.arange(2000) % 2 == 0
    assert errors_avoided(pa.array([f"id {index}" for index in range(2000)]), classes, learn) < 0.05
    assert errors_avoided(pa.array(classes), classes, learn) == 1.0
    assert errors_avoided(pa.array(classes), np.zeros(2000, int), learn) == 0.0


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_real_wide_table_keeps_its_auc_with_a_tenth_of_its_columns(spark: SparkSession, tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    pq.write_table(grants(), tmp_path / "grants.parquet")
    rows = placed(spark, tmp_path / "grants.parquet")
    columns = [name for name in grants().column_names if name != "class"]
    train = rows.where("split = 'train'")
    selected = select_features(train, columns, FeatureSelection.parse("10%"), label="class", classes=True)
    table = rows.toArrow()
    learn = np.array(table["split"].to_pylist()) == "train"
    y = np.array(table["class"].to_pylist()) == "successful"

    def auc(names: list[str]) -> float:
        matrix = np.column_stack([_numbers(table[name]) for name in names])
        model = HistGradientBoostingClassifier(random_state=0).fit(matrix[learn], y[learn])
        return float(roc_auc_score(y[~learn], model.predict_proba(matrix[~learn])[:, 1]))

    whole, kept = auc(columns), auc(list(selected.kept))
    print(f"ROC-AUC of {len(columns)} columns {whole:.4f}, of {len(selected.kept)} kept {kept:.4f}")
    assert len(selected.kept) <= len(columns) // 10
    assert whole > 0.9
    assert kept > whole - 0.01


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_string(column.type):
        return np.unique(np.array(column.to_pylist(), dtype=str), return_inverse=True)[1].astype(float)
    return np.asarray(column.to_numpy(), dtype=float)
