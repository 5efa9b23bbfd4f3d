"""Datasets that Spark writes for Petastorm: Petastorm reads ours, and we read Petastorm's."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as spark_types

from bigdata_ml.compat.petastorm import selectors as ours
from bigdata_ml.compat.petastorm.codecs import CompressedImageCodec, DataframeColumnCodec, NdarrayCodec, ScalarCodec
from bigdata_ml.compat.petastorm.errors import PetastormMetadataError
from bigdata_ml.compat.petastorm.etl.dataset_metadata import get_schema_from_dataset_url, materialize_dataset
from bigdata_ml.compat.petastorm.etl.petastorm_generate_metadata import generate_petastorm_metadata
from bigdata_ml.compat.petastorm.etl.rowgroup_indexers import FieldNotNullIndexer, SingleFieldIndexer
from bigdata_ml.compat.petastorm.etl.rowgroup_indexing import build_rowgroup_index, get_row_group_indexes
from bigdata_ml.compat.petastorm.reader import make_reader
from bigdata_ml.compat.petastorm.selectors import SingleIndexSelector
from bigdata_ml.compat.petastorm.spark_utils import dataset_as_rdd
from bigdata_ml.compat.petastorm.tools.copy_dataset import copy_dataset
from bigdata_ml.compat.petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
from bigdata_ml.errors import DatasetNotFound

pytestmark = pytest.mark.spark

SCHEMA = Unischema(
    "Photos",
    [
        UnischemaField("id", np.int32, (), ScalarCodec(spark_types.IntegerType()), False),
        UnischemaField("sensor", np.str_, (), ScalarCodec(spark_types.StringType()), False),
        UnischemaField("price", Decimal, (), ScalarCodec(spark_types.DecimalType(10, 2)), False),
        UnischemaField("matrix", np.float32, (2, 3), NdarrayCodec(), True),
        UnischemaField("tags", np.str_, (None,), NdarrayCodec(), False),
        UnischemaField("photo", np.uint8, (4, 5, 3), CompressedImageCodec("png"), False),
    ],
)
ROWS, FILES = 12, 3


def row_of(number: int) -> dict[str, Any]:
    random = np.random.default_rng(number)
    return {
        "id": np.int32(number),
        "sensor": f"s{number // 4}",
        "price": Decimal(f"{number}.25"),
        # Known in the first file alone.
        "matrix": random.random((2, 3), np.float32) if number < 2 else None,
        "tags": np.array([f"t{number % 5}", "every"]),
        "photo": random.integers(0, 255, (4, 5, 3), np.uint8),
    }


def write(spark: SparkSession, url: str, *, rows: range = range(ROWS), mode: str = "error", **options: Any) -> None:
    with materialize_dataset(spark, url, SCHEMA, **options):
        encoded = [dict_to_spark_row(SCHEMA, row_of(number)) for number in rows]
        data = spark.createDataFrame(spark.sparkContext.parallelize(encoded, FILES), SCHEMA.as_spark_schema())
        data.write.mode(mode).parquet(url)


@pytest.fixture(scope="module")
def written(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """12 rows in 3 files, a row group each, indexed by sensor, tags and whether the matrix is known."""
    url = f"file://{tmp_path_factory.mktemp('photos') / 'dataset'}"
    write(spark, url, row_group_size_mb=1)
    indexers = [
        SingleFieldIndexer("sensors", "sensor"),
        SingleFieldIndexer("tagged", "tags"),
        FieldNotNullIndexer("known", "matrix"),
    ]
    build_rowgroup_index(url, spark.sparkContext, [*indexers, SingleFieldIndexer("ids", "id")])
    assert indexers[0].indexed_values == []
    return url


def place_of(url: str) -> Path:
    return Path(url.removeprefix("file://"))


def keys_of(url: str) -> dict[bytes, bytes]:
    return dict(pq.read_schema(place_of(url) / "_common_metadata").metadata)


def assert_rows(found: Any, wanted: Any = range(ROWS)) -> None:
    rows = sorted(found, key=lambda row: int(row.id))
    assert [int(row.id) for row in rows] == list(wanted)
    for row, number in zip(rows, wanted, strict=True):
        for name, value in row_of(number).items():
            mine = getattr(row, name)
            assert type(mine) is type(value) or isinstance(value, str), name
            np.testing.assert_array_equal(mine, value, err_msg=name)


def test_what_is_written_is_read_by_petastorm_and_by_us(petastorm: Any, written: str) -> None:
    with make_reader(written) as mine, petastorm.make_reader(written) as theirs:
        assert_rows(mine)
        assert_rows(theirs)


def test_an_rdd_has_the_decoded_rows(spark: SparkSession, written: str) -> None:
    assert_rows(dataset_as_rdd(written, spark).collect())
    some = dataset_as_rdd(written, spark, [SCHEMA.id, "pri.*"]).collect()
    assert some[0]._fields == ("id", "price")
    assert sum(row.price for row in some) == sum(row_of(number)["price"] for number in range(ROWS))


def test_row_groups_are_found_by_what_they_hold(written: str) -> None:
    indexes = get_row_group_indexes(written)
    assert {name: index.column_names for name, index in indexes.items()} == {
        "sensors": ["sensor"],
        "tagged": ["tags"],
        "known": ["matrix"],
        "ids": ["id"],
    }
    assert indexes["sensors"].get_row_group_indexes("s1") == {1}
    assert indexes["tagged"].get_row_group_indexes(np.str_("every")) == {0, 1, 2}
    assert indexes["ids"].get_row_group_indexes(np.int32(9)) == {2}
    assert indexes["known"].get_row_group_indexes() == {0}
    assert indexes["sensors"].get_row_group_indexes("none") == set()
    with make_reader(written, rowgroup_selector=SingleIndexSelector("sensors", ["s2"])) as reader:
        assert_rows(reader, range(8, 12))


def selectors(module: Any) -> dict[str, tuple[Any, range]]:
    """Selectors of the dataset's indexes, and the ids of the rows in the row groups they choose."""

    def one(name: str, *values: Any) -> Any:
        return module.SingleIndexSelector(name, values)

    late, three, tag = one("sensors", "s1", "s2"), one("ids", np.int32(5), np.int32(0)), one("tagged", "every")
    return {
        "both": (module.IntersectIndexSelector([late, three]), range(4, 8)),
        "all of three": (module.IntersectIndexSelector([late, one("ids", np.int32(9)), tag]), range(8, 12)),
        "either": (module.UnionIndexSelector([one("sensors", "s0"), one("ids", np.int32(6))]), range(8)),
        "either of which one finds nothing": (module.UnionIndexSelector([one("sensors", "none"), three]), range(8)),
    }


@pytest.mark.parametrize("name", ["both", "all of three", "either", "either of which one finds nothing"])
def test_selectors_are_combined_as_by_petastorm(petastorm: Any, written: str, name: str) -> None:
    from petastorm import selectors as theirs

    for read, module in ((make_reader, ours), (petastorm.make_reader, theirs)):
        selector, wanted = selectors(module)[name]
        with read(written, rowgroup_selector=selector) as reader:
            assert_rows(reader, wanted)


def test_selectors_that_agree_on_no_row_group_select_nothing(written: str) -> None:
    apart = ours.IntersectIndexSelector([SingleIndexSelector("sensors", ["s0"]), SingleIndexSelector("ids", [np.int32(9)])])
    with pytest.warns(UserWarning, match="no row"):
        reader = make_reader(written, rowgroup_selector=apart)
    assert list(reader) == []
    with pytest.raises(ValueError, match="at least one selector"):
        ours.UnionIndexSelector([])


def test_petastorm_selects_by_our_indexes(petastorm: Any, written: str) -> None:
    from petastorm.selectors import SingleIndexSelector as Theirs

    for name, values, wanted in (("sensors", ["s1"], range(4, 8)), ("ids", [np.int32(9)], range(8, 12))):
        with petastorm.make_reader(written, rowgroup_selector=Theirs(name, values)) as reader:
            assert_rows(reader, wanted)


def test_indexes_that_petastorm_builds_are_read(petastorm: Any, spark: SparkSession, tmp_path: Path) -> None:
    from petastorm.etl import rowgroup_indexers, rowgroup_indexing

    url = f"file://{tmp_path / 'theirs'}"
    write(spark, url)
    indexers = [
        rowgroup_indexers.SingleFieldIndexer("tagged", "tags"),
        rowgroup_indexers.SingleFieldIndexer("ids", "id"),
        rowgroup_indexers.FieldNotNullIndexer("known", "matrix"),
    ]
    rowgroup_indexing.build_rowgroup_index(url, spark.sparkContext, indexers)
    indexes = get_row_group_indexes(url)
    assert sorted(indexes["ids"].indexed_values) == list(range(ROWS))
    assert indexes["ids"].get_row_group_indexes(5) == {1}
    assert indexes["tagged"].get_row_group_indexes("t3") == {0, 2}
    assert indexes["known"].get_row_group_indexes() == {0}


def test_settings_are_put_back_and_a_failure_writes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    hadoop: Any = spark.sparkContext._jsc.hadoopConfiguration()
    names = ("parquet.block.size", "parquet.summary.metadata.level", "parquet.page.size.row.check.min")
    before = [hadoop.get(name) for name in names]

    def fail() -> None:
        with materialize_dataset(spark, f"file://{tmp_path}", SCHEMA, row_group_size_mb=3):
            assert hadoop.get("parquet.block.size") == str(3 << 20)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert [hadoop.get(name) for name in names] == before
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DatasetNotFound, match="no Parquet files"), materialize_dataset(spark, f"file://{tmp_path}", SCHEMA):
        pass


def test_a_schema_that_no_reader_would_load_is_refused_before_anything_runs(spark: SparkSession, tmp_path: Path) -> None:
    class Own(DataframeColumnCodec):
        def encode(self, unischema_field: UnischemaField, value: Any) -> Any: ...
        def decode(self, unischema_field: UnischemaField, value: Any) -> Any: ...
        def spark_dtype(self) -> Any: ...

    schema = Unischema("Own", [UnischemaField("x", np.uint8, (), Own(), False)])
    with pytest.raises(ValueError, match=r"field 'x': the codec .*Own is none of Petastorm's own"):
        materialize_dataset(spark, f"file://{tmp_path}", schema).__enter__()


def test_a_summary_is_collected_when_asked_for(petastorm: Any, spark: SparkSession, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'summary'}"
    write(spark, url, use_summary_metadata=True)
    assert pq.read_metadata(place_of(url) / "_metadata").num_row_groups == FILES
    with make_reader(url) as mine, petastorm.make_reader(url) as theirs:
        assert_rows(mine)
        assert_rows(theirs)


def test_indexes_of_files_that_are_no_more_are_dropped(
    spark: SparkSession, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"file://{tmp_path / 'grows'}"
    write(spark, url)
    build_rowgroup_index(url, spark.sparkContext, [SingleFieldIndexer("ids", "id")])
    for summary in (False, True):
        generate_petastorm_metadata(spark, url, use_summary_metadata=summary)
        assert set(get_row_group_indexes(url)) == {"ids"}
    write(spark, url, rows=range(ROWS, 2 * ROWS), mode="append")
    assert "indexes are of other files and were dropped" in caplog.text
    with pytest.raises(ValueError, match="row-group indexes"):
        get_row_group_indexes(url)
    assert not (place_of(url) / "_metadata").exists()
    assert sum(json.loads(keys_of(url)[b"dataset-toolkit.num_row_groups_per_file.v1"]).values()) == 2 * FILES
    with make_reader(url) as reader:
        assert_rows(reader, range(2 * ROWS))


def test_metadata_is_made_anew_by_the_name_of_a_schema(spark: SparkSession, tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'bare'}"
    write(spark, url)
    (tmp_path / "bare" / "_common_metadata").unlink()
    with pytest.raises(PetastormMetadataError, match="petastorm_generate_metadata"):
        get_schema_from_dataset_url(url)
    with pytest.raises(ValueError, match="name one with unischema_class"):
        generate_petastorm_metadata(spark, url)
    with pytest.raises(ValueError, match="is no Unischema"):
        generate_petastorm_metadata(spark, url, "os.path")
    generate_petastorm_metadata(spark, url, f"{__name__}.SCHEMA")
    assert list(get_schema_from_dataset_url(url)) == list(SCHEMA)


def test_a_copy_has_the_fields_and_rows_asked_for(petastorm: Any, spark: SparkSession, written: str, tmp_path: Path) -> None:
    target = f"file://{tmp_path / 'copy'}"
    copy_dataset(spark, written, target, ["id", "mat.*"], ["matrix"], False, 1, None)
    with make_reader(target) as mine, petastorm.make_reader(target) as theirs:
        for rows in (sorted(mine), sorted(theirs)):
            assert [int(row.id) for row in rows] == [0, 1]
            np.testing.assert_array_equal(rows[1].matrix, row_of(1)["matrix"])
            assert sorted(rows[0]._fields) == ["id", "matrix"]
    with pytest.raises(Exception, match="PATH_ALREADY_EXISTS"):
        copy_dataset(spark, written, target, None, None, False, None, None)
    with pytest.raises(ValueError, match="match none of the fields"):
        copy_dataset(spark, written, target, ["nothing"], None, True, None, None)
    with pytest.raises(ValueError, match="onto itself"):
        copy_dataset(spark, written, written, None, None, True, None, None)


def test_what_cannot_be_indexed_is_refused_by_name(spark: SparkSession, written: str) -> None:
    class Own(SingleFieldIndexer):
        pass

    context = spark.sparkContext
    with pytest.raises(ValueError, match="Own is neither"):
        build_rowgroup_index(written, context, [Own("x", "id")])
    with pytest.raises(ValueError, match="there is no field nothing"):
        build_rowgroup_index(written, context, [SingleFieldIndexer("x", "nothing")])
    with pytest.raises(ValueError, match="two indexes have one name"):
        build_rowgroup_index(written, context, [SingleFieldIndexer("x", "id"), SingleFieldIndexer("x", "sensor")])
    assert set(get_row_group_indexes(written)) == {"sensors", "tagged", "known", "ids"}


@pytest.mark.parametrize("program", ["etl.petastorm_generate_metadata", "tools.copy_dataset"])
def test_the_programs_say_what_they_take(program: str) -> None:
    command = [sys.executable, "-m", f"bigdata_ml.compat.petastorm.{program}", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "--master" in said
