"""Feature selection: why columns go, what stays, and that a real wide table keeps its AUC with a tenth of its columns."""

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
from bigdata_ml.prepare.features.leakage import label_leaks, told
from bigdata_ml.prepare.features.selection.select import FeatureSelection, FeatureTable, select_features
from prepare.wide_table import grants

pytestmark = pytest.mark.spark

ROWS = 600


def made_table() -> pa.Table:
    """Columns of every kind of uselessness beside two that tell the label."""
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
            "one": [7] * ROWS,
            "nothing": pa.nulls(ROWS, pa.float64()),
            "almost_one": [0] * (ROWS - 2) + [1, 1],
            "mostly_null": [1.5 if index % 40 == 0 else None for index in range(ROWS)],
            "noise": draw.normal(size=ROWS),
            "worded": [("yes" if one else "no") if index % 3 else "perhaps" for index, one in enumerate(y)],
            "list": [[index] for index in range(ROWS)],
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("features")
    pq.write_table(made_table(), place / "t.parquet")
    return place


def placed(spark: SparkSession, path: Path) -> DataFrame:
    rows = spark.read.parquet(str(path))
    hashed = rows.transform(assign_split, SplitRule(key=tuple(rows.columns)), mix_by=rows.columns)
    return hashed.repartition(2, "__place").sortWithinPartitions("__place").persist()


@pytest.fixture(scope="module")
def table(spark: SparkSession, place: Path) -> FeatureTable:
    rows = placed(spark, place / "t.parquet")
    columns = [name for name in made_table().column_names if name != "y"]
    return select_features(rows, columns, FeatureSelection(keep=4, trees=10), label="y", classes=True)


def test_each_useless_column_goes_for_its_reason(table: FeatureTable) -> None:
    reasons = {one.column: one.reason for one in table.verdicts if not one.kept and one.column not in ("signal", "near")}
    assert reasons == {
        "copy": "copy: of signal",
        "one": "constant",
        "nothing": "constant",
        "almost_one": "nearly constant: 99.67% of the values are one",
        "mostly_null": "mostly null: 97.5%",
        "noise": "ranked too low: place 4, 3 were asked for",
    }


def test_of_two_correlated_columns_one_stays(table: FeatureTable) -> None:
    by_name = {one.column: one for one in table.verdicts}
    (gone,) = [by_name[name] for name in ("signal", "near") if not by_name[name].kept]
    other = "near" if gone.column == "signal" else "signal"
    assert gone.reason == f"correlated: 1.000 with {other}"


def test_what_stays_is_ranked_with_its_tests(table: FeatureTable) -> None:
    kept = {one.column: one for one in table.verdicts if one.kept}
    assert set(kept) - {"signal", "near"} == {"weak", "worded", "list"}
    assert kept["worded"].test == "chi-square"
    assert kept["weak"].test == "anova"
    assert kept["weak"].p is not None
    assert kept["weak"].p < 1e-6
    assert kept["list"].reason == "not judged: of a type that no test takes"
    ranks = [one.rank for one in table.verdicts if one.rank is not None and one.kept]
    assert ranks == sorted(ranks)


def test_the_verdicts_are_data(table: FeatureTable) -> None:
    assert table.to_arrow().num_rows == len(table.verdicts) == 11
    assert json.loads(json.dumps(table.to_json()))[0]["kept"] is True
    assert table.reasons()["constant"] == 2


def test_a_number_to_predict_is_tested_by_regression(spark: SparkSession, place: Path) -> None:
    rows = placed(spark, place / "t.parquet").withColumn("target", F.col("signal") * 2 + F.col("noise") / 50)
    found = select_features(rows, ["weak", "signal", "noise"], FeatureSelection(keep=1, trees=5), label="target", classes=False)
    assert found.kept == ("signal",)
    assert found.verdicts[0].test == "f-value"


def test_nothing_that_tells_anything_is_refused(spark: SparkSession, place: Path) -> None:
    rows = placed(spark, place / "t.parquet")
    with pytest.raises(JobRefused, match="none of 2 columns tells anything: 2 constant"):
        select_features(rows, ["one", "nothing"], FeatureSelection(keep=1), label="y", classes=True)


@pytest.mark.parametrize(("text", "columns", "wanted"), [("10%", 1502, 150), ("120", 1502, 120), ("0.5%", 100, 1), ("1", 9, 1)])
def test_how_many_stay_is_a_number_or_a_share(text: str, columns: int, wanted: int) -> None:
    assert FeatureSelection.parse(text).wanted(columns) == wanted


@pytest.mark.parametrize("text", ["", "x", "0", "-3", "1.5", "0%"])
def test_a_selection_that_makes_no_sense(text: str) -> None:
    with pytest.raises(ValueError, match="columns"):
        FeatureSelection.parse(text)


def test_the_job_keeps_the_features_and_shows_why_and_which_tell_the_label(spark: SparkSession, place: Path) -> None:
    told_late = made_table().drop_columns("list").append_column("outcome", pa.array([f"{one}!" for one in made_table()["y"]]))
    pq.write_table(told_late, place / "late.parquet")
    job = TableJob(source=f"{place}/late.parquet", dataset=f"{place}/out", label="y", select_features="3", min_count=2)
    manifest = prepare_table(spark, job)
    dataset = Dataset.open(f"{place}/out")
    assert len(dataset.schema.names) == 4
    assert "outcome" in dataset.schema.names
    assert dict(manifest.provenance["tells_the_label"]) == {"outcome": 1.0}
    numbers: dict[str, Any] = json.loads((dataset.location / QUALITY_NUMBERS).read_bytes())
    assert {one["column"]: one["reason"] for one in numbers["features"]}["one"] == "constant"
    page = (dataset.location / QUALITY).read_bytes().decode()
    assert "Columns that tell the label" in page
    assert "nearly constant" in page
    numeric = next(name for name in dataset.schema.names if name in ("signal", "near", "weak"))
    train = np.array([row[0] for row in spark.read.parquet(f"{place}/out/split=train").select(numeric).collect()])
    found = manifest.statistics[numeric].quantiles
    assert found["0.5"] == pytest.approx(np.quantile(train, 0.5, method="inverted_cdf"), rel=1 / 4096)


def test_a_column_that_tells_the_label_is_found_by_whatever_type(spark: SparkSession, place: Path) -> None:
    rows = placed(spark, place / "t.parquet").select(
        "*",
        F.concat(F.lit("was "), F.col("y").cast("string")).alias("word"),
        (F.col("y").cast("int") * 2.0 + F.rand(1)).alias("number"),
        F.monotonically_increasing_id().alias("id"),
    )
    found = label_leaks(rows, "y", ["word", "number", "signal", "id", "noise", "worded"])
    assert [one.column for one in found] == ["number", "word"]


def test_being_right_by_heart_is_not_telling() -> None:
    draw = np.random.default_rng(1)
    classes = draw.integers(0, 2, 2000)
    learn = np.arange(2000) % 2 == 0
    assert told(pa.array([f"id {index}" for index in range(2000)]), classes, learn) < 0.05
    assert told(pa.array(classes), classes, learn) == 1.0
    assert told(pa.array(classes), np.zeros(2000, int), learn) == 0.0


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_a_real_wide_table_keeps_its_auc_with_a_tenth_of_its_columns(spark: SparkSession, tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    pq.write_table(grants(), tmp_path / "grants.parquet")
    rows = placed(spark, tmp_path / "grants.parquet")
    columns = [name for name in grants().column_names if name != "class"]
    train = rows.where("split = 'train'")
    found = select_features(train, columns, FeatureSelection.parse("10%"), label="class", classes=True)
    table = rows.toArrow()
    learn = np.array(table["split"].to_pylist()) == "train"
    y = np.array(table["class"].to_pylist()) == "successful"

    def auc(names: list[str]) -> float:
        matrix = np.column_stack([_numbers(table[name]) for name in names])
        model = HistGradientBoostingClassifier(random_state=0).fit(matrix[learn], y[learn])
        return float(roc_auc_score(y[~learn], model.predict_proba(matrix[~learn])[:, 1]))

    whole, kept = auc(columns), auc(list(found.kept))
    print(f"ROC-AUC of {len(columns)} columns {whole:.4f}, of {len(found.kept)} kept {kept:.4f}")
    assert len(found.kept) <= len(columns) // 10
    assert whole > 0.9
    assert kept > whole - 0.01


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_string(column.type):
        return np.unique(np.array(column.to_pylist(), dtype=str), return_inverse=True)[1].astype(float)
    return np.asarray(column.to_numpy(), dtype=float)
