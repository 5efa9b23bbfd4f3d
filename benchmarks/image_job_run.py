"""One run of the image job by spark-submit, and what it took: seconds, processor, memory, tasks."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bigdata_ml.dataset import Dataset

__all__ = ["JobRun", "run_image_job"]

ROOT = Path(__file__).parents[1]
# In local mode the driver and the executor are one JVM, with this heap.
HEAP = "1g"
_SAMPLE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRun:
    """What a job took.

    Attributes:
        files: images it found.
        row_groups, row_group_rows: written; the rows of the median one.
        seconds: from start to end, Java's own included.
        processor: seconds of all its processes together.
        stages: seconds by what the job says it does.
        tasks: of the stage that reads and decodes.
        heap: MiB of the JVM in use after a collection, at most.
        driver: MiB resident in the driver's Python, at most.
        worker: MiB resident in one Python worker, at most.
        load: of the machine over a minute, when the job began and ended.
    """

    files: int
    row_groups: int
    row_group_rows: int
    seconds: float
    processor: float
    stages: Mapping[str, float]
    tasks: int
    heap: int
    driver: int
    worker: int
    load: tuple[float, float]


def run_image_job(source: str, work: Path, *, settings: Mapping[str, str], options: tuple[str, ...] = ()) -> JobRun:
    """Run the job on two cores and a heap of 1 GiB into `work`, an empty directory, on the local disk.

    Args:
        source: URL of the images.
        work: where the dataset, the event log and the collector's log go.
        settings: environment variables to add.
        options: of the job.
    """
    events, collector, out = work / "events", work / "gc.log", work / "dataset"
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
    command += [str(ROOT / "jobs/prepare_images.py"), "--source", source, "--dataset", str(out), *options]
    paths = {"PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    before, begin = os.getloadavg()[0], time.perf_counter()
    with (work / "said").open("w") as said:
        job = subprocess.Popen(command, env={**os.environ, **paths, **settings}, stdout=said, stderr=subprocess.STDOUT)
        with _Watched(job.pid) as watched:
            status = job.wait()
    seconds, text = time.perf_counter() - begin, (work / "said").read_text()
    if status:
        sys.exit(f"{source}: the job failed:\n{text[-4000:]}")
    groups = sorted(Dataset.open(out).row_groups.rows.tolist())
    return JobRun(
        files=int(_found(r"^(\d+) files, ", text)),
        row_groups=len(groups),
        row_group_rows=groups[len(groups) // 2],
        seconds=seconds,
        processor=sum(watched.processor.values()),
        stages={name: float(one) for name, one in re.findall(r"^([a-z][^:\n]*): ([\d.]+) s$", text, re.MULTILINE)},
        tasks=_reading_tasks(events),
        heap=max(int(after) for after in re.findall(r"\d+M->(\d+)M\(", collector.read_text())),
        driver=watched.peak["driver"] >> 20,
        worker=watched.peak["worker"] >> 20,
        load=(before, os.getloadavg()[0]),
    )


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise ValueError(f"the job said nothing like {pattern}: {text[-2000:]}")
    return found[1]


def _reading_tasks(events: Path) -> int:
    """Return the tasks of the first stage that hands rows to Python by Arrow: it reads the files and decodes them."""
    (log,) = (path for path in events.rglob("*") if path.is_file() and not path.name.startswith("."))
    for line in log.read_text().splitlines():
        event: dict[str, Any] = json.loads(line)
        if event["Event"] == "SparkListenerStageCompleted":
            stage = event["Stage Info"]
            if any('"MapInArrow"' in one.get("Scope", "") for one in stage["RDD Info"]):
                return int(stage["Number of Tasks"])
    raise ValueError(f"{log}: no stage hands rows to Python")


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
        while not self._ended.wait(_SAMPLE_SECONDS):
            try:
                processes = [psutil.Process(self._pid), *psutil.Process(self._pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for one in processes:
                self._note(one)

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
