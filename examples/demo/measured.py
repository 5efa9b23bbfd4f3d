"""Runs a command and measures it: seconds, and the peak of the memory of all its processes together."""

import shlex
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import psutil

__all__ = ["Step", "run_step"]

_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    """What a step cost: wall seconds, and MiB resident in its processes at their most."""

    step: str
    seconds: float
    peak_rss_mb: float


def run_step(name: str, command: str, environment: dict[str, str]) -> Step:
    """Run the command, its output going where ours goes.

    Raises:
        SystemExit: it failed; with its exit code.
    """
    print(f"\n$ {command}", flush=True)
    begin = time.perf_counter()
    process = subprocess.Popen(shlex.split(command), env=environment)
    peak = [0]
    stopped = threading.Event()
    watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak, stopped), daemon=True)
    watcher.start()
    code = process.wait()
    stopped.set()
    watcher.join()
    if code:
        print(f"the step {name!r} failed", file=sys.stderr)
        raise SystemExit(code)
    return Step(name, time.perf_counter() - begin, peak[0] / (1 << 20))


def _watch(process: psutil.Process, peak: list[int], stopped: threading.Event) -> None:
    while not stopped.wait(_POLL_SECONDS):
        peak[0] = max(peak[0], _resident(process))


def _resident(process: psutil.Process) -> int:
    # Memory that processes share counts in each of them; what rises and falls between two looks is not seen.
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for one in family:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
