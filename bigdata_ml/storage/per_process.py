"""A filesystem of pyarrow's whose client belongs to one process."""

import os
from abc import abstractmethod
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.storage.client import OnePerProcess

__all__ = ["PerProcess", "Rebuilt"]


class PerProcess(pafs.FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    """Passes every call to this process's filesystem, and is pickled without it."""

    @property
    @abstractmethod
    def client(self) -> pafs.FileSystem:
        """The filesystem that this process made."""

    def get_type_name(self) -> str:
        """Return the filesystem's kind."""
        return str(self.client.type_name)

    def normalize_path(self, path: str) -> str:
        """Return the path as the filesystem writes it."""
        return str(self.client.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        """Return what is known of each path."""
        return list(self.client.get_file_info(paths))

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        """Return what lies below a directory."""
        return list(self.client.get_file_info(selector))

    def create_dir(self, path: str, recursive: bool) -> None:
        """Make a directory."""
        self.client.create_dir(path, recursive=recursive)

    def delete_dir(self, path: str) -> None:
        """Delete a directory and all in it."""
        self.client.delete_dir(path)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        """Delete all in a directory."""
        self.client.delete_dir_contents(path, missing_dir_ok=missing_dir_ok)

    def delete_root_dir_contents(self) -> None:
        """Refuse: nobody means to delete a whole store."""
        raise PermissionError("the whole store is never deleted")

    def delete_file(self, path: str) -> None:
        """Delete a file."""
        self.client.delete_file(path)

    def move(self, source: str, target: str) -> None:
        """Rename a file or directory."""
        self.client.move(source, target)

    def copy_file(self, source: str, target: str) -> None:
        """Copy a file."""
        self.client.copy_file(source, target)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open a file to read at any place."""
        return self.client.open_input_file(path)

    # The names of the files say nothing here: pyarrow would unpack a `.gz`.
    def open_input_stream(self, path: str) -> pa.NativeFile:
        """Open a file to read from its beginning."""
        return self.client.open_input_stream(path, compression=None)

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        """Make or replace a file."""
        return self.client.open_output_stream(path, compression=None, metadata=metadata)

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        """Open a file to write at its end."""
        return self.client.open_append_stream(path, compression=None, metadata=metadata)


class Rebuilt(PerProcess):
    """A filesystem that the caller made, which another process makes again from the same settings."""

    def __init__(self, filesystem: pafs.FileSystem) -> None:
        self._recipe = filesystem.__reduce__()
        made = {os.getpid(): filesystem}
        self._client = OnePerProcess(lambda: made.get(os.getpid()) or self._build())

    @property
    def client(self) -> pafs.FileSystem:
        """The caller's own in the process that it was made in, elsewhere one like it."""
        return self._client()

    def _build(self) -> pafs.FileSystem:
        function, arguments = self._recipe[:2]
        return function(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, tuple(self._recipe[:2])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rebuilt) and self.client.equals(other.client)

    def __hash__(self) -> int:
        return hash(Rebuilt)


def _rebuilt(function: Any, arguments: tuple[Any, ...]) -> Rebuilt:
    return Rebuilt(function(*arguments))
