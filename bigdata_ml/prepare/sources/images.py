"""A folder of image files, labelled by their folders or by a file of labels."""

from dataclasses import dataclass

import pyarrow.fs as pafs
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session import spark_path
from bigdata_ml.storage import locate

__all__ = ["ImageFolder", "images"]

# What `hdfs dfs -put` calls a file that is not whole yet; Spark passes over it.
_COPYING = "._COPYING_"


@dataclass(frozen=True, slots=True)
class ImageFolder:
    """Image files of a folder.

    Attributes:
        rows: columns `path` (relative to the folder), `label` (text or null), `content` (the file's bytes).
        files: visible files found; hidden ones (`_…`, `.…`) are not looked at.
        bytes: their total size.
        empty_classes: folders directly below that hold no file.
    """

    rows: DataFrame
    files: int
    bytes: int
    empty_classes: tuple[str, ...]


def images(spark: SparkSession, url: str, *, label_from: str = "folder") -> ImageFolder:
    """Return the files below `url`.

    Args:
        spark: the session.
        url: the folder; files lie in class folders, at any depth.
        label_from: `folder` takes the name of the folder a file lies in; else the URL of a CSV file with the columns
            `path` (relative to the folder) and `label`.

    Raises:
        JobRefused: no folder there, no files in it, or a label file without these columns.
    """
    root = locate(url)
    if not root.is_directory():
        raise JobRefused(f"{root.url}: there is no such folder; --source must name a folder of images")
    found = list(root.walk())
    files = [(path, info) for path, info in found if info.type == pafs.FileType.File and not path.endswith(_COPYING)]
    if not files:
        raise JobRefused(f"{root.url}: no files there; images are looked for in its folders, at any depth")
    folders = {path for path, info in found if info.type == pafs.FileType.Directory and "/" not in path}
    colon = next((path for path, _ in files if ":" in path), None)
    if colon is not None:
        raise JobRefused(f"{root.url}: Spark reads no file with a colon in its path; rename {colon!r}")
    read = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(spark_path(root))
    # Spark writes file:/a where it was given file:///a, so the root is found by its path.
    relative = F.element_at(F.split("path", _quoted(f"{root.path}/"), 2), 2)
    rows = read.where("length > 0").select(relative.alias("path"), F.col("content"))
    # Spark passes over files without a byte; they are to be refused, not overlooked.
    empty = [(path,) for path, info in files if info.size == 0]
    if empty:
        rows = rows.union(spark.createDataFrame(empty, "path string").withColumn("content", F.lit("").cast("binary")))
    return ImageFolder(
        rows=_labelled(spark, rows, label_from),
        files=len(files),
        bytes=sum(info.size for _, info in files),
        empty_classes=tuple(sorted(folders - {path.split("/")[0] for path, _ in files})),
    )


def _quoted(text: str) -> str:
    return f"\\Q{text}\\E"


def _labelled(spark: SparkSession, rows: DataFrame, label_from: str) -> DataFrame:
    if label_from == "folder":
        folder = F.element_at(F.split("path", "/"), -2)
        label = F.when(F.contains("path", F.lit("/")), folder)
        return rows.select("path", label.alias("label"), "content")
    place = locate(label_from)
    if not place.exists():
        raise JobRefused(f"{place.url}: no such file; --label-from is 'folder' or a CSV file with the columns path,label")
    labels = spark.read.csv(spark_path(place), header=True, escape='"', mode="FAILFAST")
    missing = [name for name in ("path", "label") if name not in labels.columns]
    if missing:
        raise JobRefused(
            f"{place.url}: no column {missing[0]!r}; a label file has the columns path,label, this has {labels.columns}"
        )
    labels = labels.select("path", F.col("label").cast("string").alias("label"))
    twice = labels.groupBy("path").count().where("count > 1").limit(1).collect()
    if twice:
        raise JobRefused(f"{place.url}: {twice[0]['path']!r} stands there more than once; a file has one label")
    return rows.join(labels, on="path", how="left").select("path", "label", "content")
