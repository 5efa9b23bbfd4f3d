"""What Spark raises becomes a refusal of one line; the whole stays chained to it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException, PythonException

from bigdata_ml.errors import JobRefused

__all__ = ["cause_of", "refused_by_spark"]

# The last line of a traceback on an executor.
_REFUSED = re.compile(r"^bigdata_ml\.errors\.JobRefused: (?P<text>.*)$", re.MULTILINE)


@contextmanager
def refused_by_spark(place: str) -> Iterator[None]:
    """Raise JobRefused, naming `place`, for what Spark raises in the body: rows it cannot read, a cast that fails.

    A JobRefused of our own functions on the executors is raised as what it was; their other errors pass unchanged.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        refused = _REFUSED.search(str(error))
        if refused is not None:
            raise JobRefused(refused["text"]) from error
        if isinstance(error, PythonException):
            raise
        raise JobRefused(f"{place}: Spark stopped, nothing was published: {cause_of(error)}") from error


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
