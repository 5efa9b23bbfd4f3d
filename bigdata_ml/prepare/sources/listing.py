"""What a store says of a source's files, and whether they changed while a job read them: Spark reads more than once."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.errors import JobRefused
from bigdata_ml.storage import Location, locate

__all__ = ["LISTED", "Listing", "list_source"]

LISTED = pa.schema([pa.field("path", pa.string()), pa.field("size", pa.int64()), pa.field("modified", pa.int64())])

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a store said of a source's files before they were read.

    Attributes:
        root: what was listed: a folder, or a file by itself.
        files: columns `LISTED`: path below it, size in bytes, time of change in ns since 1970 (null where the store tells none).
        when: the moment in ns since 1970, by this machine's clock, before which nothing was listed.
    """

    root: Location
    files: pa.Table
    when: int

    def refuse_changed(self) -> None:
        """List the source again.

        Raises:
            JobRefused: a file is gone or another one than it was, naming the first one. New files are not looked at.
        """
        now = dict(_files(self.root))
        for path, size, modified in zip(*(self.files[name].to_pylist() for name in LISTED.names), strict=True):
            found = now.get(path)
            if found is None:
                raise JobRefused(f"{_url(self.root, path)}: it is gone, the job has read it; {_WAY_OUT}")
            if found != (size, modified):
                difference = f"had {size} bytes, has {found[0]}" if found[0] != size else "has another time of change"
                raise JobRefused(f"{_url(self.root, path)}: it changed while the job read it ({difference}); {_WAY_OUT}")


_WAY_OUT = "nothing was published: run the job again when nobody writes there, or on a copy"


def list_source(url: str) -> Listing:
    """Return the files that are there now: below a directory, a file by itself, or below what comes before a glob's first `*`.

    Raises:
        StorageUnavailable: the store does not answer.
    """
    root = locate(url)
    if _WILD.search(root.path) and not root.exists():
        parts = url.split("/")
        root = locate("/".join(parts[: next(number for number, part in enumerate(parts) if _WILD.search(part))]) or "/")
    when = time.time_ns()
    found = list(_files(root))
    columns = [[path for path, _ in found], [size for _, (size, _) in found], [modified for _, (_, modified) in found]]
    return Listing(root, pa.table(dict(zip(LISTED.names, columns, strict=True)), schema=LISTED), when)


def _files(root: Location) -> Iterator[tuple[str, tuple[int, int | None]]]:
    if not root.is_directory():
        info = root.info()
        if info.type == pafs.FileType.File:
            yield "", (int(info.size), info.mtime_ns)
        return
    for path, info in root.walk():
        if info.type == pafs.FileType.File:
            yield path, (int(info.size), info.mtime_ns)


def _url(root: Location, path: str) -> str:
    return (root / path).url if path else root.url
