"""Files are written by task attempts; only those of attempts that succeeded are published."""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bigdata_ml.dataset import Cleaning, Contract, Dataset, Staging, WriteOptions, publish, stage, validate
from bigdata_ml.prepare.features.statistics import Moments
from bigdata_ml.prepare.publish.sink import Sink, Written, quarantine_batch
from bigdata_ml.schema import Field, Schema

pytestmark = pytest.mark.spark

SCHEMA = Schema((Field(name="id", type=pa.int64()),))
ROWS, BAD = 400, 40


def write(spark: SparkSession, staging: Staging, marker: Path) -> Written:
    """Write ids by a task that fails at its first attempt, after it wrote rows and refused some."""
    place = str(marker)

    def encode(batch: pa.RecordBatch) -> pa.RecordBatch:
        if 301 in batch["id"].to_pylist() and not Path(place).exists():
            Path(place).touch()
            raise RuntimeError("this attempt fails")
        return batch.select(["id"])

    def refuse(batch: pa.RecordBatch) -> pa.RecordBatch:
        nothing = pa.nulls(batch.num_rows)
        return quarantine_batch(source=batch["id"], reason=batch["reason"], detail=nothing, row=nothing, thumbnail=nothing)

    def sample(batch: pa.RecordBatch) -> dict[str, bytes]:
        return {str(one): one.to_bytes(2) + b"\xff" for one in batch["id"].to_pylist() if one % 100 == 1 or one == 300}

    rows = spark.range(ROWS, numPartitions=2).select(
        "id",
        F.when(F.col("id") % 10 == 0, F.lit("round")).alias("reason"),
        F.when(F.col("id") % 4 == 0, F.lit("test")).otherwise(F.lit("train")).alias("split"),
    )
    # Row groups of 128 rows: the attempt that fails has written some of them.
    options = WriteOptions(row_group_bytes=1024)
    sink = Sink(schema=SCHEMA, options=options, encode=encode, refuse=refuse, reason="reason", sample=sample)
    return sink.write(rows, staging)


@pytest.fixture(scope="module")
def published(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Written, int]:
    """The dataset, what the tasks said of it, and how many Parquet files they had left."""
    place = tmp_path_factory.mktemp("sink")
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "16")
    try:
        with stage(f"{place}/dataset") as staging:
            # What a cluster that speculates leaves: every task has run to its end twice, and one report of each counts.
            other = write(spark, staging, place / "failed")
            written = write(spark, staging, place / "failed")
            assert not {file.path for file in other.files} & {file.path for file in written.files}
            stray = Path(staging.root.path) / "split=train" / "part-00001-999.parquet"
            stray.write_bytes(b"of an attempt whose machine was lost")
            left = len(list(Path(staging.root.path).rglob("*.parquet"))) - len(other.files)
            cleaning = Cleaning(found=ROWS, kept=ROWS - BAD, refused={"round": BAD})
            contract = Contract(
                schema=SCHEMA, label=None, vocabularies={}, statistics={}, split_rule=None, cleaning=cleaning, provenance={}
            )
            publish(staging, written.files, contract, quarantine=written.quarantine, pages={})
    finally:
        spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", "2048")
    assert (place / "failed").exists()
    return Dataset.open(f"{place}/dataset"), written, left


def test_a_task_that_fails_once_loses_and_repeats_no_row(published: tuple[Dataset, Written, int]) -> None:
    dataset, written, _ = published
    ids = pads.dataset(dataset.url, format="parquet").to_table()["id"].to_pylist()
    assert sorted(ids) == [one for one in range(ROWS) if one % 10]
    assert sum(written.rows_by_split().values()) == dataset.rows == ROWS - BAD


def test_no_file_of_a_failed_attempt_is_published(published: tuple[Dataset, Written, int]) -> None:
    dataset, written, left = published
    assert left == len(written.files) + 1
    assert validate(dataset.url) == []
    assert len(list(Path(dataset.url).rglob("quarantine/*"))) == len(written.quarantine)
    files = {str(path.relative_to(dataset.url)) for path in Path(dataset.url).rglob("*.parquet")}
    assert files == {file.path for file in written.files}


def test_each_refused_row_lies_in_quarantine_once(published: tuple[Dataset, Written, int]) -> None:
    dataset, _, _ = published
    assert sorted(map(int, dataset.quarantine()["source"].to_pylist())) == list(range(0, ROWS, 10))


def test_the_moments_count_each_train_row_once(published: tuple[Dataset, Written, int]) -> None:
    train = [one for one in range(ROWS) if one % 10 and one % 4]
    found = published[1].moments["id"].to_statistics()
    assert found is not None
    assert (found.count, found.mean[0], found.least, found.greatest) == (
        len(train), pytest.approx(sum(train) / len(train), rel=1e-11), min(train), max(train),
    )  # fmt: skip


def test_samples_come_of_kept_and_of_refused_rows(published: tuple[Dataset, Written, int]) -> None:
    assert published[1].samples == {str(one): one.to_bytes(2) + b"\xff" for one in (1, 101, 201, 300, 301)}


@pytest.mark.parametrize("values", [[0.1] * 30, [-0.3, 0.1, 0.2] * 20, [1e9 + 0.1, 1e9 + 0.2] * 20])
def test_statistics_do_not_depend_on_how_the_rows_were_cut(values: list[float]) -> None:
    def cut(rows: int) -> object:
        total = Moments()
        for start in range(0, len(values), rows):
            total = total.merge(Moments.of(pa.array(values[start : start + rows])))
        return total.to_statistics()

    assert all(cut(rows) == cut(len(values)) for rows in range(1, len(values)))


def test_the_deviation_of_equal_values_is_zero() -> None:
    found = Moments.of(pa.array([0.1] * 31)).merge(Moments.of(pa.array([0.1] * 7))).to_statistics()
    assert found is not None
    assert (found.mean, found.std) == ((0.1,), (0.0,))
