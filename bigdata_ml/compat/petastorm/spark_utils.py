"""A Petastorm dataset as an RDD."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bigdata_ml.compat.petastorm.etl.dataset_metadata import get_schema
from bigdata_ml.compat.petastorm.etl.stored_row_groups import row_groups_of
from bigdata_ml.compat.petastorm.reading.opening import open_dataset
from bigdata_ml.compat.petastorm.unischema import UnischemaField

if TYPE_CHECKING:
    from pyspark import RDD
    from pyspark.sql import SparkSession

__all__ = ["dataset_as_rdd"]


def dataset_as_rdd(
    dataset_url: str,
    spark_session: "SparkSession",
    schema_fields: Sequence[UnischemaField | str] | None = None,
    hdfs_driver: str = "libhdfs3",
) -> "RDD[Any]":
    """Return a dataset's rows, decoded, as named tuples: one partition per row group, read by the executors.

    Args:
        dataset_url: URL of the dataset.
        spark_session: its executors read the files.
        schema_fields: fields and regular expressions of names; None reads all fields.
        hdfs_driver: has no effect.

    Raises:
        PetastormMetadataError: the dataset has no Petastorm schema.
        ValueError: a field does not exist.
    """
    dataset = open_dataset(dataset_url)
    schema = get_schema(dataset)
    if schema_fields is not None:
        schema = schema.create_schema_view(schema_fields)
    groups = row_groups_of(dataset)
    stored = spark_session.sparkContext.parallelize(groups, max(1, len(groups)))
    return stored.flatMap(lambda group: (schema.make_namedtuple(**row) for row in group.rows(schema)))
