"""Writes one small dataset with unmodified Petastorm, and beside it what Petastorm itself reads from it.

Run it in an environment of that Petastorm's time (README.md tells those that were used):

    PYSPARK_PYTHON=$(which python) TZ=UTC python make.py DIRECTORY
"""

import shutil
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
from petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, NdarrayCodec, ScalarCodec
from petastorm.etl.dataset_metadata import materialize_dataset
from petastorm.etl.rowgroup_indexers import FieldNotNullIndexer, SingleFieldIndexer
from petastorm.etl.rowgroup_indexing import build_rowgroup_index
from petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
from pyspark.sql import SparkSession
from pyspark.sql import types as T
from record import record

ROWS = 4
SCHEMA = Unischema(
    "Everything",
    [
        UnischemaField("id", np.int64, (), ScalarCodec(T.LongType()), False),
        UnischemaField("small", np.uint8, (), ScalarCodec(T.ShortType()), False),
        UnischemaField("flag", np.bool_, (), ScalarCodec(T.BooleanType()), False),
        UnischemaField("ratio", np.float32, (), ScalarCodec(T.FloatType()), True),
        UnischemaField("bare", np.int32, (), None, False),
        UnischemaField("price", Decimal, (), ScalarCodec(T.DecimalType(10, 2)), True),
        UnischemaField("amount", Decimal, (), ScalarCodec(T.StringType()), False),
        UnischemaField("text", np.str_, (), ScalarCodec(T.StringType()), True),
        UnischemaField("day", np.datetime64, (), ScalarCodec(T.DateType()), False),
        UnischemaField("seen", np.datetime64, (), ScalarCodec(T.TimestampType()), False),
        UnischemaField("kind", np.str_, (), ScalarCodec(T.StringType()), False),
        UnischemaField("matrix", np.float32, (2, 3), NdarrayCodec(), False),
        UnischemaField("ragged", np.int16, (None, 2), NdarrayCodec(), True),
        UnischemaField("words", np.str_, (None,), NdarrayCodec(), False),
        UnischemaField("packed", np.float64, (4,), CompressedNdarrayCodec(), True),
        UnischemaField("packed_ragged", np.uint16, (None,), CompressedNdarrayCodec(), False),
        UnischemaField("png", np.uint8, (8, 6, 3), CompressedImageCodec("png"), False),
        UnischemaField("grey", np.uint8, (8, 6), CompressedImageCodec("png"), True),
        UnischemaField("deep", np.uint16, (8, 6), CompressedImageCodec("png"), False),
        UnischemaField("deep_colour", np.uint16, (4, 5, 3), CompressedImageCodec("png"), False),
        UnischemaField("jpeg", np.uint8, (None, None, 3), CompressedImageCodec("jpeg", 90), False),
        UnischemaField("grey_jpeg", np.uint8, (16, 16), CompressedImageCodec("jpeg", 90), False),
    ],
)


def row(number: int) -> dict:
    """Return row `number`: the same at every run."""
    random = np.random.default_rng(number)
    smooth = np.linspace(0, 40 * number + 50, 16 * (16 + number) * 3).reshape(16, 16 + number, 3).astype(np.uint8)
    odd = number % 2 == 1
    return {
        "id": number,
        "small": np.uint8(250 + number),
        "flag": odd,
        "ratio": None if odd else np.float32(number / 3),
        "bare": np.int32(-number),
        "price": None if odd else Decimal(f"{number}.25"),
        "amount": f"{number}.125",
        "text": None if odd else f"t{number}",
        "day": date(2020, 1, 1 + number),
        "seen": datetime(2021, 2, 3, 4, 5, number, 678901),
        "kind": f"k{number % 2}",
        "matrix": random.random((2, 3), np.float32),
        "ragged": None if odd else np.arange(2 * number, dtype=np.int16).reshape(number, 2),
        "words": np.array([f"w{one}é" for one in range(number)], np.str_),
        "packed": None if odd else random.random(4),
        "packed_ragged": np.arange(number, dtype=np.uint16) * 9000,
        "png": random.integers(0, 256, (8, 6, 3), np.uint8),
        "grey": None if odd else random.integers(0, 256, (8, 6), np.uint8),
        "deep": random.integers(0, 65536, (8, 6), np.uint16),
        "deep_colour": random.integers(0, 65536, (4, 5, 3), np.uint16),
        "jpeg": smooth,
        "grey_jpeg": smooth[:, :16, 0].copy(),
    }


def main(directory: Path) -> None:
    """Write the dataset and `expected.json` beside it."""
    shutil.rmtree(directory, ignore_errors=True)
    url = f"file://{(directory / 'dataset').resolve()}"
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.parquet.compression.codec", "gzip")
        .getOrCreate()
    )
    with materialize_dataset(spark, url, SCHEMA, 1):
        spark_schema = SCHEMA.as_spark_schema()
        # Petastorm before 0.9 sorts its fields by name, Spark's rows no longer do.
        rows = [dict_to_spark_row(SCHEMA, row(number)) for number in range(ROWS)]
        rows = [tuple(one[name] for name in spark_schema.names) for one in rows]
        frame = spark.createDataFrame(spark.sparkContext.parallelize(rows, 1), spark_schema)
        frame.write.partitionBy("kind").parquet(url)
    indexers = [SingleFieldIndexer("by_id", "id"), SingleFieldIndexer("by_kind", "kind"), FieldNotNullIndexer("text", "text")]
    build_rowgroup_index(url, spark.sparkContext, indexers, hdfs_driver="libhdfs")
    record(directory)
    for crc in directory.rglob("*.crc"):
        crc.unlink()
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
