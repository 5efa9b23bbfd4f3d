"""What Spark raises becomes a refusal of one line; the whole stays chained to it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException, PythonException
from pyspark.sql import SparkSession

import bigdata_ml.errors
from bigdata_ml.errors import BigDataMLError, JobRefused
from bigdata_ml.storage import way_out

__all__ = ["cause_of", "refused_by_spark"]

# The last line of a traceback on an executor.
_OURS = re.compile(r"^bigdata_ml\.errors\.(?P<kind>\w+): (?P<text>.*)$", re.MULTILINE)
# What the operating system says of a full disk, in a traceback or in Java's words.
_FULL = "No space left on device"
# Of a file that the JVM opens, of one on HDFS.
_DENIED = re.compile(r"(?:^|: )(/[^\n]* \(Permission denied\))|(Permission denied: user=[^\n]*)", re.MULTILINE)
_MORE_ROOM = "free it, or give Spark another by --conf spark.local.dir=DIR (on YARN: yarn.nodemanager.local-dirs)"


@contextmanager
def refused_by_spark(place: str) -> Iterator[None]:
    """Raise JobRefused, naming `place`, for what Spark raises in the body: rows it cannot read, a cast that fails.

    An error of `bigdata_ml.errors` that our own functions raised on the executors is raised as what it was; their other errors
    pass unchanged. Where Spark's own directory for what it sorts and keeps is full, that is what the error names.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        ours = _OURS.search(str(error))
        if ours is not None:
            raise _kind_of(ours["kind"])(ours["text"]) from error
        if isinstance(error, PythonException):
            raise
        if _FULL in str(error):
            raise JobRefused(f"{place}: {_local_directory()}: {_FULL}, nothing was published; {_MORE_ROOM}") from error
        denied = _DENIED.search(cause_of(error))
        if denied is not None:
            said = denied[1] or denied[2]
            raise JobRefused(f"{place}: cannot be read, nothing was published: {said}{way_out(error)}") from error
        raise JobRefused(f"{place}: Spark stopped, nothing was published: {cause_of(error)}") from error


def _kind_of(name: str) -> type[BigDataMLError]:
    error_class = getattr(bigdata_ml.errors, name, JobRefused)
    return error_class if isinstance(error_class, type) and issubclass(error_class, BigDataMLError) else JobRefused


def _local_directory() -> str:
    """Return in words where Spark keeps what it sorts, shuffles and persists."""
    session = SparkSession.getActiveSession()
    there = session.sparkContext.getConf().get("spark.local.dir") if session is not None else None
    return f"Spark's local directory on an executor (spark.local.dir{f' is {there}' if there else ''})"


def cause_of(error: PySparkException | Py4JJavaError) -> str:
    """Return in one line what Spark says went wrong, and the cause at the bottom if that is another."""
    if isinstance(error, PySparkException):
        texts = [_first_line(str(error))]
        below = getattr(error, "_cause", None)
        while below is not None:
            texts.append(_first_line(str(below)))
            below = getattr(below, "_cause", None)
    else:
        texts = []
        thrown = error.java_exception
        while thrown is not None:
            texts.append(_first_line(str(thrown.getMessage() or thrown.toString())))
            thrown = thrown.getCause()
    return texts[0] if texts[-1] in texts[0] else f"{texts[0]}: {texts[-1]}"


def _first_line(text: str) -> str:
    return next((line.strip().rstrip(";") for line in text.splitlines() if line.strip()), "it gives no reason")
