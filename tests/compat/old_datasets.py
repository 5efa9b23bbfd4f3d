"""Writes what Petastorm would: encoded by its own codecs, described by its own functions, without Spark."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import bigdata_ml.petastorm_bridge  # noqa: F401

STORED = pa.schema(
    [
        ("id", pa.int64()),
        ("small", pa.int32()),
        ("wide", pa.int32()),
        ("half", pa.float32()),
        ("flag", pa.bool_()),
        ("text", pa.string()),
        ("maybe", pa.string()),
        ("count", pa.int64()),
        ("price", pa.decimal128(10, 2)),
        ("matrix", pa.binary()),
        ("ragged", pa.binary()),
        ("packed", pa.binary()),
        ("words", pa.binary()),
        ("rgb", pa.binary()),
        ("grey", pa.binary()),
        ("deep", pa.binary()),
        ("photo", pa.binary()),
    ]
)


def old_schema() -> Any:
    from petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, NdarrayCodec, ScalarCodec
    from petastorm.unischema import Unischema, UnischemaField
    from pyspark.sql import types as spark

    field = UnischemaField
    return Unischema(
        "Everything",
        [
            field("id", np.int64, (), ScalarCodec(spark.LongType()), False),
            field("small", np.uint8, (), ScalarCodec(spark.IntegerType()), False),
            field("wide", np.uint16, (), ScalarCodec(spark.IntegerType()), False),
            field("half", np.float32, (), ScalarCodec(spark.FloatType()), False),
            field("flag", np.bool_, (), ScalarCodec(spark.BooleanType()), False),
            field("text", np.str_, (), ScalarCodec(spark.StringType()), False),
            field("maybe", np.str_, (), None, True),
            field("count", np.int64, (), ScalarCodec(spark.LongType()), True),
            field("price", Decimal, (), ScalarCodec(spark.DecimalType(10, 2)), False),
            field("matrix", np.float32, (2, 3), NdarrayCodec(), False),
            field("ragged", np.int16, (None,), NdarrayCodec(), True),
            field("packed", np.uint16, (None, 2), CompressedNdarrayCodec(), False),
            field("words", np.str_, (None,), NdarrayCodec(), False),
            field("rgb", np.uint8, (8, 6, 3), CompressedImageCodec("png"), False),
            field("grey", np.uint8, (8, 6), CompressedImageCodec("png"), False),
            field("deep", np.uint16, (8, 6), CompressedImageCodec("png"), True),
            field("photo", np.uint8, (16, 16, 3), CompressedImageCodec("jpeg", 90), False),
            field("part", np.str_, (), None, False),
        ],
    )


def old_row(number: int) -> dict[str, Any]:
    random = np.random.default_rng(number)
    return {
        "id": np.int64(number),
        "small": np.uint8(number % 256),
        "wide": np.uint16(number * 1000),
        "half": np.float32(number / 2),
        "flag": np.bool_(number % 2),
        "text": f"row {number}",
        "maybe": None if number % 3 == 0 else np.str_(f"m{number}"),
        "count": None if number % 4 == 0 else np.int64(number),
        "price": Decimal(f"{number}.25"),
        "matrix": random.random((2, 3), np.float32),
        "ragged": None if number % 5 == 0 else np.arange(number % 7, dtype=np.int16),
        "packed": random.integers(0, 9, (number % 4, 2)).astype(np.uint16),
        "words": np.array(["a", "bc"][: number % 3], np.str_),
        "rgb": random.integers(0, 256, (8, 6, 3)).astype(np.uint8),
        "grey": random.integers(0, 256, (8, 6)).astype(np.uint8),
        "deep": None if number % 6 == 0 else random.integers(0, 65536, (8, 6)).astype(np.uint16),
        "photo": np.full((16, 16, 3), number * 5, np.uint8),
    }


def write_old(place: Path, *, rows: int = 40) -> None:
    from petastorm import utils
    from petastorm.etl import dataset_metadata
    from pyarrow.fs import LocalFileSystem

    from bigdata_ml.petastorm_bridge.parquet_dataset import ParquetDataset

    schema = old_schema()
    counts = {}
    for number in range(4):
        part, mine = "ab"[number // 2], range(number * rows // 4, (number + 1) * rows // 4)
        encoded = [_encoded(schema, old_row(one)) for one in mine]
        path = f"part={part}/{number}.parquet"
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(encoded, STORED), place / path, row_group_size=4)
        counts[path] = -(-len(mine) // 4)
    dataset_metadata._generate_unischema_metadata(ParquetDataset(str(place), filesystem=LocalFileSystem()), schema)
    utils.add_to_dataset_metadata(
        ParquetDataset(str(place), filesystem=LocalFileSystem()),
        dataset_metadata.ROW_GROUPS_PER_FILE_KEY,
        json.dumps(counts),
    )


def _encoded(schema: Any, row: dict[str, Any]) -> dict[str, Any]:
    encoded = {}
    for name, value in row.items():
        codec = schema.fields[name].codec
        if value is not None and codec is not None:
            value = codec.encode(schema.fields[name], value)
        encoded[name] = bytes(value) if isinstance(value, bytearray) else value
    return encoded
