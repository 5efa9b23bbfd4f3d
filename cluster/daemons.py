"""One daemon: a process of its own, known again by its pid and by a mark on its command line."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Daemon", "end", "is_running", "kill", "last_lines", "launch"]

_GRACE_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Daemon:
    """A process that was started here; `mark` is an argument that no other process has."""

    name: str
    pid: int
    mark: str
    log: str


def launch(name: str, command: Sequence[str], *, mark: str, log: Path, environment: Mapping[str, str]) -> Daemon:
    """Start `command`, which has `mark` among its arguments; what it prints is appended to `log`.

    It gets a session of its own: Ctrl-C at the terminal ends the caller and not the daemon.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    finally:
        os.close(output)
    # The daemon outlives this object, which would warn of that when it is collected; `end` waits for the process by its pid.
    process.returncode = 0
    return Daemon(name=name, pid=process.pid, mark=mark, log=str(log))


def is_running(daemon: Daemon) -> bool:
    """Whether the process is there, and is the one that was started: pids are given out again."""
    return _process(daemon) is not None


def kill(daemon: Daemon) -> None:
    """End the process at once, as a machine that loses power does."""
    process = _process(daemon)
    if process is not None:
        process.send_signal(signal.SIGKILL)
        process.wait(_GRACE_SECONDS)


def end(daemons: Sequence[Daemon]) -> None:
    """End the processes: politely, and those that are still there after 15 seconds by force."""
    processes = [process for process in map(_process, daemons) if process is not None]
    for process in processes:
        process.terminate()
    for process in psutil.wait_procs(processes, timeout=_GRACE_SECONDS)[1]:
        process.kill()
        process.wait(_GRACE_SECONDS)


def last_lines(log: str | Path, count: int = 30) -> str:
    """Return the last lines of a log, or that there is none."""
    path = Path(log)
    if not path.exists():
        return f"{path}: no such file"
    lines = path.read_text(errors="replace").splitlines()[-count:]
    return "\n".join([f"--- the last lines of {path}", *lines])


def _process(daemon: Daemon) -> psutil.Process | None:
    try:
        process = psutil.Process(daemon.pid)
        arguments = process.cmdline()
        for _ in range(100):
            if arguments:
                break
            # While a new process is about to become its program it has no command line.
            time.sleep(0.01)
            arguments = process.cmdline()
    except psutil.Error:  # gone, a zombie, or another user's
        return None
    return process if daemon.mark in arguments else None
