"""What jobs are refused with, run by another user or without root's rights: a Spark session of their own for all of them."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bigdata_ml.errors import BigDataMLError
from bigdata_ml.prepare import ImageJob, TableJob, prepare_images, prepare_table, spark_session

__all__ = ["refusals"]

ROOT = Path(__file__).parents[2]
_JOBS: dict[str, Any] = {"images": (ImageJob, prepare_images), "table": (TableJob, prepare_table)}


def refusals(
    jobs: Mapping[str, tuple[str, Mapping[str, str]]], *, environment: Mapping[str, str], before: Sequence[str] = ()
) -> dict[str, str]:
    """Return by name the error that each job ended with, or `published`.

    Args:
        jobs: by name `images` or `table`, and the job's options.
        environment: of the process.
        before: words that the command begins with, such as `setpriv`.
    """
    done = subprocess.run(
        [*before, sys.executable, __file__],
        input=json.dumps(jobs), capture_output=True, text=True, check=False,
        env={**environment, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Read jobs from standard input, and write what they ended with."""
    spark = spark_session("refusals")
    spark.sparkContext.setLogLevel("OFF")
    said = {}
    for name, (kind, options) in json.load(sys.stdin).items():
        job, prepare = _JOBS[kind]
        try:
            prepare(spark, job(**options))
            said[name] = "published"
        except BigDataMLError as error:
            said[name] = f"{type(error).__name__}: {error}"
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
