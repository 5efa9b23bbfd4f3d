"""Local files that appear in one step and outlast a power failure: written aside, synced, renamed."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["replace_file", "sync_directory", "sync_file", "written_aside"]


def replace_file(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Have `write` write a file and put it at `path`: readers see the old one or the new one, whole.

    A link at `path` is replaced, not followed.
    """
    with written_aside(path, write) as aside:
        os.replace(aside, path)
    sync_directory(path.parent)


@contextmanager
def written_aside(path: Path, write: Callable[[IO[bytes]], Any]) -> Iterator[Path]:
    """Give a file beside `path`, whole and synced, under a name that nobody else has; deleted at the end if it is there still."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with os.fdopen(_create(aside), "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        yield aside
    finally:
        _discard(aside)


def _create(path: Path) -> int:
    # Exclusively: a link or a file that somebody has laid there is not written to.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def _discard(path: Path) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def sync_directory(path: Path) -> None:
    """Wait until the disk has the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some network filesystems know no sync of a directory.
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: str | Path) -> None:
    """Wait until the disk has a file's bytes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
