"""A disk of a few pages that only the processes that are sent into its namespace see."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["SmallDisk", "small_disk"]

# As whoever this is, and, where the kernel lets root alone make namespaces, as root.
_WAYS = (("--user", "--map-root-user"), ())
_HOLDS = 'mount -t tmpfs -o size="$1" tmpfs "$0" && echo mounted && exec cat'


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A tmpfs in a mount namespace of its own.

    Attributes:
        place: where it is for the processes of the namespace.
        seen: where the rest of the machine sees it.
        enter: the words that run a command in the namespace.
    """

    place: Path
    seen: Path
    enter: tuple[str, ...]

    def run(self, *command: str | Path, environment: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a command that sees the disk; stderr goes to stdout."""
        return subprocess.run(
            [*self.enter, *map(str, command)],
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
            check=False,
        )

    def resize(self, size: int) -> None:
        """Give the disk another size in bytes, which tmpfs rounds up to pages."""
        done = self.run("mount", "-o", f"remount,size={size}", self.place)
        assert done.returncode == 0, done.stdout

    def used(self) -> int:
        """Return the bytes that files take."""
        there = os.statvfs(self.seen)
        return (there.f_blocks - there.f_bfree) * there.f_frsize

    def files(self) -> set[str]:
        """Return the paths of all files, relative to the disk."""
        return {str(path.relative_to(self.seen)) for path in self.seen.rglob("*") if path.is_file()}


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a disk of so many bytes at `place` while the body runs.

    A kernel that refuses it fails the test: that a job bears a full disk is then not shown.
    """
    place.mkdir(parents=True)
    refusals = []
    for way in _WAYS:
        command = ["unshare", *way, "--mount", "--propagation", "private", "sh", "-c", _HOLDS, str(place), str(size)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as holder:
            assert holder.stdout is not None
            said = holder.stdout.readline()
            if said == "mounted\n":
                users = ("--user", "--preserve-credentials") if way else ()
                enter = ("nsenter", "--target", str(holder.pid), *users, "--mount")
                # The namespace, and the disk with it, is gone when this process is.
                try:
                    yield SmallDisk(place, Path(f"/proc/{holder.pid}/root{place}"), enter)
                finally:
                    holder.kill()
                return
            refusals.append(f"{' '.join(command[:5])} …: {said.strip()}")
    pytest.fail("the kernel refuses a disk in a private namespace, so full disks are not tested here: " + "; ".join(refusals))
