"""Copies a Petastorm dataset: some of its fields, rows without nulls; a function, and a program.

python -m bigdata_ml.compat.petastorm.tools.copy_dataset SOURCE_URL TARGET_URL [--field-regex PATTERN …]
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bigdata_ml.compat.petastorm.etl.dataset_metadata import get_schema, materialize_dataset
from bigdata_ml.compat.petastorm.reading.opening import dataset_place, open_dataset
from bigdata_ml.compat.petastorm.tools.spark_session_cli import add_configure_spark_arguments, configure_spark
from bigdata_ml.compat.petastorm.unischema import match_unischema_fields

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["args_parser", "copy_dataset", "main"]


def copy_dataset(
    spark: "SparkSession",
    source_url: str,
    target_url: str,
    field_regex: Sequence[str] | None,
    not_null_fields: Sequence[str] | None,
    overwrite_output: bool,
    partitions_count: int | None,
    row_group_size_mb: int | None,
    hdfs_driver: str = "libhdfs3",
) -> None:
    """Copy a dataset as it is encoded.

    Args:
        spark: the session.
        source_url, target_url: of the dataset and of the copy; Spark reaches `s3://` by S3A, set up from AWS's variables.
        field_regex: regular expressions; fields whose whole names match one are copied. None or nothing copies all.
        not_null_fields: rows in which one of these is null are left out.
        overwrite_output: whether the copy replaces what is at its URL.
        partitions_count: files of the copy; None keeps Spark's partitions.
        row_group_size_mb: MiB of a row group of the copy; None is Spark's 128.
        hdfs_driver: says nothing here.

    Raises:
        ValueError: no field matches, a field that is not there, or a copy onto itself.
        PetastormMetadataError: the source has no schema of Petastorm's.
        AnalysisException: something is at the copy's URL, and `overwrite_output` is not set.
        JobRefused: Spark has not the jars to reach a URL, naming them.
    """
    from pyspark.sql import functions as F

    from bigdata_ml.prepare.session.hadoop_clients import hadoop_url

    if dataset_place(source_url, None, None).path == dataset_place(target_url, None, None).path:
        raise ValueError(f"{source_url} cannot be copied onto itself")
    schema = get_schema(open_dataset(source_url))
    chosen = match_unischema_fields(schema, field_regex or [".*"])
    if not chosen:
        raise ValueError(f"{', '.join(field_regex or [])} match none of the fields {', '.join(schema.fields)}")
    view = schema.create_schema_view(chosen) if field_regex else schema
    unknown = sorted(set(not_null_fields or []) - set(view.fields))
    if unknown:
        raise ValueError(f"not_null_fields: the copy has no fields {', '.join(unknown)}; it has {', '.join(view.fields)}")
    rows = spark.read.parquet(hadoop_url(spark, source_url)).select(*(F.col(f"`{name}`") for name in view.fields))
    if not_null_fields:
        rows = rows.dropna(subset=list(not_null_fields))
    if partitions_count:
        rows = rows.repartition(partitions_count)
    with materialize_dataset(spark, target_url, view, row_group_size_mb):
        mode = "overwrite" if overwrite_output else "error"
        rows.write.mode(mode).option("compression", "none").parquet(hadoop_url(spark, target_url))


def args_parser() -> argparse.ArgumentParser:
    """Return the program's parser."""
    parser = argparse.ArgumentParser(description="Copy a Petastorm dataset: some of its fields, rows without nulls.")
    parser.add_argument("source_url", help="URL of the dataset")
    parser.add_argument("target_url", help="URL of the copy")
    parser.add_argument("--overwrite-output", action="store_true", help="replace what is at the copy's URL")
    parser.add_argument("--field-regex", nargs="+", help="copy fields whose names match one of these")
    parser.add_argument("--not-null-fields", nargs="+", help="leave out rows in which one of these is null")
    parser.add_argument("--partition-count", type=int, help="files of the copy")
    parser.add_argument("--row-group-size-mb", type=int, help="MiB of a row group of the copy")
    parser.add_argument("--hdfs-driver", default="libhdfs3", help="accepted and not used")
    add_configure_spark_arguments(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program with the arguments of the command line, or others."""
    from pyspark.sql import SparkSession

    given = args_parser().parse_args(arguments)
    # Rows are large, and a task of few rows costs more to start than to run.
    builder = SparkSession.builder.appName("petastorm-copy").config("spark.sql.files.maxPartitionBytes", str(1 << 30))
    spark = configure_spark(builder, given).getOrCreate()
    try:
        copy_dataset(
            spark,
            given.source_url,
            given.target_url,
            given.field_regex,
            given.not_null_fields,
            given.overwrite_output,
            given.partition_count,
            given.row_group_size_mb,
        )
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
