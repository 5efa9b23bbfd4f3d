"""HDFS by WebHDFS, its REST interface, for machines that reach no port of HDFS but the HTTP ones."""

import importlib
import os
import socket
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage.client import OnePerProcess, storage_client
from bigdata_ml.storage.spooled import SpooledFile
from bigdata_ml.storage.webhdfs_file import WebHdfsReadFile, send_by_webhdfs, webhdfs_errors

__all__ = ["webhdfs_handler"]

_DEFAULT_PORT = 9870
_KNOCK_SECONDS = 10.0
_ANSWER_SECONDS = 60.0


def webhdfs_handler(authority: str, *, url: str) -> pafs.FSSpecHandler:
    """Return pyarrow's handler of the HDFS whose NameNode has its HTTP port at `authority` (host:port; 9870 if there is none).

    Raises:
        StorageUnavailable: the package hdfs is not installed, or nobody answers.
    """
    storage_client("hdfs", extra="hdfs", url=url)
    try:
        place = urlsplit(f"//{authority}")
        socket.create_connection((place.hostname or "", place.port or _DEFAULT_PORT), _KNOCK_SECONDS).close()
    except (OSError, ValueError) as error:
        raise StorageUnavailable(
            f"{url} cannot be reached: {error}; write webhdfs://HOST:PORT/… with the HTTP port of a running NameNode "
            f"({_DEFAULT_PORT} where it is not configured)"
        ) from error
    return _WebHdfsHandler(_WebHdfs(f"{place.hostname}:{place.port or _DEFAULT_PORT}"))


@OnePerProcess
def _webhdfs_client(authority: str, user: str | None) -> Any:
    """Return the process's client."""
    timeout = (_KNOCK_SECONDS, _ANSWER_SECONDS)
    client = importlib.import_module("hdfs").InsecureClient(f"http://{authority}", user=user, timeout=timeout)
    # Its own takes `#LATEST` in a path for the newest file there.
    client.resolve = str
    return client


class _WebHdfsHandler(pafs.FSSpecHandler):  # type: ignore[misc]  # pyarrow has no types
    """HDFS as pyarrow asks for it; opening a file costs one call to the NameNode, not three."""

    def open_input_file(self, path: str) -> pa.PythonFile:
        return pa.PythonFile(self.fs.open(path, mode="rb"), mode="r")

    open_input_stream = open_input_file


@dataclass(frozen=True, slots=True)
class _WebHdfs:
    """The part of fsspec's interface that `FSSpecHandler` needs, by the package hdfs.

    fsspec's own WebHDFS forgets which DataNode did not answer, and is sent to it again.
    """

    authority: str
    protocol: str = "webhdfs"

    @property
    def client(self) -> Any:
        # As Hadoop's own client: the user that HADOOP_USER_NAME names, else the one who runs this.
        return _webhdfs_client(self.authority, os.environ.get("HADOOP_USER_NAME"))

    def info(self, path: str) -> dict[str, Any]:
        with webhdfs_errors(path):
            return _webhdfs_info(self.client.status(path))

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

    def find(self, path: str, *, maxdepth: int | None, **_: bool) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        waiting = [path.rstrip("/")]
        while waiting:
            directory = waiting.pop()
            with webhdfs_errors(directory):
                statuses = self.client.list(directory or "/", status=True)
            for name, status in statuses:
                place = f"{directory}/{name}"
                found[place] = _webhdfs_info(status)
                if maxdepth is None and status["type"] == "DIRECTORY":
                    waiting.append(place)
        return found

    def mkdir(self, path: str, *, create_parents: bool) -> None:
        if not create_parents:
            self.info(path.rpartition("/")[0] or "/")
        with webhdfs_errors(path):
            self.client.makedirs(path)

    def rm(self, path: str, *, recursive: bool = False) -> None:
        with webhdfs_errors(path):
            self.client.delete(path, recursive=recursive)

    def mv(self, source: str, target: str, *, overwrite: bool = False, **_: bool) -> None:
        # With options the NameNode renames strictly; without, a directory that is there would take the source in.
        options = "OVERWRITE" if overwrite else "NONE"
        with webhdfs_errors(source):
            answer = self.client._rename(source, destination=target, renameoptions=options)
        if answer.content and not answer.json().get("boolean", True):
            raise OSError(f"{source} cannot be renamed to {target}")

    def open(self, path: str, *, mode: str) -> WebHdfsReadFile | SpooledFile:
        if mode == "wb":
            return SpooledFile(partial(send_by_webhdfs, self.client, path))
        info = self.info(path)
        if info["type"] != "file":
            raise IsADirectoryError(path)
        return WebHdfsReadFile(self.client, path, info["size"])


def _webhdfs_info(status: Any) -> dict[str, Any]:
    return {"type": status["type"].lower(), "size": status["length"], "mtime": status["modificationTime"] / 1000}
