"""Finds a directory's Parquet files by name or content, in natural order, and reports the others."""

import re
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType

import pyarrow as pa

from bigdata_ml.errors import DatasetInvalid, DatasetNotFound, StorageUnavailable
from bigdata_ml.shown import shown
from bigdata_ml.storage import Entry, Location, Tree, lakehouse_above, lakehouse_below, list_tree, natural_order, way_out

__all__ = ["ParquetFiles", "is_named_parquet", "is_parquet", "parquet_files", "refuse_lakehouse"]

_NAMED = re.compile(r".*\.(?:parquet|parq|pq)(?:\.(?:snappy|gz|gzip|zstd|zst|lz4|brotli|br))?", re.IGNORECASE)
# Files of these endings are no Parquet, whatever is in them; there may be many, and each look costs a call to the store.
_OTHERS = re.compile(
    r".*\.(?:crc|csv|tsv|txt|md|html?|json|jsonl|ya?ml|xml|log|py|ipynb|jpe?g|png|gif|bmp|tiff?|webp|tar|gz|tgz|zip|bz2|xz|orc|avro|pdf)",
    re.IGNORECASE,
)
_MAGIC = b"PAR1"
_THREADS, _SHOWN = 16, 5


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    """The data files of a directory.

    Attributes:
        paths: relative to it, in natural order.
        passed_over: what is not read, by why: `hidden`, `not_parquet`, `linked_again`.
    """

    paths: list[str]
    passed_over: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


def is_named_parquet(path: str) -> bool:
    """Whether a file's name ends like a Parquet file's: .parquet, .PARQUET, .parq, .pq, .parquet.snappy."""
    return _NAMED.fullmatch(path) is not None


def parquet_files(root: Location) -> ParquetFiles:
    """Return the Parquet files below a directory; files that are none, and files that are there twice, are warned of by name.

    Files of other endings, or none, as Hive writes them, are Parquet files if their content begins and ends as one's does.

    Raises:
        DatasetNotFound: there are none.
        DatasetInvalid: a table of Iceberg, Delta or Hudi, or a part of one; a link to nothing, a FIFO or a name that is not
            UTF-8, by name.
        StorageUnavailable: the store does not answer.
    """
    tree = list_tree(root)
    refuse_lakehouse(root, tree)
    visible = tree.visible
    for entry in visible:
        if entry.obstacle:
            raise DatasetInvalid(f"{(root / entry.path).url}: it {_sentence(entry)}; delete it, or put the file there")
    again = [*((entry.path, entry.same_as) for entry in visible if entry.same_as), *tree.linked_again]
    named = [entry for entry in visible if not entry.same_as]
    with ThreadPoolExecutor(_THREADS) as pool:
        answers = pool.map(lambda entry: is_parquet(root / entry.path, entry.path, entry.size), named)
        parquet_paths = {entry.path for entry, answer in zip(named, answers, strict=True) if answer}
    others = [entry.path for entry in named if entry.path not in parquet_paths]
    if not parquet_paths:
        there = f"; there are {_some(others)}" if others else ""
        raise DatasetNotFound(f"{root.url}: no Parquet files there{there}; a dataset is a directory with Parquet files")
    if others:
        text = f"{root.url}: {len(others)} files are no Parquet files and are not read: {_some(others)}"
        warnings.warn(shown(text), stacklevel=4)
    if again:
        links = _some(f"{path} is {other}" for path, other in again)
        warnings.warn(shown(f"{root.url}: what links lead to again is read once: {links}"), stacklevel=4)
    counts = {"hidden": len(tree.files) - len(visible), "not_parquet": len(others), "linked_again": len(again)}
    return ParquetFiles(natural_order(parquet_paths), {why: count for why, count in counts.items() if count})


def refuse_lakehouse(root: Location, tree: Tree) -> None:
    """Raise DatasetInvalid if a directory is, holds or is part of a table of Iceberg, Delta or Hudi."""
    lakehouse = lakehouse_below(root, tree) or lakehouse_above(root)
    if lakehouse is not None:
        raise DatasetInvalid(lakehouse)


def _sentence(entry: Entry) -> str:
    return entry.obstacle if not entry.obstacle.startswith("its ") else f"cannot be read: {entry.obstacle}"


def is_parquet(place: Location, name: str, size: int) -> bool:
    """Whether a file of so many bytes is Parquet: by its name, or else by how it begins and ends, which is looked at.

    Raises:
        StorageUnavailable: it cannot be read.
    """
    if is_named_parquet(name):
        return True
    if size < len(_MAGIC) * 3 or _OTHERS.fullmatch(name):
        return False
    try:
        return place.read(lambda stream: _has_magic(stream, size))
    except OSError as error:
        raise StorageUnavailable(f"{place.url} cannot be read: {error}{way_out(error)}") from error


def _has_magic(stream: pa.NativeFile, size: int) -> bool:
    if stream.read(len(_MAGIC)) != _MAGIC:
        return False
    stream.seek(size - len(_MAGIC))
    return bool(stream.read(len(_MAGIC)) == _MAGIC)


def _some(names: Iterable[str]) -> str:
    named = list(names)
    more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return ", ".join(named[:_SHOWN]) + more
