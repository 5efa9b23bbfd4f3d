"""Petastorm's metadata of a dataset: written beside what Spark writes, and read without unpickling."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bigdata_ml.compat.petastorm.errors import PetastormMetadataError, PetastormMetadataGenerationError
from bigdata_ml.compat.petastorm.etl.common_metadata import kept_keys, parquet_files, write_keys
from bigdata_ml.compat.petastorm.etl.stored_unischema import stored_unischema
from bigdata_ml.compat.petastorm.reading.opening import dataset_place, open_dataset, stored_schema
from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.dataset import Dataset, read_petastorm_schema
from bigdata_ml.dataset.layout import SUMMARY_METADATA
from bigdata_ml.dataset.parquet.footers import parse_summary, read_footers
from bigdata_ml.dataset.petastorm.metadata import INDEXES_KEY, UNISCHEMA_KEY
from bigdata_ml.dataset.petastorm.metadata import ROW_GROUPS_KEY as ROW_GROUPS_PER_FILE_KEY
from bigdata_ml.dataset.petastorm.pickling import pickle_petastorm_schema
from bigdata_ml.storage import Location

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "ROW_GROUPS_PER_FILE_KEY",
    "UNISCHEMA_KEY",
    "PetastormMetadataError",
    "PetastormMetadataGenerationError",
    "get_schema",
    "get_schema_from_dataset_url",
    "infer_or_load_unischema",
    "materialize_dataset",
    "write_metadata",
]

_log = logging.getLogger(__name__)


@contextmanager
def materialize_dataset(
    spark: "SparkSession",
    dataset_url: str,
    schema: Unischema,
    row_group_size_mb: int | None = None,
    use_summary_metadata: bool = False,
    filesystem_factory: Callable[[], Any] | None = None,
) -> Iterator[None]:
    """Have what Spark writes in the body become a Petastorm dataset: Petastorm, and this package, read it by its schema.

    Spark's settings for Parquet are put back afterwards, whatever the body did; if it failed, no metadata is written.

    Args:
        spark: the session that writes.
        dataset_url: where it writes.
        schema: of the rows, which `dict_to_spark_row` encodes.
        row_group_size_mb: MiB of a row group, as Spark's writer holds it in memory; None is Spark's 128.
        use_summary_metadata: have Spark collect all footers in `_metadata`, too; of little use with many files.
        filesystem_factory: makes the filesystem (pyarrow's or fsspec's) that the metadata is written on; None is that of the URL.

    Raises:
        ValueError, TypeError: a schema that cannot be kept, before the body runs.
        PetastormMetadataGenerationError: Spark wrote no summary.
        DatasetNotFound: the body wrote no Parquet files there.

    >>> with materialize_dataset(spark, url, schema, row_group_size_mb=32):                  # doctest: +SKIP
    ...     rows = spark.sparkContext.parallelize(samples).map(lambda one: dict_to_spark_row(schema, one))
    ...     spark.createDataFrame(rows, schema.as_spark_schema()).write.parquet(url)
    """
    pickled = pickle_petastorm_schema(stored_unischema(schema))
    filesystem = None if filesystem_factory is None else filesystem_factory()
    root = dataset_place(dataset_url, filesystem, None)
    settings = {
        "parquet.summary.metadata.level": "ALL" if use_summary_metadata else "NONE",
        # Else the size is looked at after 100 rows at the earliest, whatever a row's size.
        "parquet.page.size.row.check.min": "3",
    }
    if row_group_size_mb:
        settings["parquet.block.size"] = str(row_group_size_mb << 20)
    with _hadoop_settings(spark, settings):
        yield
    _write_metadata(root, pickled, summary=use_summary_metadata)


def write_metadata(dataset_url: str, schema: Unischema, *, filesystem: Any = None) -> None:
    """Make a Petastorm dataset of Parquet files that anything wrote, encoded by the schema's codecs: no Spark is needed.

    Raises:
        ValueError, TypeError: a schema that cannot be kept.
        DatasetNotFound: no Parquet files there.
    """
    _write_metadata(
        dataset_place(dataset_url, filesystem, None), pickle_petastorm_schema(stored_unischema(schema)), summary=False
    )


def get_schema(dataset: Dataset | str) -> Unischema:
    """Return the schema that is kept with a dataset, given itself or its URL.

    Raises:
        PetastormMetadataError: there is none.
        MetadataUnreadable: it names anything but Petastorm's own types; nothing of it has been run.
    """
    if isinstance(dataset, str):
        dataset = open_dataset(dataset)
    if read_petastorm_schema(dataset.location) is None:
        raise PetastormMetadataError(
            f"{dataset.url} has no schema of Petastorm's; write it under materialize_dataset, or add one: "
            "python -m bigdata_ml.compat.petastorm.etl.petastorm_generate_metadata"
        )
    return stored_schema(dataset, rows=False)


def get_schema_from_dataset_url(
    dataset_url_or_urls: str | list[str],
    hdfs_driver: str = "libhdfs3",
    storage_options: Mapping[str, Any] | None = None,
    filesystem: Any = None,
) -> Unischema:
    """Return the schema that is kept with the dataset at a URL; `hdfs_driver` says nothing here. Raises as `get_schema`."""
    return get_schema(open_dataset(dataset_url_or_urls, storage_options=storage_options, filesystem=filesystem))


def infer_or_load_unischema(dataset: Dataset | str) -> Unischema:
    """Return the schema that is kept with a dataset, or what its Parquet files say where there is none."""
    return stored_schema(open_dataset(dataset) if isinstance(dataset, str) else dataset, rows=False)


@contextmanager
def _hadoop_settings(spark: "SparkSession", settings: Mapping[str, str]) -> Iterator[None]:
    hadoop: Any = spark.sparkContext._jsc.hadoopConfiguration()
    before = {key: hadoop.get(key) for key in settings}
    try:
        for key, value in settings.items():
            hadoop.set(key, value)
        yield
    finally:
        for key, value in before.items():
            if value is None:
                hadoop.unset(key)
            else:
                hadoop.set(key, value)


def _write_metadata(root: Location, pickled: bytes, *, summary: bool) -> None:
    files = parquet_files(root)
    if summary and not _summary_groups(root):
        raise PetastormMetadataGenerationError(
            f"{root.url}: Spark wrote no {SUMMARY_METADATA} with row groups; leave use_summary_metadata out, or check the "
            "driver's memory and that Parquet's own output committer is set"
        )
    counted = {footer.path: len(footer.records) for footer in read_footers(root, files)}
    kept = kept_keys(root)
    keys: dict[bytes, bytes | None] = {UNISCHEMA_KEY: pickled, ROW_GROUPS_PER_FILE_KEY: json.dumps(counted).encode()}
    if INDEXES_KEY in kept and json.loads(kept.get(ROW_GROUPS_PER_FILE_KEY) or b"null") != counted:
        # Indexes count row groups: of other ones they would choose the wrong ones.
        keys[INDEXES_KEY] = None
        _log.warning("%s: its row-group indexes are of other files and were dropped; build them again", root.url)
    write_keys(root, keys, files=files)
    if not summary and _summary_groups(root) not in (0, sum(counted.values())):
        # Petastorm believes the summary first, and would not see the other files.
        (root / SUMMARY_METADATA).delete()
        _log.warning("%s: its %s was of other files and was deleted", root.url, SUMMARY_METADATA)


def _summary_groups(root: Location) -> int:
    place = root / SUMMARY_METADATA
    if not place.exists():
        return 0
    try:
        return int(parse_summary(place.read_bytes()).num_row_groups)
    except (pa.ArrowException, OSError) as error:
        raise PetastormMetadataError(f"{place.url}: not a whole Parquet file ({error}); remove it or write it again") from error
