"""A Spark DataFrame to a torch loader."""

from bigdata_ml.compat.petastorm.spark.spark_dataset_converter import SparkDatasetConverter, make_spark_converter

__all__ = ["SparkDatasetConverter", "make_spark_converter"]
