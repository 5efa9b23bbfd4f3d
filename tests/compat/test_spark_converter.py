"""A DataFrame to batches of tensors: every type, each row once, written once."""

import logging
import pickle
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from pyspark.ml.linalg import SparseVector, Vectors
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.compat.petastorm.reader import make_batch_reader
from bigdata_ml.compat.petastorm.spark import SparkDatasetConverter, make_spark_converter
from bigdata_ml.compat.petastorm.spark.horovod import warn_of_another_shard
from bigdata_ml.compat.petastorm.spark.materialize import PARENT_CONF, check_rows_seen, files_below
from bigdata_ml.compat.petastorm.spark.spark_dataset_converter import register_delete_dir_handler
from bigdata_ml.errors import DatasetInvalid, EngineUnavailable
from bigdata_ml.storage import locate

pytestmark = pytest.mark.spark

MOMENTS = ["2500-01-01 00:00:00.123457", "1960-01-01 00:00:00.000001", "2021-03-28 01:30:00"]


@pytest.fixture(scope="module")
def parent(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # A space in the path, which one encodes in URLs and another does not.
    place = tmp_path_factory.mktemp("converted by tests")
    spark.conf.set(PARENT_CONF, f"file://{place}")
    yield place
    spark.conf.unset(PARENT_CONF)


@pytest.fixture(scope="module")
def everything(spark: SparkSession, parent: Path) -> tuple[DataFrame, SparkDatasetConverter]:
    """Three rows of every kind of column."""
    moments = ", ".join(f"timestamp'{moment}Z'" for moment in MOMENTS)
    rows = spark.range(3, numPartitions=1).selectExpr(
        "id",
        "cast(id as tinyint) tiny",
        "id = 1 flag",
        "id * 0.1D x",
        "'row ' || id name",
        "cast('b' || id as binary) data",
        "cast(id + 0.25 as decimal(10,2)) price",
        "date_add(date'2024-02-28', cast(id as int)) day",
        f"element_at(array({moments}), cast(id as int) + 1) moment",
        "array(id * 1.5D, 1) pair",
        "sequence(0, id) ragged",
        "array(timestamp'2500-01-01 00:00:00Z') moments",
        "interval '2' second wait",
        "if(id = 1, null, id) count",
        "if(id = 1, null, 'known') maybe",
        "named_struct('a', id, 'in', named_struct('b', id * 2)) st",
        "array(named_struct('c', id, 'd', 'x')) structs",
        "if(id = 1, null, named_struct('a', id)) unknown",
    )
    return rows, make_spark_converter(rows)


def batch_of(converter: SparkDatasetConverter, **options: Any) -> dict[str, Any]:
    with converter.make_torch_dataloader(len(converter), 1, shuffle_row_groups=False, **options) as loader:
        (batch,) = loader
    return dict(batch)


def ids_of(converter: SparkDatasetConverter, **options: Any) -> list[int]:
    with converter.make_torch_dataloader(num_epochs=1, **options) as loader:
        return sorted(int(one) for batch in loader for one in batch["id"])


def local(url: str) -> Path:
    return Path(urlsplit(url).path)


def test_every_type_arrives(everything: tuple[DataFrame, SparkDatasetConverter]) -> None:
    batch = batch_of(everything[1], schema_fields=["(?!ragged).*"])
    assert batch["x"].dtype == torch.float32
    assert batch["tiny"].tolist() == [0, 1, 2]
    assert batch["name"] == ["row 0", "row 1", "row 2"]
    assert batch["data"] == [b"b0", b"b1", b"b2"]
    assert batch["price"] == [Decimal("0.25"), Decimal("1.25"), Decimal("2.25")]
    assert [str(one) for one in batch["day"]] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert batch["moment"].numpy().astype("datetime64[us]").tolist() == np.array(MOMENTS, "datetime64[us]").tolist()
    assert batch["moments"].numpy().astype("datetime64[us]").tolist() == [[np.datetime64("2500-01-01", "us").item()]] * 3
    assert batch["wait"].tolist() == [2_000_000] * 3
    assert batch["pair"].tolist() == [[0, 1], [1.5, 1], [3, 1]]
    assert (batch["st_a"].tolist(), batch["st_in_b"].tolist()) == ([0, 1, 2], [0, 2, 4])
    assert (batch["structs_c"].tolist(), batch["structs_d"]) == ([[0], [1], [2]], [["x"]] * 3)


def test_unknown_numbers_are_nan_and_unknown_text_is_none(everything: tuple[DataFrame, SparkDatasetConverter]) -> None:
    batch = batch_of(everything[1], schema_fields=["count", "maybe", "unknown_a"])
    np.testing.assert_array_equal(batch["count"], [0, np.nan, 2])
    np.testing.assert_array_equal(batch["unknown_a"], [0, np.nan, 2])
    assert batch["maybe"] == ["known", None, "known"]


def test_petastorm_reads_the_same_values(petastorm: Any, everything: tuple[DataFrame, SparkDatasetConverter]) -> None:
    fields = ["id", "tiny", "flag", "x", "name", "price", "moment", "pair", "count", "st_a", "structs_c"]
    with (
        make_batch_reader(everything[1].file_urls, fields) as mine,
        petastorm.make_batch_reader(everything[1].file_urls, fields) as theirs,
    ):
        (a,), (b,) = list(mine), list(theirs)
        for name in fields:
            one, other = getattr(a, name), getattr(b, name)
            assert one.shape == other.shape, name
            for value, wanted in zip(one, other, strict=True):
                np.testing.assert_array_equal(value, wanted, err_msg=name)


def test_vectors_become_arrays_of_the_precision_asked_for(spark: SparkSession, parent: Path) -> None:
    rows = spark.createDataFrame([(0, Vectors.dense([0.1, 2.0])), (1, SparseVector(2, {1: 3.0}))], ["id", "v"]).coalesce(1)
    for dtype, wanted in (("float32", torch.float32), (None, torch.float64)):
        vectors = batch_of(make_spark_converter(rows, dtype=dtype))["v"]
        assert vectors.dtype == wanted
        assert torch.equal(vectors, torch.tensor([[0.1, 2.0], [0.0, 3.0]], dtype=wanted))


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("map('a', 1)", r"'bad' holds map<string,int>.*map_keys"),
        ("named_struct('in', map('a', 1))", "'bad_in' holds map<string,int>"),
        ("array(array(1))", r"'bad' holds arrays of array<int>.*flatten"),
        ("make_interval(0, 1)", "'bad' holds interval"),
        ("null", "'bad' holds void"),
    ],
)
def test_what_no_batch_has_is_refused_by_name(spark: SparkSession, parent: Path, column: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_spark_converter(spark.range(1).selectExpr(f"{column} bad"))


def test_columns_that_would_share_a_name_are_refused(spark: SparkSession, parent: Path) -> None:
    with pytest.raises(ValueError, match="two columns have the name 's_A'"):
        make_spark_converter(spark.range(1).selectExpr("named_struct('A', id) s", "id s_a").select("s_a", "s"))


def test_a_loader_has_a_length_and_goes_on_from_its_state(spark: SparkSession, parent: Path) -> None:
    converter = make_spark_converter(spark.range(50, numPartitions=2))
    assert (len(converter), ids_of(converter)) == (50, list(range(50)))
    options = {"batch_size": 8, "num_epochs": 1, "shuffling_queue_capacity": 20, "seed": 3}
    with converter.make_torch_dataloader(**options) as loader:
        assert len(loader) == 7
        batches = []
        for batch in loader:
            batches.append(batch["id"].tolist())
            if len(batches) == 3:
                state = loader.state_dict()
    with converter.make_torch_dataloader(**options) as loader:
        loader.load_state_dict(state)
        assert [batch["id"].tolist() for batch in loader] == batches[3:]
    shards = [ids_of(converter, cur_shard=one, shard_count=2, seed=0) for one in (0, 1)]
    assert sorted(shards[0] + shards[1]) == list(range(50))


def test_a_loader_of_ones_own_is_given_the_reader(spark: SparkSession, parent: Path) -> None:
    def make(reader: Any, batch_size: int, shuffling_queue_capacity: int) -> Any:
        return reader, batch_size, shuffling_queue_capacity

    converter = make_spark_converter(spark.range(50, numPartitions=2))
    with converter.make_torch_dataloader(5, shuffling_queue_capacity=7, data_loader_fn=make) as (reader, *rest):
        assert (reader.source.num_epochs, rest) == (None, [5, 7])
    assert reader.stopped


def test_rows_are_written_once_for_a_plan_and_its_settings(spark: SparkSession, parent: Path) -> None:
    rows = spark.range(9, numPartitions=1).withColumn("x", F.rand(1))
    first = make_spark_converter(rows)
    assert make_spark_converter(spark.range(9, numPartitions=1).withColumn("x", F.rand(1))).cache_dir_url == first.cache_dir_url
    assert make_spark_converter(rows, dtype=None).cache_dir_url != first.cache_dir_url
    assert make_spark_converter(rows, compression_codec="zstd").cache_dir_url != first.cache_dir_url
    assert make_spark_converter(rows.where("id < 5")).cache_dir_url != first.cache_dir_url


def test_files_that_changed_are_read_again(spark: SparkSession, parent: Path, tmp_path: Path) -> None:
    source = str(tmp_path / "source")
    spark.range(4).coalesce(1).write.parquet(source)

    def frames() -> list[DataFrame]:
        plain = spark.read.parquet(source)
        return [plain, spark.range(1).selectExpr("0 id", f"(select max(id) from parquet.`{source}`) most")]

    before = [make_spark_converter(one) for one in frames()]
    assert [make_spark_converter(one).cache_dir_url for one in frames()] == [one.cache_dir_url for one in before]
    spark.range(4, 6).coalesce(1).write.mode("append").parquet(source)
    plain, inner = (make_spark_converter(one) for one in frames())
    assert ids_of(plain) == list(range(6))
    assert batch_of(inner)["most"].tolist() == [5]
    assert ids_of(before[0]) == list(range(4))


def test_rows_of_which_nobody_can_tell_are_written_each_time(spark: SparkSession, parent: Path, tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text("1\n2\n")
    lines = spark.sparkContext.textFile(str(tmp_path / "numbers.txt")).map(lambda line: (int(line),)).toDF(["id"])
    first = make_spark_converter(lines)
    (tmp_path / "numbers.txt").write_text("3\n")
    assert ids_of(first) == [1, 2]
    assert ids_of(make_spark_converter(lines)) == [3]


def test_threads_that_want_the_same_rows_share_them(spark: SparkSession, parent: Path) -> None:
    rows, found = spark.range(33, numPartitions=1), []
    threads = [threading.Thread(target=lambda: found.append(make_spark_converter(rows).cache_dir_url)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_deleted_rows_are_gone_and_written_anew_when_asked_for(spark: SparkSession, parent: Path) -> None:
    rows = spark.range(7, numPartitions=1)
    converter = make_spark_converter(rows)
    converter.delete()
    assert not local(converter.cache_dir_url).exists()
    again = make_spark_converter(rows)
    # Deleted by another process.
    pickle.loads(pickle.dumps(again)).delete()
    deleted: list[str] = []
    register_delete_dir_handler(deleted.append)
    try:
        make_spark_converter(rows).delete()
    finally:
        register_delete_dir_handler(None)
    assert len(deleted) == 1
    assert local(deleted[0]).exists()


def test_a_job_that_fails_leaves_nothing(spark: SparkSession, parent: Path) -> None:
    before = sorted(parent.iterdir())
    with pytest.raises(Exception, match="boom"):
        make_spark_converter(spark.range(8).selectExpr("if(id = 7, raise_error('boom'), id) id"))
    assert sorted(parent.iterdir()) == before


def test_rows_that_this_process_does_not_see_are_missed(spark: SparkSession, parent: Path) -> None:
    converter = make_spark_converter(spark.range(8, numPartitions=2))
    next(local(converter.cache_dir_url).glob("part-00001*")).unlink()
    with pytest.raises(DatasetInvalid, match="Spark wrote 8 rows, of which this process sees 4"):
        check_rows_seen(locate(converter.cache_dir_url), 8)
    converter.delete()


def test_row_groups_have_the_bytes_asked_for(spark: SparkSession, parent: Path) -> None:
    rows = spark.range(60, numPartitions=1).selectExpr("id", "transform(sequence(1, 2000), i -> rand(5)) noise")
    converter = make_spark_converter(rows, parquet_row_group_size_bytes=200_000, dtype=None)
    (place,) = converter.file_urls
    metadata = pq.ParquetFile(local(place)).metadata
    sizes = [metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)]
    assert len(sizes) > 3
    assert max(sizes) < 400_000


def test_a_dataframe_without_rows_has_no_batches(spark: SparkSession, parent: Path) -> None:
    converter = make_spark_converter(spark.range(0))
    assert len(converter) == 0
    with (
        pytest.warns(UserWarning, match="no row"),
        converter.make_torch_dataloader(num_epochs=1) as loader,
    ):
        assert list(loader) == []


def test_a_directory_is_read_as_it_is_and_never_deleted(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spark.range(5).write.parquet(str(tmp_path / "mine"))
    converter = make_spark_converter(f"file://{tmp_path / 'mine'}")
    assert ids_of(converter) == [0, 1, 2, 3, 4]
    converter.delete()
    assert "not written by a converter" in caplog.text
    assert ids_of(converter) == [0, 1, 2, 3, 4]


def test_executors_make_loaders_of_it(spark: SparkSession, parent: Path) -> None:
    converter = make_spark_converter(spark.range(50, numPartitions=2))

    def read(shard: int) -> list[int]:
        with converter.make_torch_dataloader(num_epochs=1, cur_shard=shard, shard_count=2, seed=1) as loader:
            return [int(one) for batch in loader for one in batch["id"]]

    found = spark.sparkContext.parallelize([0, 1], 1).flatMap(read).collect()
    assert sorted(found) == list(range(50))


def test_without_the_setting_local_mode_writes_to_a_temporary_directory(spark: SparkSession) -> None:
    here = spark.newSession()
    converter = make_spark_converter(here.range(3))
    assert "bigdata-ml-converter-" in converter.cache_dir_url
    converter.delete()


def test_settings_out_of_range_are_refused(spark: SparkSession, parent: Path) -> None:
    rows = spark.range(1)
    with pytest.raises(ValueError, match="one that Parquet has"):
        make_spark_converter(rows, compression_codec="bzip2")
    with pytest.raises(ValueError, match="dtype must be"):
        make_spark_converter(rows, dtype="float16")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be positive"):
        make_spark_converter(rows, parquet_row_group_size_bytes=0)
    with pytest.raises(TypeError, match=r"got builtins\.list"):
        make_spark_converter([1, 2])  # type: ignore[arg-type]


def test_tensorflow_is_refused_with_the_way_on() -> None:
    with pytest.raises(EngineUnavailable, match=r"bigdata_ml\.petastorm_bridge"):
        SparkDatasetConverter("file:///nowhere", [], 0).make_tf_dataset(batch_size=3)


def test_a_shard_that_is_not_horovods_is_warned_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    assert warn_of_another_shard(None, None)
    monkeypatch.setenv("HOROVOD_RANK", "1")
    monkeypatch.setenv("HOROVOD_SIZE", "4")
    assert warn_of_another_shard(1, 4)
    assert not caplog.records
    assert not warn_of_another_shard(None, None)
    assert "HOROVOD_RANK=1 and HOROVOD_SIZE=4, but the reader is given cur_shard=None" in caplog.text


def test_many_small_files_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(12):
        pq.write_table(pa.table({"id": [number]}), tmp_path / f"{number}.parquet")
    with caplog.at_level(logging.WARNING):
        urls, rows = files_below(f"file://{tmp_path}")
    assert (len(urls), rows) == (12, 12)
    assert "df.coalesce(1)" in caplog.text
