"""Opens Parquet files with one set of options, so that all readers see the same column types."""

from typing import Any

import pyarrow.parquet as pq

__all__ = ["parquet_file"]


def parquet_file(source: Any, *, metadata: pq.FileMetaData | None = None, page_checksums: bool = False) -> pq.ParquetFile:
    """Open a Parquet file to read its row groups.

    INT96 is read in microseconds, as Spark and Hive write it: in nanoseconds, Arrow's default, times before 1677 and after 2262
    become others.

    Args:
        source: what can be read, a stream or a place in memory.
        metadata: its footer, if it was read before.
        page_checksums: whether to verify the file's page checksums.

    Raises:
        OSError, pa.ArrowException: no Parquet file, or one with types that Arrow does not know.
    """
    # Not pre-buffered: that keeps whole files.
    return pq.ParquetFile(
        source,
        metadata=metadata,
        pre_buffer=False,
        coerce_int96_timestamp_unit="us",
        page_checksum_verification=page_checksums,
    )
