"""One case of benchmarks/prepare_throughput.py, in a process of its own: STACK CASE SOURCE DATASET; it prints JSON.

The same Parquet files, read by Spark on two cores, are written as a dataset by `ours` (the sink and publishing), by `petastorm`
(materialize_dataset, as its documentation says) or by `mosaic` (dataframe_to_mds, uncompressed as in its documentation);
`ours uncompressed` and `mosaic zstd` are the same with the other's compression. CASE is `pixels` or `table`. `seconds` are
those of the writing, Spark, its Python workers and Java's compiled code being there; `first` those of one of the files, written
before; `bytes` what lies there afterwards.
"""

import json
import shutil
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from pyspark.sql import DataFrame, SparkSession

PIXELS = (64, 64, 3)


def spark_session() -> SparkSession:
    """Return Spark on two cores, with the same settings for all."""
    builder = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", "4g")
    )
    builder = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "2048")
    spark = builder.config("spark.sql.execution.arrow.maxBytesPerBatch", str(2 << 20)).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def write_ours(rows: DataFrame, dataset: str, case: str, *, compression: str = "zstd") -> None:
    """Write all rows as the split train, and publish."""
    import pyarrow as pa
    from pyspark.sql import functions as F

    from bigdata_ml.dataset import Cleaning, Contract, WriteOptions, publish, stage
    from bigdata_ml.prepare.publish.sink import Sink
    from bigdata_ml.schema import Codec, Field, Schema

    if case == "pixels":
        image = Field(name="image", type=pa.fixed_shape_tensor(pa.uint8(), PIXELS), codec=Codec.RAW_IMAGE)
        schema = Schema((Field(name="id", type=pa.int64()), image))
        encode = _as_tensors
    else:
        types = {"f": pa.float32(), "i": pa.int64(), "id": pa.int64()}
        schema = Schema(tuple(Field(name=name, type=types.get(name, types[name[0]])) for name in rows.columns))
        encode = _as_they_are
    judged = rows.withColumns({"split": F.lit("train"), "__reason": F.lit(None).cast("string")})
    with stage(dataset) as staging:
        sink = Sink(schema=schema, options=WriteOptions(compression=compression), encode=encode, refuse=_none, reason="__reason")
        written = sink.write(judged, staging)
        count = sum(file.rows for file in written.files)
        contract = Contract(
            schema=schema,
            label=None,
            vocabularies={},
            statistics={name: one for name, moments in written.moments.items() if (one := moments.to_statistics())},
            split_rule=None,
            cleaning=Cleaning(found=count, kept=count, refused={}, warned={}, rules={}),
            provenance={},
        )
        publish(staging, written.files, contract, quarantine=written.quarantine, pages={})


def _as_tensors(batch):
    import pyarrow as pa

    values = pa.Array.from_buffers(pa.uint8(), batch.num_rows * int(np.prod(PIXELS)), [None, batch.column("image").buffers()[2]])
    storage = pa.FixedSizeListArray.from_arrays(values, int(np.prod(PIXELS)))
    tensors = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.uint8(), PIXELS), storage)
    return pa.RecordBatch.from_arrays([batch.column("id"), tensors], names=["id", "image"])


def _as_they_are(batch):
    return batch.drop_columns(["split", "__reason"])


def _none(batch):  # noqa: ARG001
    raise AssertionError("no row is refused")


def write_by_petastorm(rows: DataFrame, dataset: str, case: str) -> None:
    """Write the rows through Petastorm's codecs."""
    import bigdata_ml.petastorm_bridge  # noqa: F401, I001
    from petastorm.codecs import NdarrayCodec, ScalarCodec
    from petastorm.etl.dataset_metadata import materialize_dataset
    from petastorm.unischema import Unischema, UnischemaField, dict_to_spark_row
    from pyspark.sql import types as T

    spark = rows.sparkSession
    if case == "pixels":
        fields = [
            UnischemaField("id", np.int64, (), ScalarCodec(T.LongType()), False),
            UnischemaField("image", np.uint8, PIXELS, NdarrayCodec(), False),
        ]
    else:
        kinds = {"f": (np.float32, T.FloatType()), "i": (np.int64, T.LongType())}
        fields = [UnischemaField(name, kinds[name[0]][0], (), ScalarCodec(kinds[name[0]][1]), False) for name in rows.columns]
    schema = Unischema("Rows", fields)

    def encoded(row):
        values = row.asDict()
        if case == "pixels":
            values["image"] = np.frombuffer(values["image"], np.uint8).reshape(PIXELS)
        return dict_to_spark_row(schema, values)

    with materialize_dataset(spark, dataset, schema, 8):
        spark.createDataFrame(rows.rdd.map(encoded), schema.as_spark_schema()).write.parquet(dataset)


def write_by_mosaic(rows: DataFrame, dataset: str, case: str, *, compression: str | None = None) -> None:
    """Write the rows as MDS: a copy of each row's bytes."""
    from streaming.base.converters import dataframe_to_mds

    kinds = {"f": "float32", "i": "int64"}
    columns = {"id": "int64", "image": "bytes"} if case == "pixels" else {name: kinds[name[0]] for name in rows.columns}
    kwargs = {"out": dataset.removeprefix("file://"), "columns": columns, "compression": compression}
    dataframe_to_mds(rows, merge_index=True, mds_kwargs=kwargs)


if __name__ == "__main__":
    _, stack, case, source, dataset = sys.argv
    spark = spark_session()
    rows = spark.read.parquet(f"file://{source}")
    rows.write.format("noop").mode("overwrite").save()
    write = {
        "ours": write_ours,
        "ours uncompressed": partial(write_ours, compression="none"),
        "petastorm": write_by_petastorm,
        "mosaic": write_by_mosaic,
        "mosaic zstd": partial(write_by_mosaic, compression="zstd"),
    }[stack]
    times = [time.perf_counter()]
    for one, place in ((spark.read.parquet(f"file://{source}/0.parquet"), f"{dataset}-first"), (rows, dataset)):
        write(one, f"file://{place}", case)
        times.append(time.perf_counter())
    shutil.rmtree(f"{dataset}-first")
    written = sum(file.stat().st_size for file in Path(dataset).rglob("*") if file.is_file())
    print(json.dumps({"seconds": times[2] - times[1], "first": times[1] - times[0], "bytes": written}))
