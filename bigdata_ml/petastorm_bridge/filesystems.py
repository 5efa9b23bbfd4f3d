"""The filesystem classes that pyarrow had until version 16: a local one, and one over any `pyarrow.fs` filesystem."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

__all__ = ["ArrowFileSystem", "FileSystem", "LocalFileSystem", "as_old_filesystem"]


class FileSystem:
    """The common base class, which Petastorm tests by `isinstance`."""


class LocalFileSystem(FileSystem):
    """The local disk. It has no state, so one instance serves all."""

    _instance: "LocalFileSystem | None" = None

    @classmethod
    def get_instance(cls) -> "LocalFileSystem":
        """Return the shared instance."""
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return type(self).get_instance, ()

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open a file. For reading it is Arrow's own file, which needs no Python call per column."""
        return pa.OSFile(os.fspath(path), "rb") if mode == "rb" else open(path, mode)

    def exists(self, path: str) -> bool:
        """Is there a file or directory?"""
        return os.path.exists(path)

    def isdir(self, path: str) -> bool:
        """Is it a directory?"""
        return os.path.isdir(path)

    def isfile(self, path: str) -> bool:
        """Is it a file?"""
        return os.path.isfile(path)

    def ls(self, path: str) -> list[str]:
        """Return the paths in a directory, sorted."""
        return sorted(os.path.join(path, name) for name in os.listdir(path))

    def walk(self, path: str) -> Iterator[tuple[str, list[str], list[str]]]:
        """Yield each directory with the names of its entries, as `os.walk` does."""
        return os.walk(path)

    def mkdir(self, path: str, create_parents: bool = True) -> None:
        """Create a directory; an existing one is an error only if `create_parents` is false."""
        if create_parents:
            os.makedirs(path, exist_ok=True)
        else:
            os.mkdir(path)

    def rename(self, path: str, new_path: str) -> None:
        """Move it to another path."""
        os.rename(path, new_path)

    def mv(self, path: str, new_path: str) -> None:
        """Move it to another path."""
        self.rename(path, new_path)

    def delete(self, path: str, recursive: bool = False) -> None:
        """Remove a file, or a directory: an empty one unless `recursive`."""
        if not os.path.isdir(path):
            os.remove(path)
        elif recursive:
            shutil.rmtree(path)
        else:
            os.rmdir(path)

    def rm(self, path: str, recursive: bool = False) -> None:
        """Remove a file or directory."""
        self.delete(path, recursive)


class ArrowFileSystem(FileSystem):
    """A `pyarrow.fs` filesystem under the old names."""

    def __init__(self, filesystem: pafs.FileSystem) -> None:
        self._filesystem = filesystem

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return type(self), (self._filesystem,)

    def _type(self, path: str) -> Any:
        return self._filesystem.get_file_info(path).type

    def open(self, path: str, mode: str = "rb") -> Any:
        """Open a file for reading or for writing."""
        if mode not in ("rb", "wb"):
            raise ValueError(f"mode must be 'rb' or 'wb', got {mode!r}")
        return self._filesystem.open_output_stream(path) if mode == "wb" else self._filesystem.open_input_file(path)

    def exists(self, path: str) -> bool:
        """Is there a file or directory?"""
        return bool(self._type(path) != pafs.FileType.NotFound)

    def isdir(self, path: str) -> bool:
        """Is it a directory?"""
        return bool(self._type(path) == pafs.FileType.Directory)

    def isfile(self, path: str) -> bool:
        """Is it a file?"""
        return bool(self._type(path) == pafs.FileType.File)

    def ls(self, path: str) -> list[str]:
        """Return the paths in a directory, sorted."""
        return sorted(entry.path for entry in self._filesystem.get_file_info(pafs.FileSelector(path)))

    def walk(self, path: str) -> Iterator[tuple[str, list[str], list[str]]]:
        """Yield each directory with the names of its entries, as `os.walk` does."""
        inside = sorted(self._filesystem.get_file_info(pafs.FileSelector(path)), key=lambda entry: entry.path)
        directories = [entry.base_name for entry in inside if entry.type == pafs.FileType.Directory]
        yield path, directories, [entry.base_name for entry in inside if entry.type == pafs.FileType.File]
        for name in directories:
            yield from self.walk(f"{path.rstrip('/')}/{name}")

    def mkdir(self, path: str, create_parents: bool = True) -> None:
        """Make a directory."""
        self._filesystem.create_dir(path, recursive=create_parents)

    def rename(self, path: str, new_path: str) -> None:
        """Move it to another path."""
        self._filesystem.move(path, new_path)

    def mv(self, path: str, new_path: str) -> None:
        """Move it to another path."""
        self._filesystem.move(path, new_path)

    def delete(self, path: str, recursive: bool = False) -> None:
        """Remove a file, or a directory: an empty one unless `recursive`."""
        if not self.isdir(path):
            self._filesystem.delete_file(path)
        elif recursive or not self.ls(path):
            self._filesystem.delete_dir(path)
        else:
            raise OSError(f"{path} is a directory that is not empty: pass recursive=True to remove it with its content")

    def rm(self, path: str, recursive: bool = False) -> None:
        """Remove a file or directory."""
        self.delete(path, recursive)


def as_old_filesystem(filesystem: Any) -> Any:
    """Return an object with the old names: the local disk for None; other objects (fsspec's) unchanged."""
    if filesystem is None or isinstance(filesystem, pafs.LocalFileSystem):
        return LocalFileSystem.get_instance()
    if isinstance(filesystem, type) and issubclass(filesystem, LocalFileSystem):
        return filesystem.get_instance()
    return ArrowFileSystem(filesystem) if isinstance(filesystem, pafs.FileSystem) else filesystem
