"""Petastorm's Spark functions run through the bridge: Python workers get it with the session."""

from pathlib import Path

import pytest
from bridging import bridged

PROGRAM = """
import sys
import numpy as np
from petastorm import make_reader
from petastorm.codecs import CompressedImageCodec, NdarrayCodec, ScalarCodec
from petastorm.etl.dataset_metadata import materialize_dataset
from petastorm.etl.rowgroup_indexers import SingleFieldIndexer
from petastorm.etl.rowgroup_indexing import build_rowgroup_index
from petastorm.selectors import SingleIndexSelector
from petastorm.spark import SparkDatasetConverter, make_spark_converter
from petastorm.spark_utils import dataset_as_rdd
from petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
from pyspark.sql import SparkSession
from pyspark.sql.types import IntegerType

Schema = Unischema("Schema", [
    UnischemaField("id", np.int32, (), ScalarCodec(IntegerType()), False),
    UnischemaField("image", np.uint8, (8, 9, 3), CompressedImageCodec("png"), False),
    UnischemaField("matrix", np.float32, (None, 2), NdarrayCodec(), False),
])


def row(number):
    return {"id": number, "image": np.full((8, 9, 3), number, np.uint8), "matrix": np.full((number, 2), number, np.float32)}


url = f"file://{sys.argv[1]}/dataset"
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
         .config("spark.sql.warehouse.dir", sys.argv[1] + "/warehouse").getOrCreate())
with materialize_dataset(spark, url, Schema, 1):
    rows = spark.sparkContext.parallelize(range(20), 2).map(row).map(lambda one: dict_to_spark_row(Schema, one))
    spark.createDataFrame(rows, Schema.as_spark_schema()).write.parquet(url)
build_rowgroup_index(url, spark.sparkContext, [SingleFieldIndexer("by_id", "id")])
print("rdd", sorted(int(one.id) for one in dataset_as_rdd(url, spark, [Schema.id]).collect()))
with make_reader(url, rowgroup_selector=SingleIndexSelector("by_id", [3])) as reader:
    rows = {int(one.id): one for one in reader}
print("selected", sorted(rows), rows[3].image[0, 0].tolist(), rows[3].matrix.tolist())
spark.conf.set(SparkDatasetConverter.PARENT_CACHE_DIR_URL_CONF, f"file://{sys.argv[1]}/cache")
with make_spark_converter(spark.range(100)).make_torch_dataloader(num_epochs=1, batch_size=10) as loader:
    print("converted", sum(int(batch["id"].sum()) for batch in loader))
"""


@pytest.mark.spark
@pytest.mark.timeout(300)
def test_datasets_are_written_indexed_and_converted(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = bridged(program, tmp_path)
    assert done.stdout.splitlines() == [
        f"rdd {list(range(20))}",
        f"selected {list(range(10))} [3, 3, 3] {[[3.0, 3.0]] * 3}",
        "converted 4950",
    ], done.stderr[-3000:]
