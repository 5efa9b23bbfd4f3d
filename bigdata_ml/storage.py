"""URL to filesystem and path: the only place where a storage client is named."""

import importlib
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable

__all__ = ["SCHEMES", "Location", "is_hidden", "locate"]

SCHEMES = ("file", "hdfs", "s3")


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
            StorageUnavailable: the filesystem does not answer.
        """
        try:
            return self.filesystem.get_file_info(self.path)
        except OSError as error:
            raise StorageUnavailable(f"{self.url} cannot be reached: {error}") from error

    def exists(self) -> bool:
        """Whether a file or directory is there."""
        return bool(self.info().type != pafs.FileType.NotFound)

    def is_directory(self) -> bool:
        """Whether a directory is there."""
        return bool(self.info().type == pafs.FileType.Directory)

    def walk(self) -> Iterator[tuple[str, pafs.FileInfo]]:
        """Yield (path relative to this one, info) of every visible file and directory below, sorted by path.

        Names that begin with `_` or `.` are hidden, as they are to Spark and Hadoop.

        Raises:
            StorageUnavailable: the filesystem does not answer.
        """
        try:
            found = self.filesystem.get_file_info(pafs.FileSelector(self.path, recursive=True))
        except OSError as error:
            raise StorageUnavailable(f"{self.url} cannot be listed: {error}") from error
        start = len(self.path.rstrip("/")) + 1
        for info in sorted(found, key=lambda one: str(one.path)):
            relative = info.path[start:]
            if not is_hidden(relative):
                yield relative, info

    def read_bytes(self) -> bytes:
        """Return the whole file."""
        with self.filesystem.open_input_file(self.path) as stream:
            return bytes(stream.read())

    def write_bytes(self, data: bytes) -> None:
        """Write the whole file and the directories above it."""
        self.filesystem.create_dir(posixpath.dirname(self.path), recursive=True)
        with self.filesystem.open_output_stream(self.path) as stream:
            stream.write(data)

    def move(self, target: "Location") -> None:
        """Rename to `target`, which lies on the same filesystem and does not exist."""
        self.filesystem.move(self.path, target.path)

    def delete(self) -> None:
        """Delete the file or the directory with all that is in it, if there is one."""
        kind = self.info().type
        if kind == pafs.FileType.Directory:
            self.filesystem.delete_dir(self.path)
        elif kind != pafs.FileType.NotFound:
            self.filesystem.delete_file(self.path)


def is_hidden(relative: str) -> bool:
    """Whether any part of a relative path begins with `_` or `.`, so that Spark would not read it."""
    return any(part.startswith(("_", ".")) for part in relative.split("/"))


def locate(url: str | os.PathLike[str]) -> Location:
    """Return where `url` is.

    Args:
        url: a local path, or `file://`, `hdfs://host:port/path`, `s3://bucket/path`.
            `hdfs` needs the extra `hdfs`, `s3` the extra `s3` (its endpoint and keys come from AWS's own
            configuration: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID …).

    Raises:
        ValueError: an unknown scheme, or an URL without a path.
        StorageUnavailable: the client is not installed or does not reach the store.

    >>> locate("file:///data/flowers").path
    '/data/flowers'
    """
    text = os.fspath(url)
    scheme = urlsplit(text).scheme if "://" in text or text.startswith("file:") else ""
    if scheme == "":
        path = os.path.abspath(text)
        return Location(path, pafs.LocalFileSystem(), path)
    if scheme not in SCHEMES:
        raise ValueError(f"{text}: the scheme must be one of {', '.join(SCHEMES)}, or a local path, got {scheme!r}")
    parts = urlsplit(text)
    if not parts.path.strip("/") and not (scheme == "s3" and parts.netloc):
        raise ValueError(f"{text}: names no path; write {scheme}://…/directory")
    if scheme == "file":
        path = unquote(parts.path).rstrip("/")
        return Location(path, pafs.LocalFileSystem(), path)
    return _hdfs(text.rstrip("/")) if scheme == "hdfs" else _s3(text.rstrip("/"))


def _hdfs(url: str) -> Location:
    parts = urlsplit(url)
    client = _client("hdfs_native.fsspec", extra="hdfs", url=url)
    try:
        filesystem = client.HdfsFileSystem(host=parts.hostname, port=parts.port)
    except (OSError, RuntimeError) as error:
        raise StorageUnavailable(f"{url} cannot be reached: {error}") from error
    return Location(url, pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), parts.path)


def _s3(url: str) -> Location:
    parts = urlsplit(url)
    filesystem = _client("s3fs", extra="s3", url=url).S3FileSystem()
    return Location(url, pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), parts.netloc + parts.path)


def _client(module: str, *, extra: str, url: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise StorageUnavailable(f"{url} needs {module}: pip install 'bigdata_ml[{extra}]'") from error
