"""Adds Petastorm's metadata to Parquet files that are there; a function, and a program.

python -m bigdata_ml.compat.petastorm.etl.petastorm_generate_metadata --dataset_url hdfs://… --unischema_class my.module.MySchema
"""

import argparse
from collections.abc import Sequence
from pydoc import locate as find_object
from typing import TYPE_CHECKING

from bigdata_ml.compat.petastorm.errors import PetastormMetadataError
from bigdata_ml.compat.petastorm.etl.common_metadata import kept_keys, parquet_files, write_keys
from bigdata_ml.compat.petastorm.etl.dataset_metadata import get_schema, materialize_dataset
from bigdata_ml.compat.petastorm.reading.opening import open_dataset
from bigdata_ml.compat.petastorm.unischema import Unischema

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["generate_petastorm_metadata", "main"]


def generate_petastorm_metadata(
    spark: "SparkSession",
    dataset_url: str,
    unischema_class: str | None = None,
    use_summary_metadata: bool = False,
    hdfs_driver: str = "libhdfs3",
) -> None:
    """Write a dataset's Petastorm metadata again. Its row-group indexes are kept if they are of the same row groups.

    Args:
        spark: the session; it is not stopped.
        dataset_url: of the dataset.
        unischema_class: where its `Unischema` is, as `module.name`; None keeps the one that the dataset has.
        use_summary_metadata: have Parquet's Java library collect all footers in `_metadata`, too.
        hdfs_driver: says nothing here.

    Raises:
        ValueError: there is no schema of that name, or none with the dataset and none was named.
    """
    schema = _schema(dataset_url, unischema_class)
    with materialize_dataset(spark, dataset_url, schema, use_summary_metadata=use_summary_metadata):
        if use_summary_metadata:
            place = open_dataset(dataset_url).location
            kept = kept_keys(place)
            _write_summary(spark, dataset_url)
            # Parquet's library has written _common_metadata too, with the files' keys alone.
            write_keys(place, kept, files=parquet_files(place))


def _schema(dataset_url: str, unischema_class: str | None) -> Unischema:
    if unischema_class is not None:
        schema = find_object(unischema_class)
        if not isinstance(schema, Unischema):
            raise ValueError(f"{unischema_class} is no Unischema of bigdata_ml.compat.petastorm; name one as module.name")
        return schema
    try:
        return get_schema(open_dataset(dataset_url))
    except PetastormMetadataError as error:
        raise ValueError(f"{dataset_url} has no schema of Petastorm's; name one with unischema_class") from error


def _write_summary(spark: "SparkSession", dataset_url: str) -> None:
    # Py4J's names are found at run time.
    java = spark.sparkContext._jvm
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()
    path = java.org.apache.hadoop.fs.Path(dataset_url)  # type: ignore[union-attr]
    java.org.apache.parquet.hadoop.ParquetOutputCommitter.writeMetaDataFile(hadoop, path)  # type: ignore[union-attr]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program with the arguments of the command line, or others."""
    from pyspark.sql import SparkSession

    parser = argparse.ArgumentParser(description="Add Petastorm's metadata to a dataset that is there.")
    parser.add_argument("--dataset_url", required=True, help="URL of the dataset's directory")
    parser.add_argument("--unischema_class", help="its Unischema, as module.name; by default the one that the dataset has")
    parser.add_argument("--master", help="of Spark, such as local[4]")
    parser.add_argument("--spark-driver-memory", default="4g", help="of Spark's driver (default: 4g)")
    parser.add_argument("--use-summary-metadata", action="store_true", help="also collect all footers in _metadata")
    parser.add_argument("--hdfs-driver", default="libhdfs3", help="accepted and not used")
    given = parser.parse_args(arguments)
    builder = SparkSession.builder.appName("petastorm-generate-metadata").config("spark.driver.memory", given.spark_driver_memory)
    spark = (builder.master(given.master) if given.master else builder).getOrCreate()
    try:
        generate_petastorm_metadata(spark, given.dataset_url, given.unischema_class, given.use_summary_metadata)
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
