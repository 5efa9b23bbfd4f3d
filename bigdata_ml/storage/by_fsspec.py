"""Any other store, by whatever fsspec knows of it."""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.shown import refuse_credentials
from bigdata_ml.storage.client import OnePerProcess, storage_client
from bigdata_ml.storage.local import LocalFiles
from bigdata_ml.storage.location import Location
from bigdata_ml.storage.per_process import Rebuilt

__all__ = ["locate_by_fsspec", "place_in"]


def locate_by_fsspec(url: str, options: Mapping[str, Any] | None = None) -> Location:
    """Return where `url` is, on the filesystem that fsspec makes of its scheme.

    Args:
        url: of any scheme that fsspec, with the packages that are installed, knows: `gs://`, `abfs://`, `memory://` …
        options: settings of that filesystem (keys, end points).

    Raises:
        StorageUnavailable: fsspec, or the package it needs for the scheme, is not installed.
        ValueError: a scheme that it does not know, or an URL that holds a password or key.
    """
    refuse_credentials(url)
    core = storage_client("fsspec.core", extra="hdfs", url=url)
    try:
        filesystem, path = core.url_to_fs(url, **(options or {}))
    except ImportError as error:
        raise StorageUnavailable(f"{url} cannot be reached: {error}") from error
    return Location(url.rstrip("/"), pafs.PyFileSystem(_Handler(filesystem)), path.rstrip("/") or path)


def place_in(filesystem: Any, url: str, path: str) -> Location:
    """Return where `url` is on a filesystem that the caller made: at `path` on pyarrow's, where fsspec's says of the URL."""
    if not isinstance(filesystem, pafs.FileSystem):
        path = filesystem._strip_protocol(url)
        filesystem = pafs.PyFileSystem(_Handler(filesystem))
    if isinstance(filesystem, pafs.LocalFileSystem):
        filesystem = LocalFiles()
    elif not isinstance(filesystem, pafs.PyFileSystem | pafs.SubTreeFileSystem):
        filesystem = pafs.PyFileSystem(Rebuilt(filesystem))
    return Location(url.rstrip("/"), filesystem, path.rstrip("/") or path)


class _Handler(pafs.FSSpecHandler):  # type: ignore[misc]  # pyarrow has no types
    """Files of a store that fsspec reaches, with one client per process, and each read asking for just its bytes."""

    def __init__(self, filesystem: Any) -> None:
        self._given = (os.getpid(), filesystem)
        self._client = OnePerProcess(self._make)

    @property
    def fs(self) -> Any:
        """The filesystem that was given, in the process that it was given in; in another one made of the same settings."""
        return self._client()

    def _make(self) -> Any:
        process, given = self._given
        # Clients that run in a thread refuse to work in a forked process.
        is_here = process == os.getpid() or not hasattr(given, "storage_args")
        return given if is_here else type(given)(*given.storage_args, **given.storage_options)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Handler, (self._given[1],)

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        with _store_errors():
            return list(super().get_file_info(paths))

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        with _store_errors():
            return list(super().get_file_info_selector(selector))

    def open_input_file(self, path: str) -> pa.NativeFile:
        with _store_errors():
            # Not `isfile`, which calls a file missing when the store does not answer.
            if self.fs.info(path)["type"] != "file":
                raise FileNotFoundError(path)
            # By default 5 to 50 MiB are read ahead, whatever is asked for.
            file = self.fs.open(path, mode="rb", cache_type="none")
        # The filesystem `memory` gives all who open a file one object, with one position.
        return pa.BufferReader(file.getvalue()) if isinstance(file, io.BytesIO) else pa.PythonFile(_Stream(file), mode="r")


class _Stream:
    """A file that is read, whose errors without a number are the store's: Parquet's own have none either."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Return bytes from the position on."""
        with _store_errors():
            return bytes(self._file.read(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if type(error) is not OSError or error.errno is not None:
            raise
        raise ConnectionError(str(error)) from error
