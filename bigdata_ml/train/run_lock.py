"""One process at a time writes to a run's directory."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bigdata_ml.errors import JobRefused

__all__ = ["run_lock"]

_LOCK = ".lock"


@contextmanager
def run_lock(run_dir: Path) -> Iterator[None]:
    """Keep others from writing to the run's directory until the body ends.

    The operating system releases the lock when the process ends, however it ends; the file only names the owner.

    Raises:
        JobRefused: another process, or another training of this one, is writing to it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    place = run_dir / _LOCK
    opened = _locked(place)
    try:
        os.ftruncate(opened, 0)
        os.pwrite(opened, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode(), 0)
        yield
    finally:
        # Still locked: a process that has just opened the file sees that it is gone.
        place.unlink(missing_ok=True)
        os.close(opened)


def _locked(place: Path) -> int:
    """Return the descriptor of the locked file, which exists at `place`."""
    while True:
        opened = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = _owner(opened)
            os.close(opened)
            raise JobRefused(f"{place.parent}: {owner} is training in it; wait for it, or choose another --run-dir") from error
        with suppress(FileNotFoundError):
            if place.stat().st_ino == os.fstat(opened).st_ino:
                return opened
        # The previous owner deleted the file between our opening and locking it.
        os.close(opened)


def _owner(opened: int) -> str:
    with suppress(ValueError, KeyError, TypeError):
        owner = json.loads(os.pread(opened, 1000, 0))
        return f"process {int(owner['pid'])} on {owner['host']}"
    return "another process"
