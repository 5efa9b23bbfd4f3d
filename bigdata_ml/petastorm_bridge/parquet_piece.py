"""`pyarrow.parquet.ParquetDatasetPiece`, which pyarrow had until version 15: a file, or a row group of it."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.petastorm_bridge.filesystems import LocalFileSystem
from bigdata_ml.petastorm_bridge.footers import kept_footer
from bigdata_ml.petastorm_bridge.partitions import ParquetPartitions

__all__ = ["LazyParquetFile", "ParquetDatasetPiece"]

# For timestamps of Spark and Hive: in nanoseconds, times before 1677 and after 2262 overflow.
_INT96: Mapping[str, Any] = MappingProxyType({"coerce_int96_timestamp_unit": "us"})


class ParquetDatasetPiece:
    """A Parquet file, or one row group of it, with the hive keys of its directory."""

    def __init__(
        self,
        path: str,
        open_file_func: Callable[[str], Any] | None = None,
        file_options: dict[str, Any] | None = None,
        row_group: int | None = None,
        partition_keys: Sequence[tuple[str, int]] | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.open_file_func = open_file_func
        self.file_options = file_options or {}
        self.row_group = row_group
        self.partition_keys = list(partition_keys or [])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParquetDatasetPiece) and self._place == other._place

    def __hash__(self) -> int:
        return hash((self.path, self.row_group))

    def __repr__(self) -> str:
        return f"ParquetDatasetPiece({self.path!r}, row_group={self.row_group}, partition_keys={self.partition_keys})"

    @property
    def _place(self) -> tuple[str, int | None, list[tuple[str, int]]]:
        return self.path, self.row_group, self.partition_keys

    def open(self) -> Any:
        """Open the file; the footer of a local file is parsed once per process."""
        open_file = self.open_file_func or LocalFileSystem.get_instance().open
        footer = kept_footer(getattr(open_file, "__self__", None), self.path)
        return pq.ParquetFile(open_file(self.path), metadata=footer, **_INT96, **self.file_options)

    def get_metadata(self) -> Any:
        """Return the file's footer."""
        return self.open().metadata

    def read(
        self,
        columns: Collection[str] | None = None,
        use_threads: bool = True,
        partitions: ParquetPartitions | None = None,
        file: Any = None,
        use_pandas_metadata: bool = False,
    ) -> pa.Table:
        """Read the file or its row group, and append a dictionary column for each hive key.

        Raises:
            ValueError: the piece has hive keys and `partitions` is missing.
        """
        if self.partition_keys and partitions is None:
            raise ValueError(f"{self.path} is in directories with hive keys: pass the dataset's partitions")
        reader = self.open() if file is None else pq.ParquetFile(file, **_INT96)
        options = {
            "columns": None if columns is None else list(columns),
            "use_threads": use_threads,
            "use_pandas_metadata": use_pandas_metadata,
        }
        table = reader.read(**options) if self.row_group is None else reader.read_row_group(self.row_group, **options)
        for level, (name, index) in enumerate(self.partition_keys):
            if partitions is not None:
                codes = pa.array(np.full(len(table), index, dtype=np.int32))
                table = table.append_column(name, pa.DictionaryArray.from_arrays(codes, partitions[level].dictionary))
        return table


class LazyParquetFile:
    """A ParquetFile that parses its footer on first use; Petastorm's workers never use it."""

    def __init__(self, source: Any, **options: Any) -> None:
        self._source = source
        self._options = options

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        opened = self.__dict__.setdefault("_opened", None) or pq.ParquetFile(self._source, **{**_INT96, **self._options})
        self.__dict__["_opened"] = opened
        return getattr(opened, name)
