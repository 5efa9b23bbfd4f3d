"""Read Hadoop SequenceFiles of images, with paths as keys and bytes as values."""

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

    Hadoop splits them at sync marks, so that many tasks read a large file.

    Args:
        spark: the session.
        url: the file or folder.
        label_from: see `images`.

    Raises:
        JobRefused: the path does not exist, a file is unreadable or linked twice, there are no records, or Spark has no jar for
            the store.
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
    """Yield the number of records and their total bytes."""
    files = size = 0
    for _, content in records:
        files += 1
        size += len(content)
    yield files, size
