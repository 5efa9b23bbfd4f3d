"""Iceberg, Delta and Hudi tables, told by the metadata beside their files: read without it they hold deleted rows, too."""

import re

import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage.listing import Tree
from bigdata_ml.storage.location import Location

__all__ = ["lakehouse_above", "lakehouse_below"]

_DELTA, _HUDI = "_delta_log", ".hoodie"
_ICEBERG = re.compile(r"(?:^|.*/)metadata/(?:[^/]+\.metadata\.json(?:\.gz)?|version-hint\.text|snap-[^/]+\.avro)")
# Directories of keys below a table that are gone up from, to find it.
_MOST_LEVELS = 8


def lakehouse_below(place: Location, tree: Tree) -> str | None:
    """Return in words which table lies in a directory or below it, and the way out; None for no such table."""
    for path in (*tree.folders, *(file.path for file in tree.files)):
        parts = path.split("/")
        for kind, mark in (("Delta", _DELTA), ("Hudi", _HUDI)):
            if mark in parts:
                return _words(_at(place, "/".join(parts[: parts.index(mark)])), kind, mark)
        if _ICEBERG.fullmatch(path):
            return _words(_at(place, path.rpartition("metadata/")[0].rstrip("/")), "Iceberg", path)
    return None


def lakehouse_above(place: Location) -> str | None:
    """Return in words of which table a directory is a part, and the way out: its `data`, or a directory of a key's value."""
    for _ in range(_MOST_LEVELS):
        name, place = place.name, place.parent
        if not place.path.strip("/"):
            return None
        for kind, mark in (("Delta", _DELTA), ("Hudi", _HUDI)):
            if (place / mark).exists():
                return _words(place, kind, mark)
        metadata_file = next((path for path in _names(place / "metadata") if _ICEBERG.fullmatch(f"metadata/{path}")), None)
        if metadata_file is not None:
            return _words(place, "Iceberg", f"metadata/{metadata_file}")
        if "=" not in name:
            return None
    return None


def _names(place: Location) -> list[str]:
    try:
        if not place.is_directory():
            return []
        return [info.path.rsplit("/", 1)[-1] for info in place.filesystem.get_file_info(pafs.FileSelector(place.path))]
    except (OSError, StorageUnavailable, UnicodeDecodeError):
        # Who may read a table's data need not be allowed to look beside it.
        return []


def _at(place: Location, path: str) -> Location:
    return place / path if path else place


def _words(table: Location, kind: str, mark: str) -> str:
    article = "an" if kind == "Iceberg" else "a"
    return (
        f"{table.url}: {article} {kind} table ({mark} is there), whose files also hold rows that were deleted or overwritten; "
        f"read it by {kind}'s own reader and write its rows out as Parquet, or register it in Hive and name it as hive:TABLE"
    )
