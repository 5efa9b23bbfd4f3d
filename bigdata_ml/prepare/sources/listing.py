"""List the files of a source, and detect changes while a job reads them more than once."""

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
    """The files of a source, listed before they are read.

    Attributes:
        root: the listed folder, or a single file.
        files: columns `LISTED`: path below the root, size in bytes, modification time in ns since 1970 (null if unknown).
        obstacles: why a file cannot be read, by path, such as a broken link; its size is 0.
        when: start of the listing in ns since 1970, by this machine's clock.
    """

    root: Location
    files: pa.Table
    when: int
    obstacles: Mapping[str, str] = field(default_factory=dict)

    def refuse_changed(self) -> None:
        """Verify that no listed file changed.

        Raises:
            JobRefused: a file was removed or changed; the error names the first. New files are ignored.
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
    """Return the current files below a directory, below the root of a glob, or a single file.

    Raises:
        StorageUnavailable: the store does not respond.
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
    """Return the visible files of a directory, or the file itself.

    Raises:
        JobRefused: a broken link, a FIFO or another special file, a name that is not UTF-8, a table of Iceberg, Delta or
            Hudi, or a file that Spark would read twice through links.
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
