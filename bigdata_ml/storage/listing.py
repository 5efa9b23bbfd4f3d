"""What lies below a directory: every file once, and why one cannot be read. All readers of directories list by this."""

import os
import re
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow.fs as pafs

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage.local import kind_of_special
from bigdata_ml.storage.location import Location, is_hidden, way_out
from bigdata_ml.storage.retry import Retry

__all__ = ["Entry", "Tree", "list_tree", "natural_order", "printable"]

# Numbers in names; those in a UUID count nothing.
_NUMBERS = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9]+")
_NOT_UTF8 = "its name is not UTF-8; rename it"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, or what cannot be read as one.

    Attributes:
        path: relative to the directory, with `/`; bytes that are not UTF-8 are written `\\xNN`.
        size: bytes; 0 where it cannot be read.
        modified: time of change in ns since 1970; None where the store tells none.
        obstacle: why it cannot be read, such as `is a link to nothing`; empty if it can.
        same_as: path of another entry that is the same file by another link; empty for the first one.
    """

    path: str
    size: int = 0
    modified: int | None = None
    obstacle: str = ""
    same_as: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """What lies below a directory, sorted by path.

    Attributes:
        files: all of them, hidden ones too.
        folders: paths of the directories, hidden ones too.
        linked_again: paths of links to directories that are listed under another path, which are not followed, and that path.
    """

    files: tuple[Entry, ...]
    folders: tuple[str, ...] = ()
    linked_again: tuple[tuple[str, str], ...] = ()

    @property
    def visible(self) -> list[Entry]:
        """The files that are not hidden."""
        return [file for file in self.files if not is_hidden(file.path)]


def list_tree(place: Location, *, follow: bool = True) -> Tree:
    """Return all that lies below a directory, at any depth.

    A link to a directory is followed once, after the directories themselves, and never to one that is listed or that holds
    `place`. Nothing of this costs anything on stores that have no links.

    Args:
        place: the directory.
        follow: whether links to directories are followed; otherwise they are left out.

    Raises:
        StorageUnavailable: the filesystem does not answer, or this user may not list a directory.
    """
    try:
        walked = _Walk(place.path, follow=follow).tree() if place.is_local else _remote(place)
    except OSError as error:
        raise StorageUnavailable(f"{place.url} cannot be listed: {error}{way_out(error)}") from error
    return Tree(
        tuple(sorted(walked.files, key=lambda entry: entry.path)),
        tuple(sorted(walked.folders)),
        tuple(sorted(walked.linked_again)),
    )


def natural_order(paths: Iterable[str]) -> list[str]:
    """Return paths in order, numbers in them compared as numbers: `part.2` before `part.10`.

    >>> natural_order(["part.10", "part.2", "part-b"])
    ['part-b', 'part.2', 'part.10']
    """
    return sorted(paths, key=lambda path: (_NUMBERS.sub(_counted, path), path))


def printable(name: str) -> str:
    """Return a name of the local filesystem as UTF-8 can write it."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _counted(number: "re.Match[str]") -> str:
    digits = number[0].lstrip("0")
    # As many digits as there are decide before the digits do; among other characters it stands where a digit does.
    return number[0] if "-" in number[0] else f"0{chr(len(digits))}{digits}"


def _remote(place: Location) -> Tree:
    start = len(place.path.rstrip("/")) + 1
    files, folders = [], []
    selector = pafs.FileSelector(place.path, recursive=True)
    for info in Retry().reading(lambda: place.filesystem.get_file_info(selector), f"{place.url}: the store"):
        if info.type == pafs.FileType.Directory:
            folders.append(info.path[start:])
        elif info.type == pafs.FileType.File:
            files.append(Entry(info.path[start:], int(info.size), info.mtime_ns))
        else:
            files.append(Entry(info.path[start:], obstacle="is no regular file"))
    return Tree(tuple(files), tuple(folders))


class _Walk:
    """A walk through a local directory: directories first, links to further ones when all of them are listed."""

    def __init__(self, root: str, *, follow: bool) -> None:
        self._root, self._follow = root, follow
        self._files: list[Entry] = []
        self._folders: list[str] = []
        self._again: list[tuple[str, str]] = []
        # Device and inode of what may be met again: links, files of several names; and of every file only while links are there.
        self._identities: list[tuple[int, int]] = []
        self._several = False

    def tree(self) -> Tree:
        """Return what was found, in no order."""
        listed = {_identity(os.stat(self._root)): "."}
        above = set(_identities_above(self._root))
        folders, links = deque([("", self._root)]), deque[tuple[str, str]]()
        while folders or links:
            is_link = not folders
            relative, full = (links if is_link else folders).popleft()
            if is_link:
                identity = _identity(os.stat(full))
                known = listed.get(identity) or (".." if identity in above else None)
                if known is not None:
                    self._again.append((printable(relative), known))
                    continue
                listed[identity] = printable(relative)
                self._folders.append(printable(relative))
            for child in sorted(os.scandir(full), key=lambda child: child.name):
                path = f"{relative}/{child.name}" if relative else child.name
                if child.is_dir(follow_symlinks=False):
                    if not is_hidden(path):
                        listed.setdefault(_identity(child.stat(follow_symlinks=False)), printable(path))
                    self._folders.append(printable(path))
                    folders.append((path, child.path))
                elif _leads_to_directory(child):
                    if self._follow and not is_hidden(path):
                        links.append((path, child.path))
                    elif self._follow:
                        self._add(Entry(printable(path)), (0, 0))
                else:
                    self._add_file(path, child)
        return Tree(tuple(self._named_once()), tuple(self._folders), tuple(self._again))

    def _add_file(self, path: str, child: "os.DirEntry[str]") -> None:
        try:
            status = child.stat()
        except OSError as error:
            if child.is_symlink():
                self._add(Entry(printable(path), obstacle=_why_not(child.path, error)), (0, 0))
            elif not isinstance(error, FileNotFoundError):
                raise
            # Else it was deleted just now.
            return
        special, shown = kind_of_special(status.st_mode), printable(path)
        obstacle = f"is {special}, no regular file" if special else "" if _is_utf8(path) else _NOT_UTF8
        self._several |= child.is_symlink() or status.st_nlink > 1
        size = status.st_size if not obstacle else 0
        self._add(Entry(shown, size, status.st_mtime_ns, obstacle), (0, 0) if obstacle else _identity(status))

    def _add(self, entry: Entry, identity: tuple[int, int]) -> None:
        self._files.append(entry)
        self._identities.append(identity)

    def _named_once(self) -> Iterator[Entry]:
        """Yield the files; of those that are one file the first one that is visible and no link has no `same_as`."""
        if not self._several:
            yield from self._files
            return
        first: dict[tuple[int, int], str] = {}
        for entry, identity in sorted(zip(self._files, self._identities, strict=True), key=lambda pair: self._rank(pair[0].path)):
            if identity != (0, 0):
                first.setdefault(identity, entry.path)
        for entry, identity in zip(self._files, self._identities, strict=True):
            known = first.get(identity, entry.path)
            yield entry if known == entry.path else replace(entry, same_as=known)

    def _rank(self, path: str) -> tuple[bool, bool, str]:
        return is_hidden(path), os.path.islink(os.path.join(self._root, path)), path


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _identities_above(path: str) -> Iterator[tuple[int, int]]:
    # By `..`, which the kernel follows. A path's text names another place behind a link of /proc that leads to another namespace.
    here, above = _identity(os.stat(path)), os.path.join(path, "..")
    while (identity := _identity(os.stat(above))) != here:
        yield identity
        here, above = identity, os.path.join(above, "..")


def _leads_to_directory(child: "os.DirEntry[str]") -> bool:
    try:
        return child.is_symlink() and stat.S_ISDIR(child.stat().st_mode)
    except OSError:
        return False


def _why_not(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"is a link to nothing: {printable(os.readlink(path))} is not there"
    return f"is a link that cannot be followed: {error.strerror}"


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
