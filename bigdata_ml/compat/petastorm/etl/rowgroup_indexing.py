"""Builds row-group indexes with Spark, and reads them; Petastorm reads ours and we read Petastorm's."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bigdata_ml.compat.petastorm.etl.common_metadata import parquet_files, write_keys
from bigdata_ml.compat.petastorm.etl.dataset_metadata import get_schema
from bigdata_ml.compat.petastorm.etl.rowgroup_indexers import FieldNotNullIndexer, RowGroupIndexerBase, SingleFieldIndexer
from bigdata_ml.compat.petastorm.etl.stored_row_groups import StoredRowGroup, row_groups_of
from bigdata_ml.compat.petastorm.reading.opening import open_dataset
from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.dataset import Dataset, PetastormIndex, read_petastorm_indexes
from bigdata_ml.dataset.petastorm.metadata import INDEXES_KEY as ROWGROUPS_INDEX_KEY
from bigdata_ml.dataset.petastorm.pickling import pickle_petastorm_indexes

if TYPE_CHECKING:
    from pyspark import SparkContext

__all__ = ["ROWGROUPS_INDEX_KEY", "build_rowgroup_index", "get_row_group_indexes"]

_MOST_TASKS = 2000
_Indexers = Sequence[RowGroupIndexerBase]


def build_rowgroup_index(
    dataset_url: str, spark_context: "SparkContext", indexers: _Indexers, hdfs_driver: str = "libhdfs3"
) -> None:
    """Build indexes of a Petastorm dataset, and keep them in its `_common_metadata` in place of those that are there.

    The indexers that are given stay empty; `get_row_group_indexes` returns what was found.

    Args:
        dataset_url: of the dataset.
        spark_context: its tasks read the fields, a row group at a time.
        indexers: `SingleFieldIndexer`s and `FieldNotNullIndexer`s.
        hdfs_driver: says nothing here.

    Raises:
        PetastormMetadataError: the dataset has no schema of Petastorm's.
        ValueError: no indexer, another one (no reader would load it), two of one name, a field that is not there, or values that
            cannot be indexed.
    """
    dataset = open_dataset(dataset_url)
    schema = get_schema(dataset)
    _check(indexers, schema)
    names = dict.fromkeys(name for indexer_of_field in indexers for name in indexer_of_field.column_names)
    view = schema.create_schema_view([schema.fields[name] for name in names])
    groups = row_groups_of(dataset)
    tasks = spark_context.parallelize(groups, max(1, min(len(groups), _MOST_TASKS)))
    empty = [copy.deepcopy(indexer) for indexer in indexers]
    total = copy.deepcopy(empty)
    for task_indexers in tasks.mapPartitions(lambda part: _indexed(part, view, empty)).toLocalIterator():
        total = [indexer_of_field + other for indexer_of_field, other in zip(total, task_indexers, strict=True)]
    pickled = pickle_petastorm_indexes({indexer_of_field.index_name: _stored(indexer_of_field) for indexer_of_field in total})
    write_keys(dataset.location, {ROWGROUPS_INDEX_KEY: pickled}, files=parquet_files(dataset.location))


def get_row_group_indexes(dataset: Dataset | str) -> dict[str, RowGroupIndexerBase]:
    """Return the indexes of a dataset, given itself or its URL, by name. They are read without unpickling.

    Raises:
        ValueError: there are none.
        MetadataUnreadable: indexes that are none of Petastorm's own.
    """
    if isinstance(dataset, str):
        dataset = open_dataset(dataset)
    indexes = read_petastorm_indexes(dataset.location)
    if not indexes:
        raise ValueError(f"{dataset.url} has no row-group indexes; build them with build_rowgroup_index")
    return {name: _indexer(name, index) for name, index in indexes.items()}


def _check(indexers: _Indexers, schema: Unischema) -> None:
    if not indexers:
        raise ValueError("give at least one indexer")
    for one in indexers:
        if type(one) not in (SingleFieldIndexer, FieldNotNullIndexer):
            raise ValueError(
                f"{type(one).__name__} is neither SingleFieldIndexer nor FieldNotNullIndexer, which alone readers load"
            )
        unknown = [name for name in one.column_names if name not in schema.fields]
        if unknown:
            raise ValueError(
                f"index {one.index_name!r}: there is no field {', '.join(unknown)}; there are {', '.join(schema.fields)}"
            )
    names = [indexer.index_name for indexer in indexers]
    if len(set(names)) < len(names):
        raise ValueError(f"two indexes have one name: {', '.join(sorted(names))}")


def _indexed(part: Iterable[StoredRowGroup], schema: Unischema, empty: _Indexers) -> Iterator[_Indexers]:
    indexers = copy.deepcopy(empty)
    for group in part:
        rows = group.rows(schema)
        for indexer in indexers:
            indexer.build_index(rows, group.number)
    yield indexers


def _stored(indexer: Any) -> PetastormIndex:
    (field,) = indexer.column_names
    if isinstance(indexer, FieldNotNullIndexer):
        return PetastormIndex(
            kind="field_not_null", field=field, values={}, row_groups=tuple(sorted(indexer.get_row_group_indexes()))
        )
    values = {value: tuple(sorted(indexer.get_row_group_indexes(value))) for value in indexer.indexed_values}
    all_groups = tuple(sorted({group for groups in values.values() for group in groups}))
    return PetastormIndex(kind="single_field", field=field, values=values, row_groups=all_groups)


def _indexer(name: str, index: PetastormIndex) -> RowGroupIndexerBase:
    if index.kind == "field_not_null":
        known = FieldNotNullIndexer(name, index.field)
        known._index_data.update(index.row_groups)
        return known
    single = SingleFieldIndexer(name, index.field)
    single._index_data.update({value: set(groups) for value, groups in index.values.items()})
    return single
