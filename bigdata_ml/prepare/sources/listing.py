"""What a store says of a source's files, and whether they changed while a job read them: Spark reads more than once."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from bigdata_ml.errors import JobRefused
from bigdata_ml.storage import Entry, Location, lakehouse_above, lakehouse_below, list_tree, locate

__all__ = ["LISTED", "Listing", "list_source", "refuse_unreadable", "split_glob"]

LISTED = pa.schema([pa.field("path", pa.string()), pa.field("size", pa.int64()), pa.field("modified", pa.int64())])

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a store said of a source's files before they were read.

    Attributes:
        root: what was listed: a folder, or a file by itself.
        files: columns `LISTED`: path below it, size in bytes, time of change in ns since 1970 (null where the store tells none).
        obstacles: by path why a file cannot be read, such as a link to nothing; it is there with a size of 0.
        when: the moment in ns since 1970, by this machine's clock, before which nothing was listed.
    """

    root: Location
    files: pa.Table
    when: int
    obstacles: Mapping[str, str] = field(default_factory=dict)

    def refuse_changed(self) -> None:
        """List the source again.

        Raises:
            JobRefused: a file is gone or another one than it was, naming the first one. New files are not looked at.
        """
        now = dict(_files(self.root))
        for path, size, modified in zip(*(self.files[name].to_pylist() for name in LISTED.names), strict=True):
            current = now.get(path)
            if current is None:
                raise JobRefused(f"{_url(self.root, path)}: it is gone, the job has read it; {_WAY_OUT}")
            if current != (size, modified):
                difference = f"had {size} bytes, has {current[0]}" if current[0] != size else "has another time of change"
                raise JobRefused(f"{_url(self.root, path)}: it changed while the job read it ({difference}); {_WAY_OUT}")


_WAY_OUT = "nothing was published: run the job again when nobody writes there, or on a copy"


def list_source(url: str) -> Listing:
    """Return the files that are there now: below a directory, a file by itself, or below what comes before a glob's first `*`.

    Raises:
        StorageUnavailable: the store does not answer.
    """
    root, _ = split_glob(url)
    when = time.time_ns()
    files = list(_files(root))
    columns = [[path for path, _ in files], [size for _, (size, _) in files], [modified for _, (_, modified) in files]]
    return Listing(root, pa.table(dict(zip(LISTED.names, columns, strict=True)), schema=LISTED), when)


def split_glob(url: str) -> tuple[Location, str]:
    """Return the root of a URL, and the glob below it; empty if the URL is no glob or names an existing path."""
    place = locate(url)
    if not _WILD.search(place.path) or place.exists():
        return place, ""
    parts = url.split("/")
    first = next(number for number, part in enumerate(parts) if _WILD.search(part))
    return locate("/".join(parts[:first]) or "/"), "/".join(parts[first:])


def refuse_unreadable(place: Location) -> list[Entry]:
    """Return the visible files that Spark finds at a place: of a directory, or a file itself.

    Raises:
        JobRefused: a link to nothing, a FIFO and the like, a name that is not UTF-8, a table of Iceberg, Delta or Hudi, or what
            Spark would read twice, by another link.
    """
    if place.is_file():
        return [Entry("", int(place.info().size))]
    if not place.is_directory():
        raise JobRefused(f"{place.url}: is no regular file and no directory; only these are read")
    tree = list_tree(place)
    table = lakehouse_below(place, tree) or lakehouse_above(place)
    if table is not None:
        raise JobRefused(table)
    visible = tree.visible
    for entry in visible:
        if entry.obstacle:
            raise JobRefused(f"{place.url}/{entry.path}: {entry.obstacle}; mend it or take it away")
    again = [*((entry.path, entry.same_as) for entry in visible if entry.same_as), *tree.linked_again]
    if again:
        path, listed = again[0]
        raise JobRefused(f"{place.url}/{path}: is {listed} by another link, whose rows would be read twice; take the link away")
    return visible


def _files(root: Location) -> Iterator[tuple[str, tuple[int, int | None]]]:
    if root.is_file():
        info = root.info()
        yield "", (int(info.size), info.mtime_ns)
    elif root.is_directory():
        for entry in list_tree(root).visible:
            yield entry.path, (entry.size, entry.modified)


def _url(root: Location, path: str) -> str:
    return (root / path).url if path else root.url
