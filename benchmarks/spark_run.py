"""One program run by spark-submit, and what it took: seconds, processor, memory, tasks."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

__all__ = ["Run", "spark_run"]

ROOT = Path(__file__).parents[1]
# In local mode the driver and the executor are one JVM, with this heap.
HEAP = "1g"
_SAMPLE_SECONDS, _COLLECT_SECONDS = 0.2, 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a program took.

    Attributes:
        said: what it printed.
        seconds: from start to end, Java's own included.
        processor: seconds of all its processes together.
        tasks: of the first stage that hands rows to Python by Arrow, None where there is no such stage.
        heap: MiB of the JVM in use after a full collection, at most; there is one every 15 seconds.
        driver: MiB resident in the driver's Python, at most.
        worker: MiB resident in one Python worker, at most.
        load: of the machine over a minute, when it began and ended.
    """

    said: str
    seconds: float
    processor: float
    tasks: int | None
    heap: int
    driver: int
    worker: int
    load: tuple[float, float]


def spark_run(program: Path, arguments: Sequence[str], work: Path, *, settings: Mapping[str, str]) -> Run:
    """Run a program on two cores and a heap of 1 GiB; what it prints on a failure ends this one.

    Args:
        program: of Python, for spark-submit.
        arguments: its own.
        work: an empty directory for Spark's files, event log and the collector's log.
        settings: environment variables to add.
    """
    events, collector = work / "events", work / "gc.log"
    events.mkdir(parents=True)
    conf = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(work / "spark"),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
    }
    command = [str(Path(sys.executable).with_name("spark-submit")), "--master", "local[2]", "--driver-memory", HEAP]
    command += ["--driver-java-options", f"-Xlog:gc:file={collector}"]
    command += [part for name, value in conf.items() for part in ("--conf", f"{name}={value}")]
    paths = {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    before, begin = os.getloadavg()[0], time.perf_counter()
    with (work / "said").open("w") as said:
        environment = {**os.environ, **paths, **settings}
        job = subprocess.Popen([*command, str(program), *arguments], env=environment, stdout=said, stderr=subprocess.STDOUT)
        with _Watched(job.pid) as watched:
            status = job.wait()
    seconds, text = time.perf_counter() - begin, (work / "said").read_text()
    if status:
        sys.exit(f"{program} {arguments} failed:\n{text[-4000:]}")
    return Run(
        said=text,
        seconds=seconds,
        processor=sum(watched.processor.values()),
        tasks=_arrow_tasks(events),
        heap=max((int(after) for after in re.findall(r"Pause Full .*\d+M->(\d+)M\(", collector.read_text())), default=0),
        driver=watched.peak["driver"] >> 20,
        worker=watched.peak["worker"] >> 20,
        load=(before, os.getloadavg()[0]),
    )


def _arrow_tasks(events: Path) -> int | None:
    """Return the tasks of the first stage that hands rows to Python by Arrow: of images that is the one that reads them."""
    (log,) = (path for path in events.rglob("*") if path.is_file() and not path.name.startswith("."))
    for line in log.read_text().splitlines():
        event: dict[str, Any] = json.loads(line)
        if event["Event"] == "SparkListenerStageCompleted":
            stage = event["Stage Info"]
            if any('"MapInArrow"' in one.get("Scope", "") for one in stage["RDD Info"]):
                return int(stage["Number of Tasks"])
    return None


class _Watched:
    """Looks at a process and its descendants now and then: greatest resident memory by kind, processor seconds by process."""

    def __init__(self, pid: int) -> None:
        self.peak = {"java": 0, "driver": 0, "worker": 0}
        self.processor: dict[int, float] = {}
        self._pid, self._ended = pid, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "_Watched":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        collect = time.monotonic() + _COLLECT_SECONDS
        while not self._ended.wait(_SAMPLE_SECONDS):
            if time.monotonic() > collect:
                # A JVM that ends meanwhile is no failure.
                subprocess.run(["jcmd", str(self._pid), "GC.run"], capture_output=True, check=False)
                collect = time.monotonic() + _COLLECT_SECONDS
            try:
                processes = [psutil.Process(self._pid), *psutil.Process(self._pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in processes:
                self._note(process)

    def _note(self, process: psutil.Process) -> None:
        try:
            command, memory, times = process.cmdline(), process.memory_info().rss, process.cpu_times()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            return
        if not command:  # it has ended
            return
        kind = "worker" if "pyspark.daemon" in command else "java" if "java" in Path(command[0]).name else "driver"
        self.peak[kind] = max(self.peak[kind], memory)
        self.processor[process.pid] = times.user + times.system
