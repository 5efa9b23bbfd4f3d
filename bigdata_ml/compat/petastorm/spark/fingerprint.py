"""What a DataFrame's plan says of its data: whether it can be told when they change, and from which files they come."""

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow.fs as pafs
import xxhash

from bigdata_ml.compat.petastorm.reading.opening import reader_url
from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage import Location, locate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["analyzed_plan", "data_fingerprint"]

# Leaves that hold their rows themselves: the plans' comparison compares them.
_CONSTANT = ("LocalRelation", "Range", "OneRowRelation")


def analyzed_plan(rows: "DataFrame") -> Any:
    """Return the JVM's plan of a DataFrame."""
    return rows._jdf.queryExecution().analyzed()


def data_fingerprint(rows: "DataFrame") -> str | None:
    """Return a digest of the data under a plan, or None where nobody can tell when they change.

    Of files it is their names, sizes and times of change, as they are now. Rows that the plan itself holds need none. Nobody can
    tell of JDBC tables, other connectors, RDDs made from files, and stores that `bigdata_ml.storage` does not know.
    """
    plan = analyzed_plan(rows)
    inner = list(_scala(plan.subqueriesAll()))
    if not all(_is_known(leaf) for subplan in [plan, *inner] for leaf in _scala(subplan.collectLeaves())):
        return None
    # What the optimizer leaves of the files; it does not look into subqueries.
    files = set(rows.inputFiles())
    for subplan in inner:
        for leaf in _scala(subplan.collectLeaves()):
            files.update(_files_of(leaf))
    return _digest_of(files)


def _digest_of(files: set[str]) -> str | None:
    by_store: dict[int, list[Location]] = defaultdict(list)
    try:
        places = [locate(reader_url(url if url.startswith("file:") else unquote(url))) for url in sorted(files)]
    except (ValueError, StorageUnavailable):
        return None
    stores: list[pafs.FileSystem] = []
    for place in places:
        known = next((number for number, store in enumerate(stores) if store.equals(place.filesystem)), len(stores))
        stores[known:] = stores[known:] or [place.filesystem]
        by_store[known].append(place)
    digest = xxhash.xxh3_128()
    for number, paths_there in by_store.items():
        for info in _infos(stores[number], [place.path for place in paths_there]):
            digest.update(repr((info.path, info.type.name, info.size, info.mtime_ns)).encode())
    return digest.hexdigest()


def _infos(store: pafs.FileSystem, paths: list[str]) -> Iterator[pafs.FileInfo]:
    for info in store.get_file_info(paths):
        yield info
        # A Hive table is named by its directory.
        if info.type == pafs.FileType.Directory:
            below = store.get_file_info(pafs.FileSelector(info.path, recursive=True))
            yield from sorted(below, key=lambda one: str(one.path))


def _is_known(leaf: Any) -> bool:
    name = leaf.getClass().getSimpleName().rstrip("$")
    if name == "LogicalRelation":
        return bool(_is_files(leaf))
    if name == "LogicalRDD":
        return _is_collection(leaf.rdd())
    return name in (*_CONSTANT, "HiveTableRelation")


def _is_files(leaf: Any) -> bool:
    return bool(leaf.relation().getClass().getSimpleName() == "HadoopFsRelation")


def _files_of(leaf: Any) -> list[str]:
    name = leaf.getClass().getSimpleName()
    if name == "LogicalRelation":
        return list(leaf.relation().location().inputFiles())
    if name == "HiveTableRelation":
        place = leaf.tableMeta().storage().locationUri()
        return [place.get().toString()] if place.isDefined() else []
    return []


def _is_collection(rdd: Any) -> bool:
    """Whether an RDD's rows come from the driver's memory alone."""
    before = list(_scala(rdd.dependencies()))
    if not before:
        return bool(rdd.getClass().getSimpleName() == "ParallelCollectionRDD")
    return all(_is_collection(dependency.rdd()) for dependency in before)


def _scala(sequence: Any) -> Iterator[Any]:
    for place in range(sequence.size()):
        yield sequence.apply(place)
