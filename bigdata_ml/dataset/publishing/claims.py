"""Claims: detect whether a publisher of a dataset is alive.

A file beside the staging directory holds the publisher's host, process and last heartbeat. A publisher is dead if its process
is gone or, on another host, if its last heartbeat is older than ten minutes.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage import Location

__all__ = ["claimed", "clean_debris", "live_publications", "staging_place"]

HEARTBEAT_SECONDS = 10.0
DEAD_AFTER_SECONDS = 600.0


def staging_place(destination: Location, publication: str) -> Location:
    """Return the directory beside a destination where a publication writes; its name holds both names."""
    return destination.parent / f"{_prefix(destination)}{publication}"


@contextmanager
def claimed(staging: Location) -> Iterator[None]:
    """Write a claim for a staging directory, and renew it until the body ends.

    Raises:
        StorageUnavailable: the claim cannot be written.
    """
    try:
        _write_claim(staging)
    except StorageUnavailable:
        with suppress(OSError, StorageUnavailable):
            _claim(staging).delete()
        raise
    stopped = threading.Event()
    heartbeat = threading.Thread(target=_beat, args=(staging, stopped), daemon=True)
    heartbeat.start()
    try:
        yield
    finally:
        stopped.set()
        heartbeat.join()
        _claim(staging).delete()


def live_publications(destination: Location) -> set[str]:
    """Return the ids of the running publications to a destination."""
    names = _staging_names(destination)
    return {name.removeprefix(_prefix(destination)) for name in names if not _is_dead(destination.parent / name)}


def clean_debris(destination: Location) -> Iterator[str]:
    """Delete what dead publishers of this destination left, yielding the URL of each directory."""
    for name in _staging_names(destination):
        staging = destination.parent / name
        if _is_dead(staging):
            if staging.exists():
                yield staging.url
            staging.delete()
            _claim(staging).delete()


def _prefix(destination: Location) -> str:
    return f".{destination.name}.publishing-"


def _claim(staging: Location) -> Location:
    # Beside the staging directory, not in it: a heartbeat during the rename must not end up in the dataset.
    return staging.parent / f"{staging.name}.claim"


def _write_claim(staging: Location) -> None:
    claim = {"host": _host(), "pid": os.getpid(), "beat": time.time()}
    _claim(staging).write_bytes(json.dumps(claim).encode())


def _beat(staging: Location, stopped: threading.Event) -> None:
    while not stopped.wait(HEARTBEAT_SECONDS):
        # One failed write must not make a live job look dead.
        with suppress(OSError, StorageUnavailable):
            _write_claim(staging)


def _staging_names(destination: Location) -> list[str]:
    """Return the names of the staging directories, or claims alone, of publishers of a destination."""
    parent = destination.parent
    if not parent.exists():
        return []
    names = [info.path.rsplit("/", 1)[-1] for info in parent.filesystem.get_file_info(pafs.FileSelector(parent.path))]
    return sorted({name.removesuffix(".claim") for name in names if name.startswith(_prefix(destination))})


def _is_dead(staging: Location) -> bool:
    try:
        claim = json.loads(_claim(staging).read_bytes())
        host, pid, beat = claim["host"], int(claim["pid"]), float(claim["beat"])
    except (OSError, ValueError, KeyError, TypeError):
        # No claim, or one that is being rewritten: use its age.
        host, pid, beat = "", 0, max(place.info().mtime_ns or 0 for place in (staging, _claim(staging))) / 1e9
    if host == _host() and not _is_running(pid):
        return True
    return time.time() - beat > DEAD_AFTER_SECONDS


def _host() -> str:
    """Return this host and its process namespace: containers share names, and see only their own processes."""
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}/{namespace.stat().st_ino if namespace.exists() else 0}"


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
