"""This machine's own files: only regular ones are opened, and none is written or deleted through a link that leads away."""

import os
import shutil
import stat
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.fs as pafs

__all__ = ["LocalFiles", "kind_of_special", "open_regular", "read_regular"]

_KINDS = ((stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))


class LocalFiles(pafs.LocalFileSystem):  # type: ignore[misc]  # pyarrow has no types
    """The local filesystem, in which a FIFO, a socket or a device is refused, since to open one may wait for ever.

    Args:
        within: a directory; what lies elsewhere, also by `..` or behind a link, is neither opened, written nor deleted. By
            default anything may be.
    """

    def __init__(self, within: str | None = None) -> None:
        super().__init__()
        self.within = within

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalFiles, (self.within,)

    def open_input_file(self, path: str) -> pa.NativeFile:
        """Open a regular file; raises PermissionError for others."""
        self._check_readable(path)
        return super().open_input_file(path)

    def open_input_stream(self, path: str, *arguments: Any, **options: Any) -> pa.NativeFile:
        """Open a regular file; raises PermissionError for others."""
        self._check_readable(path)
        return super().open_input_stream(path, *arguments, **options)

    def open_output_stream(self, path: str, *arguments: Any, **options: Any) -> pa.NativeFile:
        """Make or replace a regular file; raises PermissionError where a link or anything else has its name."""
        self._check_writable(path)
        return super().open_output_stream(path, *arguments, **options)

    def create_dir(self, path: str, *, recursive: bool = True) -> None:
        """Make a directory and those above it."""
        self._check_inside(os.path.realpath(path))
        super().create_dir(path, recursive=recursive)

    def move(self, src: str, dest: str) -> None:
        """Rename a file or a directory."""
        self._check_parent(src)
        self._check_parent(dest)
        super().move(src, dest)

    def delete_file(self, path: str) -> None:
        """Delete a file or a link, never what the link leads to."""
        self._check_parent(path)
        os.unlink(path)

    def delete_dir(self, path: str) -> None:
        """Delete a directory and all in it, or a link; never what a link leads to."""
        self._check_parent(path)
        if os.path.islink(path):
            os.unlink(path)
        else:
            shutil.rmtree(path)

    def _check_writable(self, path: str) -> None:
        """Raise PermissionError unless a regular file can be made or replaced at `path`."""
        self._check_parent(path)
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISLNK(mode):
            raise PermissionError(f"{path} is a link, and nothing is written through links; delete it")
        if kind := kind_of_special(mode):
            raise PermissionError(f"{path} is {kind}, no regular file; delete it")

    def _check_readable(self, path: str) -> None:
        if kind := kind_of_special(os.stat(path).st_mode):
            raise PermissionError(f"{path} is {kind}; only regular files are read")
        self._check_inside(os.path.realpath(path) if self.within else path)

    def _check_parent(self, path: str) -> None:
        if self.within:
            folder, name = os.path.split(os.path.abspath(path))
            self._check_inside(os.path.join(os.path.realpath(folder), name))

    def _check_inside(self, real: str) -> None:
        if self.within is None:
            return
        root = os.path.realpath(self.within)
        if real != root and not real.startswith(f"{root.rstrip('/')}/"):
            raise PermissionError(f"{real} lies outside of {self.within}, where a link or `..` leads to it; copy it there")


def kind_of_special(mode: int) -> str | None:
    """Return in words what a file of this mode is, None for regular files, directories and links."""
    return next((kind for check, kind in _KINDS if check(mode)), None)


def open_regular(path: str | Path) -> IO[bytes]:
    """Open a regular file for reading; raises PermissionError for a FIFO, a socket or a device, and never waits for one."""
    # To open a FIFO without O_NONBLOCK waits until somebody writes to it; of a regular file it changes nothing.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = kind_of_special(os.fstat(descriptor).st_mode)
    if kind is not None:
        os.close(descriptor)
        raise PermissionError(f"{path} is {kind}; only regular files are read")
    return os.fdopen(descriptor, "rb")


def read_regular(path: str | Path) -> bytes:
    """Return the bytes of a regular file; raises as `open_regular`."""
    with open_regular(path) as file:
        return file.read()
