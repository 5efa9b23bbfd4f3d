"""Spark with two executors, each a process of its own on this machine, in which tests kill them and what belongs to them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pyspark

__all__ = ["LocalCluster", "local_cluster", "open_parts"]

_ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 400.0
_Found = TypeVar("_Found")

# Runs the jobs that it is told, one a line, and answers a line each.
_PROGRAM = """
import json, sys
from dataclasses import asdict
from bigdata_ml.errors import BigDataMLError
from bigdata_ml.prepare import ImageJob, TableJob, prepare_images, prepare_table, spark_session
spark = spark_session("local cluster")
# Tasks that are lost and begun again are warnings.
spark.sparkContext.setLogLevel("WARN")
kinds = {"table": (TableJob, prepare_table)}
for line in sys.stdin:
    kind, arguments = json.loads(line)
    job, prepare = kinds.get(kind, (ImageJob, prepare_images))
    try:
        answer = {"rows": prepare(spark, job(**arguments)).rows}
    except BigDataMLError as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print("answer", json.dumps(answer), flush=True)
"""
_SETTINGS = {
    "spark.driver.memory": "512m",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    "spark.executorEnv.PYTHONPATH": str(_ROOT),
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.files.minPartitionNum": "8",
}


class LocalCluster:
    """A Spark application that runs jobs one after the other.

    Args:
        driver: the process that runs them.
        scratch: Spark's local directory, of the driver and the executors.
        log: where it writes what it has to say.
    """

    def __init__(self, driver: "subprocess.Popen[str]", scratch: Path, log: Path) -> None:
        self._driver = driver
        self._scratch = scratch
        self._log = log

    def start(self, kind: str, **arguments: Any) -> None:
        """Begin a job: a `table`, with the arguments of TableJob, or images, with those of ImageJob."""
        assert self._driver.stdin is not None
        self._driver.stdin.write(json.dumps([kind, arguments]) + "\n")
        self._driver.stdin.flush()

    def outcome(self) -> Mapping[str, Any]:
        """Wait for the job to end: `rows` that were published, or the `error`."""
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if line.startswith("answer "):
                found: Mapping[str, Any] = json.loads(line.removeprefix("answer "))
                return found
        raise AssertionError(f"the driver ended\n{self.said()[-6000:]}")

    def said(self) -> str:
        """Return what Spark and the jobs have logged."""
        return self._log.read_text(errors="replace")

    def wait_for(self, look: Callable[[], _Found | None]) -> _Found:
        """Return what `look` finds, as soon as it finds something."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while (found := look()) is None:
            assert self._driver.poll() is None, self.said()[-6000:]
            assert time.monotonic() < deadline, self.said()[-6000:]
            time.sleep(0.002)
        return found

    def executors(self) -> list[psutil.Process]:
        """Return the executors' processes."""
        return [one for one in self._below() if "org.apache.spark.executor.CoarseGrainedExecutorBackend" in _command(one)]

    def writer(self, dataset: Path) -> psutil.Process | None:
        """Return a Python worker, now stopped, that has a part of the dataset open, which is not published yet; or None."""
        for worker in [one for one in self._below() if "pyspark.daemon" in _command(one)]:
            if not open_parts(worker, dataset):
                continue
            with suppress(psutil.NoSuchProcess):
                worker.suspend()
                # It went on until it was stopped.
                if open_parts(worker, dataset):
                    return worker
                worker.resume()
        return None

    def holder(self, pattern: str, *, known: set[Path]) -> psutil.Process | None:
        """Return an executor in whose part of Spark's local directory lies a file of that kind that is not `known`; or None."""
        for file in self.scratch_files(pattern) - known:
            for executor in self.executors():
                with suppress(psutil.Error):
                    if any(str(file).startswith(folder) for folder in executor.environ()["SPARK_EXECUTOR_DIRS"].split(":")):
                        return executor
        return None

    def scratch_files(self, pattern: str) -> set[Path]:
        """Return the files in Spark's local directory whose names match."""
        return set(self._scratch.rglob(pattern))

    def executor_of(self, worker: psutil.Process) -> psutil.Process:
        """Return the executor that a Python worker belongs to."""
        above = {one.pid for one in worker.parents()}
        (found,) = (one for one in self.executors() if one.pid in above)
        return found

    def _below(self) -> list[psutil.Process]:
        return psutil.Process(self._driver.pid).children(recursive=True)


@contextmanager
def local_cluster(place: Path, *, master: str = "local-cluster[2,1,1024]") -> Iterator[LocalCluster]:
    """Run two executors of one core each, or another master, while the body runs; logs and scratch files lie in `place`."""
    # The executors' working directories are made in Spark's home, which here is another than where pip put it.
    home, scratch, log = place / "home", place / "scratch", place / "log"
    for part in ("home", "scratch"):
        (place / part).mkdir()
    for name in ("bin", "jars"):
        (home / name).symlink_to(Path(pyspark.__file__).parent / name)
    settings = {**_SETTINGS, "spark.local.dir": str(scratch), "spark.sql.warehouse.dir": str(place / "warehouse")}
    options = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    environment = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": " ".join(["--master", master, *options, "pyspark-shell"]),
        "PYTHONPATH": str(_ROOT),
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            env=environment,
        ) as driver,
    ):
        try:
            yield LocalCluster(driver, scratch, log)
        finally:
            # Those that a test stopped too; they are the driver's, whose end they need not outlive.
            below = psutil.Process(driver.pid).children(recursive=True)
            driver.kill()
            for one in below:
                with suppress(psutil.NoSuchProcess):
                    one.kill()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def open_parts(worker: psutil.Process, dataset: Path) -> set[str]:
    """Return the names of the parts that a process has open in the directory in which the dataset is staged."""
    staging = f"{dataset.parent}/.{dataset.name}.publishing-"
    try:
        files = [one.path for one in worker.open_files()]
    except psutil.Error:
        return set()
    return {Path(path).name for path in files if path.startswith(staging) and path.endswith(".parquet")}
