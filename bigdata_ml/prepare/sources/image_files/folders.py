"""Read image files below a folder or by a glob, on any store."""

import re
import time
from collections.abc import Iterable

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.spark import spark_path
from bigdata_ml.prepare.sources.image_files.files import ImageFiles, LabelFile, labelled
from bigdata_ml.prepare.sources.listing import LISTED, Listing, split_glob
from bigdata_ml.prepare.sources.packed import Packs, Stretch, packs, packs_for, packs_of
from bigdata_ml.storage import Entry, Location, is_hidden, lakehouse_below, list_tree

__all__ = ["images", "packs_listed"]

# Spark's list of files takes 3.3 KB of the driver's heap per file on HDFS, mostly block locations that a task of hundreds of
# scattered files cannot use. Ours takes about ten bytes.
_MOST_FILES_OF_SPARK = 20_000
# The ending that `hdfs dfs -put` gives unfinished files; Spark skips them.
_COPYING = "._COPYING_"


def images(spark: SparkSession, url: str, *, label_from: str | LabelFile = "folder") -> ImageFiles:
    """Return the files below `url`.

    Spark's `binaryFile` reads up to 20,000 files on HDFS near their blocks. Our own client reads more files, files on other
    stores, and paths with a colon, which Hadoop rejects; the same process then inspects the bytes. Both read many tiny files
    per task.

    Args:
        spark: the session.
        url: a folder, read at any depth; or a glob: `*` and `?` match within a name, `[…]` one character, `**` any folders.
            Hidden files (`_…`, `.…`) and unfinished ones (`…._COPYING_`) are skipped and counted. A link to a folder is
            followed once. Unreadable files, such as broken links, are refused.
        label_from: `folder` uses the name of the folder of a file, `none` gives no labels; otherwise a CSV or JSON file of
            labels, or its URL: see `labelled`.

    Raises:
        JobRefused: the folder does not exist or has no files, or the label file is invalid.
    """
    root, glob = split_glob(url)
    pattern = _pattern(glob) if glob else None
    if not root.is_directory():
        raise JobRefused(f"{root.url}: there is no such folder; --source must name a folder of images")
    when = time.time_ns()
    tree = list_tree(root)
    table = lakehouse_below(root, tree)
    if table is not None:
        raise JobRefused(table)
    folders = {path for path in tree.folders if "/" not in path and not is_hidden(path)} if pattern is None else set()
    everything = [entry for entry in tree.files if pattern is None or pattern.fullmatch(entry.path)]
    visible = [entry for entry in everything if not is_hidden(entry.path)]
    files = [entry for entry in visible if not entry.path.endswith(_COPYING)]
    if not files:
        where = f"that match {url}" if pattern is not None else "there; images are looked for in its folders, at any depth"
        raise JobRefused(f"{root.url}: no files {where}")
    size = sum(entry.size for entry in files)
    unread = None if pattern is None and _is_for_spark(root, files) else _packs(spark, root, files, size)
    return ImageFiles(
        rows=labelled(spark, unread.read() if unread else _read_by_spark(spark, root, files), label_from),
        files=len(files),
        bytes=size,
        packs=unread,
        label_from=label_from,
        empty_classes=tuple(sorted(folders - {entry.path.split("/")[0] for entry in files})),
        passed_over={
            "hidden": len(everything) - len(visible),
            "unfinished": len(visible) - len(files),
            "linked_again": len(tree.linked_again) if pattern is None else 0,
        },
        listing=Listing(root, _listed(files), when, {entry.path: entry.obstacle for entry in files if entry.obstacle}),
    )


def packs_listed(spark: SparkSession, listing: Listing, files: Iterable[tuple[str, int]]) -> Packs:
    """Return packs of listed files, given by path and size; a removed or resized file ends the job."""
    known = listing.obstacles
    return packs_of(spark, packs(_stretch(listing.root, path, size, known.get(path, "")) for path, size in files))


def _stretch(root: Location, path: str, size: int, obstacle: str) -> Stretch:
    return Stretch(f"{root.url}/{path}", path, 0, -1, size, obstacle=obstacle)


def _listed(files: list[Entry]) -> pa.Table:
    rows = [(entry.path, entry.size, entry.modified) for entry in files]
    columns = zip(*rows, strict=True)
    return pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, LISTED, strict=True)], schema=LISTED
    )


def _pattern(glob: str) -> "re.Pattern[str]":
    words = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    tokens = re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|.", glob, re.DOTALL)
    return re.compile("".join(words.get(token) or _token_pattern(token) for token in tokens), re.DOTALL)


def _token_pattern(token: str) -> str:
    if len(token) == 1:
        return re.escape(token)
    inside = token[1:-1].replace("\\", "\\\\")
    return f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"


def _is_for_spark(root: Location, files: list[Entry]) -> bool:
    few = len(files) <= _MOST_FILES_OF_SPARK
    return few and root.url.startswith("hdfs://") and not any(":" in entry.path or entry.obstacle for entry in files)


def _packs(spark: SparkSession, root: Location, files: list[Entry], size: int) -> Packs:
    stretches = (_stretch(root, entry.path, entry.size, entry.obstacle) for entry in files)
    return packs_of(spark, packs_for(spark, stretches, files=len(files), size=size))


def _read_by_spark(spark: SparkSession, root: Location, files: list[Entry]) -> DataFrame:
    read = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(spark_path(spark, root))
    # Spark turns file:///a into file:/a, so the root is matched by its path.
    relative = F.element_at(F.split("path", _quoted(f"{root.path}/"), 2), 2)
    rows = read.where("length > 0").select(relative.alias("path"), F.col("content"))
    # Spark skips empty files; add them, so that they are refused and counted.
    empty = [(entry.path,) for entry in files if entry.size == 0]
    if empty:
        rows = rows.union(spark.createDataFrame(empty, "path string").withColumn("content", F.lit("").cast("binary")))
    return rows


def _quoted(text: str) -> str:
    return f"\\Q{text}\\E"
