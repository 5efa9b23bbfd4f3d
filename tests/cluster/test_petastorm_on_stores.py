"""Petastorm's datasets and plain Parquet on real stores: adopted there, and read under Petastorm's names."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as spark_types
from stores import STORES

from bigdata_ml.compat.petastorm import Unischema, UnischemaField, dict_to_spark_row, make_batch_reader, make_reader
from bigdata_ml.compat.petastorm.codecs import CompressedImageCodec, NdarrayCodec, ScalarCodec
from bigdata_ml.compat.petastorm.etl.dataset_metadata import materialize_dataset, write_metadata
from bigdata_ml.compat.petastorm.tools.copy_dataset import copy_dataset
from bigdata_ml.dataset import Dataset, adopt, validate
from bigdata_ml.prepare.session.spark import spark_path
from bigdata_ml.storage import locate

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

every_remote_store = pytest.mark.parametrize("store", [one for one in STORES if one != "local"])
every_store_of_sparks = pytest.mark.parametrize("store", ["hdfs", "s3"])

ROWS = 20
SCHEMA = Unischema(
    "Photos",
    [
        UnischemaField("id", np.int64, (), ScalarCodec(spark_types.LongType()), False),
        UnischemaField("matrix", np.float32, (2, 3), NdarrayCodec(), False),
        UnischemaField("photo", np.uint8, (4, 5, 3), CompressedImageCodec("png"), False),
    ],
)


def row_of(number: int) -> dict[str, Any]:
    random = np.random.default_rng(number)
    photo = random.integers(0, 255, (4, 5, 3), np.uint8)
    return {"id": np.int64(number), "matrix": random.random((2, 3), np.float32), "photo": photo}


def encoded(number: int) -> dict[str, Any]:
    row = row_of(number)
    return {name: field.codec.encode(field, row[name]) for name, field in SCHEMA.fields.items()}


def put(table: pa.Table, url: str, scratch: Path, *, files: int = 2) -> None:
    """Write a table as files of several row groups each."""
    share = -(-table.num_rows // files)
    for number in range(files):
        pq.write_table(table.slice(number * share, share), scratch, row_group_size=4)
        (locate(url) / f"{number}.parquet").write_bytes(scratch.read_bytes())


def assert_each_row_once(url: str) -> None:
    with make_reader(url, num_epochs=1) as reader:
        rows = sorted(reader, key=lambda row: int(row.id))
    assert [int(row.id) for row in rows] == list(range(ROWS))
    for row in rows:
        for name, value in row_of(int(row.id)).items():
            np.testing.assert_array_equal(getattr(row, name), value)


@every_remote_store
def test_plain_parquet_is_adopted_where_it_lies_and_each_row_is_read_once(place: str, tmp_path: Path) -> None:
    put(pa.table({"id": range(ROWS), "name": [f"n{one}" for one in range(ROWS)]}), place, tmp_path / "part")
    adopt(place)
    assert validate(place) == []
    manifest = Dataset.open(place).manifest
    assert manifest is not None
    assert manifest.rows == ROWS
    with make_batch_reader(place, num_epochs=1) as reader:
        found = [row for batch in reader for row in zip(batch.id.tolist(), batch.name.tolist(), strict=True)]
    assert sorted(found) == [(one, f"n{one}") for one in range(ROWS)]


@every_remote_store
def test_parquet_gets_petastorms_metadata_there_and_each_row_is_read_once(place: str, tmp_path: Path) -> None:
    rows = [encoded(number) for number in range(ROWS)]
    types = {"id": pa.int64(), "matrix": pa.binary(), "photo": pa.binary()}
    put(pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}), place, tmp_path / "part")
    write_metadata(place, SCHEMA)
    assert_each_row_once(place)
    adopt(place)
    assert validate(place) == []
    assert_each_row_once(place)


@every_store_of_sparks
def test_what_spark_writes_there_for_petastorm_is_read_each_row_once(session: SparkSession, place: str) -> None:
    url = spark_path(session, locate(place))
    with materialize_dataset(session, url, SCHEMA, row_group_size_mb=1):
        rows = session.sparkContext.parallelize([dict_to_spark_row(SCHEMA, row_of(number)) for number in range(ROWS)], 3)
        session.createDataFrame(rows, SCHEMA.as_spark_schema()).write.parquet(url)
    # Petastorm's users name S3 as Spark does, too.
    for one in {url, place}:
        assert_each_row_once(one)


@every_store_of_sparks
def test_a_dataset_is_copied_there_by_the_urls_it_is_read_by(session: SparkSession, place: str, tmp_path: Path) -> None:
    rows = [encoded(number) for number in range(ROWS)]
    types = {"id": pa.int64(), "matrix": pa.binary(), "photo": pa.binary()}
    source, target = f"{place}/source", f"{place}/copy"
    put(pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}), source, tmp_path / "part")
    write_metadata(source, SCHEMA)
    copy_dataset(session, source, target, None, None, False, 2, None)
    assert_each_row_once(target)
