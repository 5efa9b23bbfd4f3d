"""Gives Spark's Python workers the bridge.

A worker imports Petastorm when it unpickles a function that names it, and nothing runs there before. So Spark is handed one small
file, `spark_files/petastorm.py`, which a worker finds before the installed package: it imports the bridge, then the package.
Petastorm's own functions that take a session do this by themselves (`repairs/spark_sessions.py`).
"""

from pathlib import Path
from typing import Any

__all__ = ["send_to_workers"]

_STAND_IN = Path(__file__).parent / "spark_files" / "petastorm.py"


def send_to_workers(spark: Any) -> None:
    """Have the Python workers of a session load Petastorm through the bridge, from the next job on.

    Executors need `bigdata_ml` and `petastorm` installed, as for any function that uses them.

    Args:
        spark: a SparkSession or SparkContext.
    """
    context = getattr(spark, "sparkContext", spark)
    if not any(url.rsplit("/", 1)[-1] == _STAND_IN.name for url in context.listFiles):
        context.addPyFile(str(_STAND_IN))
