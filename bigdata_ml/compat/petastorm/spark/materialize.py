"""Writes a DataFrame as Parquet files: all of them, or none."""

import logging
import os
import tempfile
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING

from bigdata_ml.compat.petastorm.reading.opening import reader_url
from bigdata_ml.compat.petastorm.spark.columns import Precision, readable_columns
from bigdata_ml.dataset.parquet.footers import read_footers
from bigdata_ml.errors import DatasetInvalid, DatasetNotFound
from bigdata_ml.storage import Location, list_tree, locate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["PARENT_CONF", "WriteSettings", "check_rows_seen", "files_below", "parent_url", "write_frame"]

PARENT_CONF = "petastorm.spark.converter.parentCacheDirUrl"
_COMPRESSIONS = ("uncompressed", "none", "snappy", "gzip", "lz4", "lz4_raw", "zstd", "brotli")
_SMALL_FILE = 50 << 20
# Where a rename of a directory is one step; elsewhere it copies, and the name that nobody knows yet has to do.
_RENAMES = ("file", "hdfs")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteSettings:
    """How a DataFrame is written.

    Attributes:
        parent: URL of the directory that the files' directory is made in.
        row_group_bytes: bytes of a row group, as Spark's writer holds it in memory.
        compression: of Parquet, as Spark names it.
        dtype: precision of floating columns, or None to leave them.
    """

    parent: str
    row_group_bytes: int
    compression: str
    dtype: Precision | None

    def __post_init__(self) -> None:
        if self.row_group_bytes < 1:
            raise ValueError(f"parquet_row_group_size_bytes must be positive, got {self.row_group_bytes}")
        if self.compression not in _COMPRESSIONS:
            raise ValueError(
                f"compression_codec must be one that Parquet has ({', '.join(_COMPRESSIONS)}), got {self.compression!r}"
            )
        if self.dtype not in (None, "float32", "float64"):
            raise ValueError(f"dtype must be 'float32', 'float64' or None, got {self.dtype!r}")


def parent_url(spark: "SparkSession") -> str:
    """Return the directory of Spark's setting `petastorm.spark.converter.parentCacheDirUrl`, or a temporary one.

    Raises:
        ValueError: unset where Spark is not in local mode, or without a scheme.
    """
    url, local = spark.conf.get(PARENT_CONF, None), str(spark.conf.get("spark.master", "")).startswith("local")
    if not url:
        if not local:
            raise ValueError(f"set Spark's {PARENT_CONF} to a directory that executors and readers reach, as hdfs://… or s3a://…")
        return _temporary_parent(os.getpid())
    if not local and url.startswith("file:"):
        _log.warning("%s is %s: every executor writes to its own disk, unless that directory is shared by all", PARENT_CONF, url)
    if "://" not in url and not url.startswith("file:"):
        raise ValueError(f"{PARENT_CONF} is {url!r}, which names no filesystem; write file://{url} for a local path")
    return url.rstrip("/")


@lru_cache(maxsize=1)
def _temporary_parent(_process: int) -> str:
    return _url_of(locate(tempfile.mkdtemp(prefix="bigdata-ml-converter-")))


def write_frame(rows: "DataFrame", settings: WriteSettings) -> str:
    """Write the rows into a new directory of `settings.parent`, and return its URL. A failure leaves nothing there.

    Raises:
        ValueError: a column of a type that no batch has, naming it.
        DatasetInvalid: this process does not see the rows that Spark wrote.
    """
    from pyspark.sql import Observation
    from pyspark.sql import functions as F

    readable = readable_columns(rows, dtype=settings.dtype)
    when = datetime.now(timezone.utc).strftime("%Y%m%d%H%M%S")
    name = f"{when}-appid-{rows.sparkSession.sparkContext.applicationId}-{uuid.uuid4()}"
    final = locate(reader_url(f"{settings.parent}/{name}"))
    renamed = final.is_local or settings.parent.partition(":")[0].lower() in _RENAMES
    target = final.parent / f"_{name}" if renamed else final
    written = Observation()
    with ExitStack() as undo:
        undo.callback(_delete_quietly, target)
        options = {
            "compression": settings.compression,
            "parquet.block.size": str(settings.row_group_bytes),
            # Else the size is looked at after 100 rows at the earliest, whatever a row's size.
            "parquet.page.size.row.check.min": "3",
        }
        counted = readable.observe(written, F.count(F.lit(1)).alias("rows"))
        counted.write.options(**options).parquet(_spark_url(target, settings.parent))
        check_rows_seen(target, written.get["rows"])
        if renamed:
            target.move(final)
        undo.pop_all()
    _log.info("wrote the DataFrame's %d rows to %s", written.get["rows"], final.url)
    return _url_of(final)


def files_below(url: str) -> tuple[list[str], int]:
    """Return the URLs of a directory's Parquet files that hold rows, sorted, and the number of their rows.

    Raises:
        DatasetNotFound: there are no Parquet files.
        DatasetInvalid: a file that is no Parquet file.
    """
    root = locate(reader_url(url))
    paths = _parquet_files(root)
    if not paths:
        raise DatasetNotFound(f"{root.url}: no Parquet files; give a directory that holds some")
    footers = read_footers(root, paths)
    sizes = {footer.path: int(footer.records[0]["file_bytes"]) for footer in footers if footer.records}
    _log_small(root, list(sizes.values()))
    # Of a DataFrame without rows one file is kept, for its schema.
    urls = [_url_of(root / path) for path in (sizes or paths[:1])]
    return urls, sum(int(record["rows"]) for one in footers for record in one.records)


def check_rows_seen(place: Location, rows: int) -> None:
    """Raise DatasetInvalid unless this process sees as many rows there as Spark wrote."""
    paths = _parquet_files(place)
    seen = sum(int(record["rows"]) for footer in read_footers(place, paths) for record in footer.records)
    if seen != rows:
        raise DatasetInvalid(
            f"{place.url}: Spark wrote {rows} rows, of which this process sees {seen}; set {PARENT_CONF} to a directory that all "
            "executors and this process share"
        )


def _parquet_files(place: Location) -> list[str]:
    if not place.is_directory():
        return []
    return [entry.path for entry in list_tree(place).visible if entry.path.endswith(".parquet")]


def _log_small(root: Location, sizes: list[int]) -> None:
    needed = max(1, sum(sizes) // _SMALL_FILE)
    if len(sizes) > 10 * needed and median(sizes) < _SMALL_FILE:
        _log.warning(
            "%s: its %d files have %d bytes at the median, %d in all; opening them takes longer than reading them: write the "
            "DataFrame with df.coalesce(%d)",
            *(root.url, len(sizes), median(sizes), sum(sizes), needed),
        )


def _spark_url(place: Location, parent: str) -> str:
    # Hadoop's paths are not percent-encoded.
    return f"file://{place.path}" if place.is_local else f"{parent}/{place.name}"


def _url_of(place: Location) -> str:
    # Nothing but what would be read as something else is encoded: Petastorm decodes nothing.
    return f"file://{place.path.replace('%', '%25')}" if place.is_local else place.url


def _delete_quietly(place: Location) -> None:
    try:
        place.delete()
    except OSError as error:
        _log.warning("%s, of a write that failed, could not be deleted: %s", place.url, error)
