"""Petastorm's interface, served by this package's reader and loader: change `petastorm` to this module in the imports.

Its modules have Petastorm's names: `codecs`, `predicates`, `pytorch`, `selectors`, `spark`, `transform`, `unischema` …
`docs/petastorm.md` says what is the same, what is better and what is not there.
"""

import importlib
from typing import TYPE_CHECKING, Any

from bigdata_ml.compat.petastorm.codecs import (
    CompressedImageCodec,
    CompressedNdarrayCodec,
    DataframeColumnCodec,
    NdarrayCodec,
    ScalarCodec,
)
from bigdata_ml.compat.petastorm.errors import NoDataAvailableError
from bigdata_ml.compat.petastorm.ngram import NGram
from bigdata_ml.compat.petastorm.predicates import (
    PredicateBase,
    in_intersection,
    in_lambda,
    in_negate,
    in_pseudorandom_split,
    in_reduce,
    in_set,
)
from bigdata_ml.compat.petastorm.reader import Reader, make_batch_reader, make_reader
from bigdata_ml.compat.petastorm.selectors import IntersectIndexSelector, SingleIndexSelector, UnionIndexSelector
from bigdata_ml.compat.petastorm.transform import TransformSpec, edit_field, transform_schema
from bigdata_ml.compat.petastorm.unischema import (
    Unischema,
    UnischemaField,
    dict_to_spark_row,
    insert_explicit_nulls,
    match_unischema_fields,
)
from bigdata_ml.compat.petastorm.weighted_sampling_reader import WeightedSamplingReader

if TYPE_CHECKING:
    from bigdata_ml.compat.petastorm.pytorch import BatchedDataLoader, DataLoader, InMemBatchedDataLoader
    from bigdata_ml.compat.petastorm.spark import SparkDatasetConverter, make_spark_converter

# What needs torch or Spark is imported when it is asked for: a reader needs neither.
_LATER = {
    "BatchedDataLoader": "pytorch",
    "DataLoader": "pytorch",
    "InMemBatchedDataLoader": "pytorch",
    "SparkDatasetConverter": "spark",
    "make_spark_converter": "spark",
}

__all__ = [
    "BatchedDataLoader",
    "CompressedImageCodec",
    "CompressedNdarrayCodec",
    "DataLoader",
    "DataframeColumnCodec",
    "InMemBatchedDataLoader",
    "IntersectIndexSelector",
    "NGram",
    "NdarrayCodec",
    "NoDataAvailableError",
    "PredicateBase",
    "Reader",
    "ScalarCodec",
    "SingleIndexSelector",
    "SparkDatasetConverter",
    "TransformSpec",
    "UnionIndexSelector",
    "Unischema",
    "UnischemaField",
    "WeightedSamplingReader",
    "dict_to_spark_row",
    "edit_field",
    "in_intersection",
    "in_lambda",
    "in_negate",
    "in_pseudorandom_split",
    "in_reduce",
    "in_set",
    "insert_explicit_nulls",
    "make_batch_reader",
    "make_reader",
    "make_spark_converter",
    "match_unischema_fields",
    "transform_schema",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
