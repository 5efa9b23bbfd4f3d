"""A place in a filesystem, whichever it is."""

import os
import posixpath
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage.durable import sync_file
from bigdata_ml.storage.local import LocalFiles
from bigdata_ml.storage.retry import Retry

__all__ = ["Location", "is_hidden", "reading", "way_out", "writing"]

_Made = TypeVar("_Made")
_ALLOW = "give the user that the job runs as the right to read it, or leave it out"


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a filesystem; `path` is the filesystem's own, without scheme and host."""

    url: str
    filesystem: pafs.FileSystem
    path: str

    def __truediv__(self, name: str) -> "Location":
        """Return the place `name` (a relative path with `/`) under this one."""
        return Location(f"{self.url}/{name}", self.filesystem, f"{self.path}/{name}")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return posixpath.basename(self.path)

    @property
    def parent(self) -> "Location":
        """The directory that holds this place."""
        return Location(posixpath.dirname(self.url), self.filesystem, posixpath.dirname(self.path))

    @property
    def is_local(self) -> bool:
        """Whether this machine's own filesystem holds it."""
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def info(self) -> pafs.FileInfo:
        """Return type, size in bytes and time of change.

        Raises:
            StorageUnavailable: the filesystem does not answer, each time it is asked.
        """
        try:
            return Retry().reading(lambda: self.filesystem.get_file_info(self.path), f"{self.url}: the store")
        except OSError as error:
            raise StorageUnavailable(f"{self.url} cannot be reached: {error}{way_out(error)}") from error

    def exists(self) -> bool:
        """Whether a file or directory is there."""
        return bool(self.info().type != pafs.FileType.NotFound)

    def is_directory(self) -> bool:
        """Whether a directory is there."""
        return bool(self.info().type == pafs.FileType.Directory)

    def is_file(self) -> bool:
        """Whether a file is there that can be read: no directory, FIFO, socket or device."""
        return bool(self.info().type == pafs.FileType.File)

    def confined(self) -> "Location":
        """Return this place on a filesystem that opens, writes and deletes nothing outside of it; stores have no links."""
        return replace(self, filesystem=LocalFiles(within=self.path)) if self.is_local else self

    def read(self, read: Callable[[pa.NativeFile], _Made]) -> _Made:
        """Return what `read` makes of the open file; while the store fails, the file is opened and read again.

        Raises:
            StorageUnavailable: the store failed each time. All else that `read` or the store raises goes on as it is.
        """

        def attempt() -> _Made:
            with self.filesystem.open_input_file(self.path) as stream:
                return read(stream)

        return Retry().reading(attempt, f"{self.url}: the store")

    def read_bytes(self) -> bytes:
        """Return the whole file; raises as `read`."""
        return self.read(lambda stream: bytes(stream.read()))

    def write_bytes(self, data: bytes) -> None:
        """Write the whole file and the directories above it.

        Raises:
            StorageUnavailable: the store does not take it.
        """
        with writing(self):
            self.filesystem.create_dir(posixpath.dirname(self.path), recursive=True)
            with self.filesystem.open_output_stream(self.path) as stream:
                stream.write(data)
            if self.is_local:
                sync_file(self.path)

    def move(self, target: "Location") -> None:
        """Rename to `target`, which lies on the same filesystem and does not exist."""
        self.filesystem.move(self.path, target.path)

    def delete(self) -> None:
        """Delete the file or the directory with all that is in it, if there is one; another may be deleting it, too."""
        if self.is_local:
            self._delete_local()
            return
        kind = self.info().type
        with suppress(FileNotFoundError):
            if kind == pafs.FileType.Directory:
                self.filesystem.delete_dir(self.path)
            elif kind != pafs.FileType.NotFound:
                self.filesystem.delete_file(self.path)

    def _delete_local(self) -> None:
        # A link is deleted, not what it leads to; one to nothing is there, too.
        with suppress(FileNotFoundError):
            if os.path.isdir(self.path) and not os.path.islink(self.path):
                self.filesystem.delete_dir(self.path)
            elif os.path.lexists(self.path):
                self.filesystem.delete_file(self.path)


@contextmanager
def reading(place: Location) -> Iterator[None]:
    """Raise StorageUnavailable, naming the place, for what its store raises in the body: no permission, a file that is gone."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"{place.url} cannot be read: {error}{way_out(error)}") from error


def way_out(error: Exception) -> str:
    """Return what to do about a store's error, as the end of a message; nothing where its own words say enough."""
    return f"; {_ALLOW}" if "permission denied" in str(error).lower() else ""


@contextmanager
def writing(place: Location) -> Iterator[None]:
    """Raise StorageUnavailable, naming the place, for what its store raises in the body: a full disk, a quota, no permission."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable(f"{place.url} cannot be written: {error}") from error


def is_hidden(relative: str) -> bool:
    """Whether any part of a relative path begins with `_` (and is no `key=value`) or `.`, so that Spark would not read it."""
    return any(part.startswith(".") or (part.startswith("_") and "=" not in part) for part in relative.split("/"))
