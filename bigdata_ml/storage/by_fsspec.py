"""Any other store, by whatever fsspec knows of it."""

import io
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.shown import refuse_credentials
from bigdata_ml.storage.client import storage_client
from bigdata_ml.storage.local import LocalFiles
from bigdata_ml.storage.location import Location

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
    return Location(url.rstrip("/"), filesystem, path.rstrip("/") or path)


class _Handler(pafs.FSSpecHandler):  # type: ignore[misc]  # pyarrow has no types
    """Files that threads may read side by side: the filesystem `memory` gives all who open a file one object, one position."""

    def open_input_file(self, path: str) -> pa.NativeFile:
        # Not `isfile`, which calls a file missing when the store does not answer.
        if self.fs.info(path)["type"] != "file":
            raise FileNotFoundError(path)
        file = self.fs.open(path, mode="rb")
        return pa.BufferReader(file.getvalue()) if isinstance(file, io.BytesIO) else pa.PythonFile(file, mode="r")
