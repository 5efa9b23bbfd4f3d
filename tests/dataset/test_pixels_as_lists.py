"""Datasets published before pixels were stored as binary values, when they lay in Parquet as lists of numbers."""

import importlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from tiny import CLASSES, make_rows, publish_columns, publish_dataset

from bigdata_ml.dataset import Dataset, first_rows, validate
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.images.incremental.stored_bytes import stored_bytes
from bigdata_ml.prepare.session.failures import refused_by_spark
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.schema import Codec, Field, Schema

pytestmark = pytest.mark.processes


@pytest.fixture
def earlier(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Write as versions before did, until it is undone."""
    writer, publish = (importlib.import_module(f"bigdata_ml.dataset.{name}") for name in ("writer", "publishing.publish"))
    monkeypatch.setattr(writer, "stored_table", lambda table, _: table)
    monkeypatch.setattr(writer, "stored_type", lambda field: field.type)
    for module in (writer, publish):
        monkeypatch.setattr(module, "stored_schema", lambda schema: schema.to_arrow())
    return monkeypatch


@pytest.fixture
def old(earlier: pytest.MonkeyPatch, tmp_path: Path) -> Dataset:
    dataset = publish_dataset(tmp_path / "old", splits={"train": make_rows(47)})
    earlier.undo()
    column = pq.read_schema(tmp_path / "old" / dataset.row_groups.files[0]).field("image")
    assert isinstance(column.type, pa.FixedShapeTensorType)
    return dataset


def test_their_rows_are_read_as_they_are_now(old: Dataset, tmp_path: Path) -> None:
    new = publish_dataset(tmp_path / "new", splits={"train": make_rows(47)})
    for read in (ReadOptions(seed=3), ReadOptions(predicate=pc.field("id") >= 30), ReadOptions(engine="petastorm")):
        batches, wanted = (list(open_reader(one.split("train"), read, global_batch_size=8)) for one in (old, new))
        assert len(wanted) >= 2
        assert batches == wanted
        assert batches[0].schema == wanted[0].schema
    assert [str(row) for row in first_rows(old, 9)] == [str(row) for row in first_rows(new, 9)]


def test_validate_says_that_their_schema_is_another(old: Dataset) -> None:
    found = validate(old.url)
    assert {one.code for one in found} == {"schema_drift"}
    assert len(found) == len(old.row_groups.files)


def test_a_job_that_would_go_on_with_them_says_what_to_do(
    spark: SparkSession, earlier: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kind = pa.fixed_shape_tensor(pa.uint8(), (2, 2, 1))
    schema = Schema((Field(name="image", type=kind, codec=Codec.RAW_IMAGE), Field(name="sha256", type=pa.string())))
    pixels = pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((3, 2, 2, 1), np.uint8))
    dataset = publish_columns(tmp_path / "old", schema, {"image": pixels, "sha256": list(CLASSES)})
    earlier.undo()
    stored = stored_bytes(spark, dataset, as_files=False, way_out="run without --incremental")
    with pytest.raises(JobRefused, match="as earlier versions wrote; run without --incremental"), refused_by_spark(dataset.url):
        stored.collect()
