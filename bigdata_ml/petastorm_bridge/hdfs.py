"""`pyarrow.hdfs`, which pyarrow had until version 16, over `pyarrow.fs.HadoopFileSystem` (libhdfs)."""

import shutil
from typing import IO, Any, NoReturn

import pyarrow.fs as pafs

from bigdata_ml.petastorm_bridge.filesystems import ArrowFileSystem

__all__ = ["HadoopFileSystem", "connect"]


class HadoopFileSystem(ArrowFileSystem):
    """HDFS. Petastorm's client for two name nodes wraps every public method by name, so each is defined here."""

    def __init__(
        self,
        host: str = "default",
        port: int = 0,
        user: str | None = None,
        kerb_ticket: str | None = None,
        driver: str = "libhdfs",
        extra_conf: dict[str, str] | None = None,
    ) -> None:
        self._arguments = (host, port, user, kerb_ticket, driver, extra_conf)
        super().__init__(pafs.HadoopFileSystem(host, port, user=user, kerb_ticket=kerb_ticket, extra_conf=extra_conf))

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return type(self), self._arguments

    def cat(self, path: str) -> bytes:
        """Return the content of a file."""
        with self.open(path) as file:
            return bytes(file.read())

    def info(self, path: str) -> dict[str, Any]:
        """Return path, kind ('file' or 'directory'), size in bytes and the time of change in seconds since 1970."""
        info = self._filesystem.get_file_info(path)
        kind = "directory" if info.type == pafs.FileType.Directory else "file"
        return {
            "path": info.path,
            "kind": kind,
            "size": info.size,
            "last_modified": int(info.mtime.timestamp()) if info.mtime else 0,
        }

    def stat(self, path: str) -> dict[str, Any]:
        """Return what `info` does."""
        return self.info(path)

    def disk_usage(self, path: str) -> int:
        """Return the bytes of all files under a path."""
        return sum(entry.size or 0 for entry in self._filesystem.get_file_info(pafs.FileSelector(path, recursive=True)))

    def download(self, path: str, stream: IO[bytes], buffer_size: int = 1 << 20) -> None:
        """Copy a file into a stream."""
        with self.open(path) as file:
            shutil.copyfileobj(file, stream, buffer_size)

    def upload(self, path: str, stream: IO[bytes], buffer_size: int = 1 << 20) -> None:
        """Copy a stream into a file."""
        with self.open(path, "wb") as file:
            shutil.copyfileobj(stream, file, buffer_size)

    def chmod(self, path: str, mode: int) -> NoReturn:
        """Raise: pyarrow cannot."""
        raise _gone("chmod", path, mode)

    def chown(self, path: str, owner: str | None = None, group: str | None = None) -> NoReturn:
        """Raise: pyarrow cannot."""
        raise _gone("chown", path, owner, group)

    def df(self) -> NoReturn:
        """Raise: pyarrow cannot."""
        raise _gone("df")

    def get_capacity(self) -> NoReturn:
        """Raise: pyarrow cannot."""
        raise _gone("get_capacity")

    def get_space_used(self) -> NoReturn:
        """Raise: pyarrow cannot."""
        raise _gone("get_space_used")


def _gone(name: str, *arguments: Any) -> NotImplementedError:
    call = f"{name}({', '.join(map(repr, arguments))})"
    return NotImplementedError(f"{call}: pyarrow.fs.HadoopFileSystem has no {name}; use `hdfs dfs`, or a client of its own")


def connect(
    host: str = "default",
    port: int = 0,
    user: str | None = None,
    kerb_ticket: str | None = None,
    extra_conf: dict[str, str] | None = None,
    driver: str = "libhdfs",
) -> HadoopFileSystem:
    """Connect to a name node; `driver` is kept for old callers: there is libhdfs only."""
    return HadoopFileSystem(host, port, user, kerb_ticket, driver, extra_conf)
