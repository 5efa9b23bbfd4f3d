"""Files of a source that change while a job reads it: Spark reads them more than once, and the passes must agree."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.errors import JobRefused
from bigdata_ml.storage import Location, locate

__all__ = ["Listing", "list_source"]

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a source at a time: of each its path below `root`, its bytes, and its time of change (null: not told)."""

    root: Location
    files: pa.Table

    def refuse_changed(self) -> None:
        """List the source again.

        Raises:
            JobRefused: a file is gone or another one than it was, naming the first one. New files are not looked at.
        """
        now = dict(_files(self.root))
        for path, size, changed in zip(*(self.files[name].to_pylist() for name in self.files.column_names), strict=True):
            found = now.get(path)
            if found is None:
                raise JobRefused(f"{_url(self.root, path)}: it is gone, the job has read it; {_WAY_OUT}")
            if found != (size, changed):
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
    found = list(_files(root))
    columns = {
        "path": pa.array([path for path, _ in found], pa.string()),
        "size": pa.array([size for _, (size, _) in found], pa.int64()),
        "changed": pa.array([changed for _, (_, changed) in found], pa.int64()),
    }
    return Listing(root, pa.table(columns))


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
