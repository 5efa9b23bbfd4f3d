"""`pyarrow.parquet.ParquetDataset` as it was until version 14: a walk over directories, file by file, without a common schema."""

import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlparse

import pyarrow.parquet as pq

from bigdata_ml.petastorm_bridge.filesystems import as_old_filesystem
from bigdata_ml.petastorm_bridge.parquet_piece import ParquetDatasetPiece
from bigdata_ml.petastorm_bridge.partitions import ParquetPartitions, accepts

__all__ = ["ParquetDataset"]


class ParquetDataset:
    """The files of a dataset as pieces, its hive keys, and the footers of its `_metadata` and `_common_metadata`.

    Attributes:
        fs: the filesystem.
        paths: the directory or file, or the list of files.
        pieces: one for each file, sorted by path within a directory.
        partitions: the hive keys; None where files were named rather than a directory.
        metadata: footer of `_metadata`, or None.
        common_metadata: footer of `_common_metadata`, or None.
    """

    def __init__(
        self,
        path_or_paths: str | Sequence[str],
        filesystem: Any = None,
        *,
        validate_schema: bool = False,
        filters: Sequence[Any] | None = None,
        metadata_nthreads: int = 1,  # noqa: ARG002 - files are opened when they are read
    ) -> None:
        if validate_schema:
            raise NotImplementedError("the bridge does not compare the schemas of all files: pass validate_schema=False")
        self.fs = as_old_filesystem(filesystem)
        self.paths = _without_scheme(path_or_paths)
        self.pieces: list[ParquetDatasetPiece] = []
        self.partitions: ParquetPartitions | None = None
        self.metadata_path: str | None = None
        self.common_metadata_path: str | None = None
        root = self.paths[0] if isinstance(self.paths, list) and len(self.paths) == 1 else self.paths
        if isinstance(root, str) and self.fs.isdir(root):
            self.partitions = ParquetPartitions()
            self._visit(root.rstrip("/") or "/", self.partitions, [])
        else:
            self.pieces = [self._named_piece(path) for path in ([root] if isinstance(root, str) else root)]
        self.metadata = self._footer(self.metadata_path)
        self.common_metadata = self._footer(self.common_metadata_path)
        if filters and self.partitions is not None:
            keys = self.partitions
            self.pieces = [piece for piece in self.pieces if accepts(filters, keys, piece.partition_keys)]

    @property
    def schema(self) -> Any:
        """The Parquet schema of `_common_metadata`, or of the first file."""
        footer = self.common_metadata or self.pieces[0].get_metadata()
        return footer.schema

    def _named_piece(self, path: str) -> ParquetDatasetPiece:
        if not self.fs.isfile(path):
            raise OSError(f"{path} is not a file: a dataset is one directory, or files")
        return ParquetDatasetPiece(path, open_file_func=self.fs.open)

    def _footer(self, path: str | None) -> Any:
        if path is None:
            return None
        with self.fs.open(path) as file:
            return pq.read_metadata(file)

    def _visit(self, directory: str, partitions: ParquetPartitions, keys: list[tuple[str, int]]) -> None:
        inner, files = self._inside(directory)
        for name in files:
            path = _join(directory, name)
            if name == "_common_metadata":
                self.common_metadata_path = path
            elif name == "_metadata":
                self.metadata_path = path
            elif _holds_data(name):
                self.pieces.append(ParquetDatasetPiece(path, open_file_func=self.fs.open, partition_keys=keys))
        for name in inner:
            if "=" in name:
                key, value = name.split("=", 1)
                index = partitions.get_index(len(keys), key, value)
                self._visit(_join(directory, name), partitions, [*keys, (key, index)])
            elif _holds_data(name):
                self._visit(_join(directory, name), partitions, keys)

    def _inside(self, directory: str) -> tuple[list[str], list[str]]:
        walk: Iterator[tuple[Any, Any, Any]] = iter(self.fs.walk(directory))
        _, directories, files = next(walk, (directory, [], []))
        return _sorted_names(directories), _sorted_names(files)


def _without_scheme(path_or_paths: str | Sequence[str]) -> str | list[str]:
    if isinstance(path_or_paths, (str, os.PathLike)):
        path = os.fspath(path_or_paths)
        return urlparse(path).path if path.startswith("file:") else path
    if not path_or_paths:
        raise ValueError("a dataset needs at least one path, got an empty list")
    return [str(_without_scheme(path)) for path in path_or_paths]


def _join(directory: str, name: str) -> str:
    return f"{directory.rstrip('/')}/{name}"


def _sorted_names(paths: Sequence[Any]) -> list[str]:
    """Filesystems of fsspec give names, whole paths or a dict by name."""
    return sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in paths)


def _holds_data(name: str) -> bool:
    return not name.startswith(("_", ".")) and not name.endswith((".crc", "_$folder$"))
