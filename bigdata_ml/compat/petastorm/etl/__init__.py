"""Datasets written by Spark: metadata and row-group indexes."""

from bigdata_ml.compat.petastorm.etl.rowgroup_indexers import RowGroupIndexerBase

__all__ = ["RowGroupIndexerBase"]
