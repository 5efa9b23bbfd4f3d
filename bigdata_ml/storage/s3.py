"""S3 and what speaks its protocol, by pyarrow; what pyarrow cannot do there is in `s3_objects`."""

import configparser
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage.client import OnePerProcess
from bigdata_ml.storage.per_process import PerProcess
from bigdata_ml.storage.s3_objects import aws_variables, create_object, delete_objects

__all__ = ["S3Handler", "s3_handler"]

_CONNECT_SECONDS, _ANSWER_SECONDS = 10.0, 60.0


def s3_handler(*, url: str) -> "S3Handler":
    """Return pyarrow's handler of S3; endpoint and keys come from AWS's own configuration.

    Raises:
        StorageUnavailable: this pyarrow was built without S3.
    """
    try:
        _ = pafs.S3FileSystem
    except ImportError as error:
        text = f"{url} needs a pyarrow that was built with S3: pip install --force-reinstall pyarrow"
        raise StorageUnavailable(text) from error
    return S3Handler()


@OnePerProcess
def _s3_client(_variables: tuple[tuple[str, str], ...]) -> pafs.FileSystem:
    """Return the process's client for AWS's variables as they are now."""
    return pafs.S3FileSystem(
        # pyarrow knows AWS's keys and region, not its endpoint.
        endpoint_override=_endpoint(),
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_ANSWER_SECONDS,
        # So a small object takes one request, not three.
        allow_delayed_open=True,
    )


def _endpoint() -> str | None:
    """Return the endpoint of AWS's variables or of the profile in its configuration file; None is Amazon's own."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if os.environ.get(name):
            return os.environ[name]
    profile = os.environ.get("AWS_PROFILE", "default")
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read(Path(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")).expanduser(), encoding="utf-8")
    section = "default" if profile == "default" else f"profile {profile}"
    return parser.get(section, "endpoint_url", fallback=None)


class S3Handler(PerProcess):
    """S3 as pyarrow asks for it: without directories of its own, so that nothing is left where the last file was deleted."""

    @property
    def client(self) -> pafs.FileSystem:
        """The filesystem that this process made."""
        return _s3_client(aws_variables())

    def create(self, path: str, data: bytes) -> None:
        """Put an object unless one of that name is there; raises FileExistsError, OSError."""
        create_object(path, data)

    def create_dir(self, path: str, recursive: bool) -> None:
        """Do nothing: S3 has keys, not directories."""

    def delete_dir(self, path: str) -> None:
        """Delete all objects below a path, and the empty one by which others mark a directory."""
        with _s3_errors():
            infos = self.client.get_file_info(pafs.FileSelector(path, recursive=True, allow_not_found=True))
        folders = [path, *(info.path for info in infos if info.type == pafs.FileType.Directory)]
        delete_objects([*(info.path for info in infos if info.is_file), *(f"{folder}/" for folder in folders)])

    def delete_file(self, path: str) -> None:
        """Delete an object."""
        # pyarrow would put an empty object in the place of the last one of a directory.
        delete_objects([path])

    def get_file_info(self, paths: list[str]) -> list[pafs.FileInfo]:
        """Return what is known of each path."""
        with _s3_errors():
            return super().get_file_info(paths)

    def get_file_info_selector(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
        """Return what lies below a path."""
        with _s3_errors():
            return super().get_file_info_selector(selector)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open an object to read at any place; each read asks for just its bytes."""
        with _s3_errors():
            return super().open_input_file(path)

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        """Make or replace an object, which is there when the stream is closed."""
        with _s3_errors():
            return super().open_output_stream(path, metadata)

    def __reduce__(self) -> tuple[Any, ...]:
        return S3Handler, ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, S3Handler)

    def __hash__(self) -> int:
        return hash(S3Handler)


@contextmanager
def _s3_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if "AWS Error ACCESS_DENIED" not in str(error):
            raise
        raise PermissionError(f"permission denied: {error}") from error
