"""`make_spark_converter`: a Spark DataFrame, written once as Parquet, to torch loaders."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NoReturn

from bigdata_ml.compat.petastorm.spark.cache import CACHE, delete_directory, register_delete_dir_handler
from bigdata_ml.compat.petastorm.spark.columns import Precision
from bigdata_ml.compat.petastorm.spark.horovod import warn_of_another_shard
from bigdata_ml.compat.petastorm.spark.materialize import PARENT_CONF, WriteSettings, files_below, parent_url, write_frame
from bigdata_ml.errors import EngineUnavailable

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["DEFAULT_ROW_GROUP_SIZE_BYTES", "SparkDatasetConverter", "make_spark_converter", "register_delete_dir_handler"]

DEFAULT_ROW_GROUP_SIZE_BYTES = 32 << 20
_DEFAULT_WORKERS = 4
_log = logging.getLogger(__name__)


class SparkDatasetConverter:
    """A DataFrame that lies as Parquet files, from which loaders are made. It can be pickled and used in other processes.

    Attributes:
        cache_dir_url: URL of the directory.
        file_urls: URLs of its files, sorted.
        dataset_size: number of rows; also `len(converter)`.
    """

    PARENT_CACHE_DIR_URL_CONF = PARENT_CONF

    def __init__(self, cache_dir_url: str, file_urls: list[str], dataset_size: int, *, written_here: bool = False) -> None:
        self.cache_dir_url = cache_dir_url
        self.file_urls = file_urls
        self.dataset_size = dataset_size
        self._written_here = written_here

    def __len__(self) -> int:
        return self.dataset_size

    def make_torch_dataloader(
        self,
        batch_size: int = 32,
        num_epochs: int | None = None,
        workers_count: int | None = None,
        shuffling_queue_capacity: int = 0,
        data_loader_fn: Callable[..., Any] | None = None,
        **petastorm_reader_kwargs: Any,
    ) -> AbstractContextManager[Any]:
        """Return a context manager of a loader over the rows; leaving it ends the reader.

        Args:
            batch_size: rows of a batch.
            num_epochs: passes over the rows; None is endless.
            workers_count: decoding threads; None is 4.
            shuffling_queue_capacity: rows that are held for mixing; 0 does not mix.
            data_loader_fn: makes the loader of `reader=`, `batch_size=`, `shuffling_queue_capacity=`; None is
                `bigdata_ml.compat.petastorm.pytorch.DataLoader`.
            petastorm_reader_kwargs: more for `make_batch_reader`: `cur_shard`, `shard_count`, `schema_fields`, `transform_spec` …

        >>> with converter.make_torch_dataloader(batch_size=64, num_epochs=1) as loader:     # doctest: +SKIP
        ...     for batch in loader:
        ...         train_step(batch["x"], batch["y"])
        """
        warn_of_another_shard(petastorm_reader_kwargs.get("cur_shard"), petastorm_reader_kwargs.get("shard_count"))
        settings = {
            **petastorm_reader_kwargs,
            "num_epochs": num_epochs,
            "workers_count": _DEFAULT_WORKERS if workers_count is None else workers_count,
        }
        loading = {"batch_size": batch_size, "shuffling_queue_capacity": shuffling_queue_capacity}
        return _Opened(self.file_urls, settings, loading, data_loader_fn)

    def make_tf_dataset(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: there is no TensorFlow here.

        Raises:
            EngineUnavailable: always.
        """
        raise EngineUnavailable(
            "make_tf_dataset: TensorFlow is not supported; make_torch_dataloader gives torch's tensors. Petastorm itself reads "
            "them for TensorFlow: import bigdata_ml.petastorm_bridge, then use petastorm.make_batch_reader(converter.file_urls) "
            f"and petastorm.tf_utils.make_petastorm_dataset; they lie in {self.cache_dir_url}"
        )

    def delete(self) -> None:
        """Delete the directory, for every converter of the same rows, in any process.

        A directory that was given as a URL is the caller's own, and stays.
        """
        if not self._written_here:
            _log.warning("%s was not written by a converter and is not deleted", self.cache_dir_url)
            return
        CACHE.forget(self.cache_dir_url)
        delete_directory(self.cache_dir_url)


def make_spark_converter(
    df: "DataFrame | str",
    parquet_row_group_size_bytes: int = DEFAULT_ROW_GROUP_SIZE_BYTES,
    compression_codec: str | None = None,
    dtype: Precision | None = "float32",
) -> SparkDatasetConverter:
    """Write a DataFrame as Parquet files and return what makes loaders of them; a DataFrame of the same plan and data is not
    written again.

    The files lie under Spark's setting `petastorm.spark.converter.parentCacheDirUrl` (in local mode, if it is unset, in a
    temporary directory), and are deleted by `delete()`, else when the process ends.

    Columns: numbers, booleans, text, bytes, decimals, dates, timestamps, arrays of these; MLlib's vectors, which become arrays.
    A struct becomes a column for each field, `struct_field`; an array of structs an array for each.

    Args:
        df: the DataFrame; or the URL of a directory of Parquet files, which are read as they are and never deleted.
        parquet_row_group_size_bytes: bytes of a row group.
        compression_codec: of Parquet: "snappy", "gzip", "zstd", "lz4" …; None does not compress.
        dtype: "float32" or "float64" is the precision that floating columns, arrays and vectors get; None leaves them.

    Raises:
        ValueError: a column of another type (maps, arrays of arrays …), naming it; a setting out of its range; no directory set.
        DatasetInvalid: executors wrote to a place that this process does not see.

    >>> converter = make_spark_converter(spark.table("flights"))                              # doctest: +SKIP
    """
    if isinstance(df, str):
        files, count = files_below(df)
        return SparkDatasetConverter(df, files, count)
    if not hasattr(df, "_jdf"):
        raise TypeError(
            f"df must be a DataFrame of Spark (classic, not Connect) or a URL, got {type(df).__module__}.{type(df).__name__}"
        )
    settings = WriteSettings(
        parent=parent_url(df.sparkSession),
        row_group_bytes=parquet_row_group_size_bytes,
        compression=(compression_codec or "uncompressed").lower(),
        dtype=dtype,
    )
    url = CACHE.url_of(df, settings, write_frame)
    files, count = files_below(url)
    return SparkDatasetConverter(url, files, count, written_here=True)


class _Opened(AbstractContextManager[Any]):
    """A loader, and a reader that ends with it. Its reader is opened on entering."""

    def __init__(
        self, urls: list[str], settings: dict[str, Any], loading: dict[str, Any], data_loader_fn: Callable[..., Any] | None
    ) -> None:
        self._urls, self._settings, self._loading, self._data_loader_fn = urls, settings, loading, data_loader_fn
        self._reader: Any = None

    def __enter__(self) -> Any:
        from bigdata_ml.compat.petastorm.pytorch import DataLoader
        from bigdata_ml.compat.petastorm.reader import make_batch_reader

        self._reader = make_batch_reader(self._urls, **self._settings)
        return (self._data_loader_fn or DataLoader)(reader=self._reader, **self._loading)

    def __exit__(self, *_: object) -> None:
        self._reader.stop()
