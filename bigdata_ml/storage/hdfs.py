"""HDFS by hdfs-native, which needs no JVM."""

import importlib
import io
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage.client import OnePerProcess, storage_client
from bigdata_ml.storage.hdfs_sending import send_to_hdfs
from bigdata_ml.storage.spooled import SpooledFile

__all__ = ["hdfs_handler"]

_KNOCK_SECONDS = 10.0
# hdfs-native 0.14 keeps idle connections to DataNodes for three seconds, those of all clients of a process together. A forked
# process that took an inherited one would wait for a minute, and its request would be answered on the parent's connection.
_KEPT_SECONDS = 3.1


def hdfs_handler(authority: str, *, url: str) -> pafs.FSSpecHandler:
    """Return pyarrow's handler of the HDFS at `authority` (host:port of a NameNode, or a nameservice).

    Raises:
        StorageUnavailable: hdfs-native is not installed, or nobody answers.
    """
    storage_client("hdfs_native", extra="hdfs", url=url)
    name_node = urlsplit(f"//{authority}")
    try:
        if name_node.port:
            # The client itself knocks for three minutes where nobody listens.
            socket.create_connection((name_node.hostname, name_node.port), _KNOCK_SECONDS).close()
        _hdfs_client(authority)
    except (OSError, RuntimeError) as error:
        raise StorageUnavailable(
            f"{url} cannot be reached: {error}; write hdfs://HOST:PORT/… of a running NameNode, "
            "or the nameservice that HADOOP_CONF_DIR configures"
        ) from error
    return pafs.FSSpecHandler(_Hdfs(authority))


@partial(OnePerProcess, pause_seconds=_KEPT_SECONDS)
def _hdfs_client(authority: str) -> Any:
    """Return the process's client: in a forked process the calls of another's would hang."""
    return importlib.import_module("hdfs_native").Client(f"hdfs://{authority}")


@contextmanager
def _hdfs_errors() -> Iterator[None]:
    """Raise the client's RuntimeErrors, which are of HDFS or the way to it, as the OSErrors that callers expect."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        # The NameNode's Java stack trace and the whole state of DataNodes follow what a reader needs.
        text = re.split(r"\n|\\n", str(error), maxsplit=1)[0][:300]
        kind = PermissionError if "permission denied" in text.lower() else ConnectionError
        named = isinstance(error, OSError) and type(error) is not OSError
        raise (type(error) if named else kind)(text) from error


@dataclass(frozen=True, slots=True)
class _Hdfs:
    """The part of fsspec's interface that `FSSpecHandler` needs, on HDFS.

    hdfs_native's own takes paths for URLs, so that `rm("/a?b")` deletes `/a`, and tells no time of change.
    """

    authority: str
    protocol: str = "hdfs"

    @property
    def _client(self) -> Any:
        return _hdfs_client(self.authority)

    @_hdfs_errors()
    def info(self, path: str) -> dict[str, Any]:
        return _hdfs_info(self._client.get_file_info(path))

    def exists(self, path: str) -> bool:
        return self._kind(path) is not None

    def isdir(self, path: str) -> bool:
        return self._kind(path) == "directory"

    def isfile(self, path: str) -> bool:
        return self._kind(path) == "file"

    def _kind(self, path: str) -> str | None:
        try:
            return str(self.info(path)["type"])
        except FileNotFoundError:
            return None

    @_hdfs_errors()
    def find(self, path: str, *, maxdepth: int | None, **_: bool) -> dict[str, dict[str, Any]]:
        return {status.path: _hdfs_info(status) for status in self._client.list_status(path, maxdepth is None)}

    @_hdfs_errors()
    def mkdir(self, path: str, *, create_parents: bool) -> None:
        self._client.mkdirs(path, create_parent=create_parents)

    @_hdfs_errors()
    def rm(self, path: str, *, recursive: bool = False) -> None:
        self._client.delete(path, recursive)

    @_hdfs_errors()
    def mv(self, source: str, target: str, *, overwrite: bool = False, **_: bool) -> None:
        self._client.rename(source, target, overwrite)

    @_hdfs_errors()
    def open(self, path: str, *, mode: str) -> "_HdfsFile | SpooledFile":
        if mode == "rb":
            return _HdfsFile(self._client.read(path))
        return SpooledFile(_hdfs_errors()(partial(send_to_hdfs, self.authority, path)))


def _hdfs_info(status: Any) -> dict[str, Any]:
    kind = "directory" if status.isdir else "file"
    return {"type": kind, "size": status.length, "mtime": status.modification_time / 1000}


class _HdfsFile(io.RawIOBase):
    """A file on HDFS that is read."""

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return bool(self._file.readable())

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    @_hdfs_errors()
    def read(self, size: int = -1) -> bytes:
        return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._file.seek(offset, whence)
        return self.tell()

    def tell(self) -> int:
        return int(self._file.tell())

    @_hdfs_errors()
    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()
