"""Jobs as people start them, by spark-submit."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["hidden_beside", "kill", "started"]

REPOSITORY = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYSPARK_PYTHON": sys.executable,
    "PYSPARK_DRIVER_PYTHON": sys.executable,
    "SPARK_LOCAL_IP": "127.0.0.1",
}


def started(job: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a job in a session, so in a process group, of its own."""
    submit = Path(sys.executable).with_name("spark-submit")
    options = ["--master", "local[1]", "--driver-java-options", "-XX:TieredStopAtLevel=1"]
    command = [str(part) for part in (submit, *options, REPOSITORY / "jobs" / job, *arguments)]
    # Spark hands the errors of the Python it starts to its own standard output.
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True, env=ENVIRONMENT
    )


def kill(job: subprocess.Popen[str]) -> None:
    """End all processes of a job at once, without any clean-up."""
    # By session: Spark's Python workers have a process group of their own. Twice: one may just be starting another.
    for _ in range(2):
        for pid in psutil.pids():
            if _session(pid) == job.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def hidden_beside(dataset: Path) -> list[Path]:
    return [path for path in dataset.parent.iterdir() if path.name.startswith(".")] if dataset.parent.exists() else []


def _session(pid: int) -> int:
    with suppress(ProcessLookupError):
        return os.getsid(pid)
    return 0
