"""URL to filesystem and path."""

import os
from urllib.parse import unquote

from pyarrow.fs import PyFileSystem

from bigdata_ml.shown import refuse_credentials
from bigdata_ml.storage.hdfs import hdfs_handler
from bigdata_ml.storage.local import LocalFiles
from bigdata_ml.storage.location import Location
from bigdata_ml.storage.s3 import s3_handler
from bigdata_ml.storage.webhdfs import webhdfs_handler

__all__ = ["SCHEMES", "locate"]

SCHEMES = ("file", "hdfs", "webhdfs", "s3")


def locate(url: str | os.PathLike[str]) -> Location:
    """Return where `url` is.

    Args:
        url: a local path, or `file://`, `hdfs://host:port/path`, `webhdfs://host:port/path`, `s3://bucket/path`.
            `hdfs` and `webhdfs` need the extra `hdfs`; to write or delete on `s3` needs the extra `s3`. Its endpoint and keys
            come from AWS's own configuration: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID …

    Raises:
        ValueError: an unknown scheme, an URL without a path, or one that holds a password or key.
        StorageUnavailable: the client is not installed or does not reach the store.

    >>> locate("file:///data/flowers").path
    '/data/flowers'
    """
    text = os.fspath(url)
    if not text:
        raise ValueError("an empty URL names no path")
    if "://" not in text and not text.startswith("file:"):
        path = os.path.abspath(text)
        return Location(path, LocalFiles(), path)
    refuse_credentials(text)
    scheme, authority, path = _split(text.rstrip("/"))
    if scheme not in SCHEMES:
        raise ValueError(f"{text}: the scheme must be one of {', '.join(SCHEMES)}, or a local path, got {scheme!r}")
    if not path.strip("/") and not (scheme == "s3" and authority):
        raise ValueError(f"{text}: names no path; write {scheme}://…/directory")
    if scheme == "file":
        if authority not in ("", "localhost"):
            raise ValueError(f"{text}: names the host {authority!r}; write file:///{authority}{path} for a local path")
        path = os.path.abspath(unquote(path))
        return Location(path, LocalFiles(), path)
    if scheme == "s3":
        return Location(text.rstrip("/"), PyFileSystem(s3_handler(url=text)), authority + path)
    handler = hdfs_handler(authority, url=text) if scheme == "hdfs" else webhdfs_handler(authority, url=text)
    return Location(text.rstrip("/"), PyFileSystem(handler), path)


def _split(url: str) -> tuple[str, str, str]:
    """Return scheme, host with port, and path; `?` and `#` belong to the path, as they do to Hadoop."""
    scheme, _, rest = url.partition(":")
    if not rest.startswith("//"):
        return scheme.lower(), "", rest
    authority, slash, path = rest[2:].partition("/")
    return scheme.lower(), authority, slash + path
