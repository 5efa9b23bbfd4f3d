"""Hadoop SequenceFiles of images: the key is the path, the value the file's bytes."""

from collections.abc import Iterable, Iterator

from pyspark import RDD
from pyspark.sql import SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.spark import spark_path
from bigdata_ml.prepare.sources.image_files.files import ImageFiles, LabelFile, labelled
from bigdata_ml.prepare.sources.listing import refuse_unreadable
from bigdata_ml.storage import locate

__all__ = ["sequence_files"]

_TEXT, _BYTES = "org.apache.hadoop.io.Text", "org.apache.hadoop.io.BytesWritable"


def sequence_files(spark: SparkSession, url: str, *, label_from: str | LabelFile = "folder") -> ImageFiles:
    """Return the images of a SequenceFile, or of a folder of them, with keys of `Text` and values of `BytesWritable`.

    Hadoop splits them at their sync marks, so that a large one is read by many tasks.

    Args:
        spark: the session.
        url: the file or folder.
        label_from: as for `images`; the key is the path.

    Raises:
        JobRefused: nothing there, a file that cannot be read or is there by two links, a file without a record, or files on a
            store for which Spark has no jar.
    """
    place = locate(url)
    if not place.exists():
        raise JobRefused(f"{place.url}: nothing is there; check the path")
    refuse_unreadable(place)
    records: RDD[tuple[str, bytes]] = spark.sparkContext.sequenceFile(spark_path(spark, place), _TEXT, _BYTES)
    counted = records.mapPartitions(_counted).collect()
    files = sum(count for count, _ in counted)
    if not files:
        raise JobRefused(f"{place.url}: holds no records")
    rows = records.toDF("path string, content binary")
    return ImageFiles(rows=labelled(spark, rows, label_from), files=files, bytes=sum(size for _, size in counted))


def _counted(records: Iterable[tuple[str, bytes]]) -> Iterator[tuple[int, int]]:
    """Yield how many records there are, and their bytes; of the whole file only these two numbers go on."""
    files = size = 0
    for _, content in records:
        files += 1
        size += len(content)
    yield files, size
