"""Image files in folders, on any store, named by a folder or a glob."""

import re
import time
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.fs as pafs
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session import spark_path
from bigdata_ml.prepare.sources.files import ImageFiles, labelled
from bigdata_ml.prepare.sources.listing import LISTED, Listing
from bigdata_ml.prepare.sources.packed import Packs, Stretch, packs, packs_for, packs_of
from bigdata_ml.storage import Location, is_hidden, locate

__all__ = ["images", "packs_listed"]

# Spark's list of files holds 3.3 KB of the driver's heap a file on HDFS, most of it for places that a task of hundreds of
# files, which lie anywhere, cannot use; ours holds some ten bytes.
_MOST_FILES_OF_SPARK = 20_000
# What `hdfs dfs -put` calls a file that is not whole yet; Spark passes over it.
_COPYING = "._COPYING_"
_WILD = re.compile(r"[*?\[]")


def images(spark: SparkSession, url: str, *, label_from: str = "folder") -> ImageFiles:
    """Return the files below `url`.

    Up to 20,000 files on HDFS are read by Spark's `binaryFile`, which knows where their blocks are; more of them, files with a
    colon in their path, which Hadoop cannot name, and those on other stores by our own client, which hands their bytes to what
    inspects them in the same process. Both read tiny files in tasks of many.

    Args:
        spark: the session.
        url: a folder, whose files are taken at any depth; or a glob: `*` and `?` match within a name, `[…]` one character,
            `**` any folders. Hidden files (`_…`, `.…`) and unfinished ones (`…._COPYING_`) are not looked at, but counted.
        label_from: `folder` takes the name of the folder a file lies in, `none` nothing; else the URL of a CSV or JSON file of
            labels: see `labelled`.

    Raises:
        JobRefused: no folder there, no files in it, or a label file that cannot be used.
    """
    root, pattern = _root_of(url)
    if not root.is_directory():
        raise JobRefused(f"{root.url}: there is no such folder; --source must name a folder of images")
    when = time.time_ns()
    found = list(root.walk(hidden=True))
    folders = {path for path, info in found if info.type == pafs.FileType.Directory and "/" not in path and not is_hidden(path)}
    if pattern is not None:
        found, folders = [one for one in found if pattern.fullmatch(one[0])], set()
    everything = [(path, info) for path, info in found if info.type == pafs.FileType.File]
    visible = [(path, info) for path, info in everything if not is_hidden(path)]
    files = [(path, info) for path, info in visible if not path.endswith(_COPYING)]
    if not files:
        where = f"that match {url}" if pattern is not None else "there; images are looked for in its folders, at any depth"
        raise JobRefused(f"{root.url}: no files {where}")
    size = sum(info.size for _, info in files)
    unread = None if pattern is None and _is_for_spark(root, files) else _packs(spark, root, files, size)
    return ImageFiles(
        rows=labelled(spark, unread.read() if unread else _read_by_spark(spark, root, files), label_from),
        files=len(files),
        bytes=size,
        packs=unread,
        label_from=label_from,
        empty_classes=tuple(sorted(folders - {path.split("/")[0] for path, _ in files})),
        passed_over={"hidden": len(everything) - len(visible), "unfinished": len(visible) - len(files)},
        listing=Listing(root, _listed(files), when),
    )


def packs_listed(spark: SparkSession, listing: Listing, files: Iterable[tuple[str, int]]) -> Packs:
    """Return the packs of some files of a listing, given by path and size; one that is gone or has another size ends the job."""
    return packs_of(spark, packs(Stretch(f"{listing.root.url}/{path}", path, 0, -1, size) for path, size in files))


def _listed(files: list[tuple[str, pafs.FileInfo]]) -> pa.Table:
    rows = [(path, info.size, info.mtime_ns) for path, info in files]
    columns = zip(*rows, strict=True)
    return pa.Table.from_arrays([pa.array(one, field.type) for one, field in zip(columns, LISTED, strict=True)], schema=LISTED)


def _root_of(url: str) -> tuple[Location, "re.Pattern[str] | None"]:
    """Return the folder that is listed, and what the paths below it must match."""
    place = locate(url)
    if not _WILD.search(place.path) or place.exists():
        return place, None
    parts = url.split("/")
    wild = next(number for number, part in enumerate(parts) if _WILD.search(part))
    return locate("/".join(parts[:wild]) or "/"), _pattern("/".join(parts[wild:]))


def _pattern(glob: str) -> "re.Pattern[str]":
    words = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|.", glob, re.DOTALL)
    return re.compile("".join(words.get(one) or _one_of(one) for one in tokens), re.DOTALL)


def _one_of(token: str) -> str:
    if len(token) == 1:
        return re.escape(token)
    inside = token[1:-1].replace("\\", "\\\\")
    return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"


def _is_for_spark(root: Location, files: list[tuple[str, pafs.FileInfo]]) -> bool:
    few = len(files) <= _MOST_FILES_OF_SPARK
    return few and root.url.startswith("hdfs://") and not any(":" in path for path, _ in files)


def _packs(spark: SparkSession, root: Location, files: list[tuple[str, pafs.FileInfo]], size: int) -> Packs:
    stretches = (Stretch(f"{root.url}/{path}", path, 0, -1, info.size) for path, info in files)
    return packs_of(spark, packs_for(spark, stretches, files=len(files), size=size))


def _read_by_spark(spark: SparkSession, root: Location, files: list[tuple[str, pafs.FileInfo]]) -> DataFrame:
    read = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(spark_path(spark, root))
    # Spark writes file:/a where it was given file:///a, so the root is found by its path.
    relative = F.element_at(F.split("path", _quoted(f"{root.path}/"), 2), 2)
    rows = read.where("length > 0").select(relative.alias("path"), F.col("content"))
    # Spark passes over files without a byte; they are to be refused, not overlooked.
    empty = [(path,) for path, info in files if info.size == 0]
    if empty:
        rows = rows.union(spark.createDataFrame(empty, "path string").withColumn("content", F.lit("").cast("binary")))
    return rows


def _quoted(text: str) -> str:
    return f"\\Q{text}\\E"
