"""S3 and what speaks its protocol, by s3fs."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.storage.client import storage_client

__all__ = ["s3_handler"]


def s3_handler(*, url: str) -> pafs.FSSpecHandler:
    """Return pyarrow's handler of S3; endpoint and keys come from AWS's own configuration.

    Raises:
        StorageUnavailable: s3fs is not installed.
    """
    # Listings kept in memory would hide what others publish or delete.
    filesystem = storage_client("s3fs", extra="s3", url=url).S3FileSystem(use_listings_cache=False)
    return _S3Handler(filesystem)


class _S3Handler(pafs.FSSpecHandler):  # type: ignore[misc]  # pyarrow has no types
    """S3 as pyarrow asks for it; that it cannot be reached is a ConnectionError, an OSError as with every filesystem."""

    @staticmethod
    def _create_file_info(path: str, info: dict[str, Any]) -> pafs.FileInfo:
        # pyarrow looks for the time of change under a name that s3fs does not use.
        found = pafs.FSSpecHandler._create_file_info(path, info)
        return pafs.FileInfo(path, found.type, size=info["size"] if found.is_file else None, mtime=info.get("LastModified"))

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        with _s3_errors():
            return list(super().get_file_info(paths))

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        with _s3_errors():
            return list(super().get_file_info_selector(selector))

    def open_input_file(self, path: str) -> pa.PythonFile:
        # Not super's, which calls a file missing when S3 does not answer.
        with _s3_errors():
            return pa.PythonFile(self.fs.open(path, mode="rb"), mode="r")


@contextmanager
def _s3_errors() -> Iterator[None]:
    try:
        yield
    except importlib.import_module("botocore.exceptions").BotoCoreError as error:
        raise ConnectionError(str(error)) from error
