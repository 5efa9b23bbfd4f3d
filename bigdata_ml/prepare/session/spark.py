"""The Spark session of a preparation job."""

import re
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from bigdata_ml.prepare.session.hadoop_clients import hadoop_url
from bigdata_ml.storage import Location

__all__ = ["escape_glob", "spark_path", "spark_session"]

_DEFAULTS = {
    # One time zone in and out, whatever the machines' own.
    "spark.sql.session.timeZone": "UTC",
    # Batches to Python are bounded in bytes, since a row can be an image, and are small enough to pass through a cache: pictures
    # are written a quarter faster than by batches of 64 MiB.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2048",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(2 << 20),
    # Tiny files share a task: they are counted by their bytes, not as 4 MiB each.
    "spark.sql.files.openCostInBytes": str(64 << 10),
    # What is kept between stages has as many partitions as it needs, not always those of a large cluster.
    "spark.sql.optimizer.canChangeCachedPlanOutputPartitioning": "true",
    # A join by content and path takes rows as they lie where they are dealt out by content.
    "spark.sql.requireAllClusterKeysForCoPartition": "false",
}

# What Spark takes only when it starts. Java's serializer holds the last hundred objects that it wrote. Of rows that are kept,
# these are batches of 4 MB, so a partition of 256 MB would be held whole.
_AT_START = {"spark.serializer.objectStreamReset": "4"}


def spark_session(name: str, *, hive: bool = False) -> SparkSession:
    """Return the session of the job `name`; settings given to spark-submit win over ours.

    Without spark-submit it is Spark's local mode on all cores. With `hive` its catalogue is Hive's, at the metastore that
    `hive-site.xml` or `spark.hadoop.hive.metastore.uris` names.
    """
    # Spark warns whenever it sees pandas 3; our jobs hand it Arrow batches and never pandas.
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas", category=FutureWarning)
    # The jobs show their own progress; Spark's bar would write over it.
    builder = SparkSession.builder.appName(name).config("spark.ui.showConsoleProgress", "false")
    # Java must run for what spark-submit was given to be known.
    SparkContext._ensure_initialized()
    started_with = SparkConf()
    for key, value in _AT_START.items():
        builder = builder if started_with.contains(key) else builder.config(key, value)
    with _own_interrupt():
        spark = (builder.enableHiveSupport() if hive else builder).getOrCreate()
    given = dict(spark.sparkContext.getConf().getAll())
    for key, value in _DEFAULTS.items():
        if key not in given and spark.conf.isModifiable(key):
            spark.conf.set(key, value)
    spark.sparkContext.setLogLevel("ERROR")
    return spark


@contextmanager
def _own_interrupt() -> Iterator[None]:
    """Leave Ctrl-C to its earlier handler, not to Spark: Spark's handler calls Java while another call waits for an answer."""
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if in_main and before is not signal.default_int_handler and before is not None:
            signal.signal(signal.SIGINT, before)


def spark_path(spark: SparkSession, location: Location) -> str:
    """Return the place as Spark names it: a local path is not looked for on the default filesystem, and is no glob pattern.

    Raises:
        JobRefused: it is on S3 or WebHDFS, and Spark has not the jars to read there.
    """
    url = f"file://{location.path}" if location.is_local else location.url
    return escape_glob(hadoop_url(spark, url))


def escape_glob(path: str) -> str:
    """Return a path to Spark that matches this one only."""
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", path)
