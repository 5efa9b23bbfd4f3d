"""Read the members and links of a tar, with limits on the sizes in its headers."""

import posixpath
import tarfile
from collections.abc import Iterator
from typing import IO, Any

from bigdata_ml.storage import is_hidden

__all__ = ["BoundedReader", "LinkTargets", "is_link", "member_path", "open_tar", "tar_members", "trouble_with"]

# Headers of long names and pax attributes are read into memory whole.
_HEADER_LIMIT = 1 << 20
_HEADERS = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
)  # fmt: skip
# Limits of an unpacked tar: images are already compressed, so much more is a bomb.
_LEAST_BOUND, _MOST_RATIO = 1 << 30, 200
_MOST_LINKS = 40


class _BoundedTarInfo(tarfile.TarInfo):
    """A member with a limit on the size of its extended header."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in _HEADERS and not 0 <= self.size <= _HEADER_LIMIT:
            raise tarfile.ReadError(
                f"a header of a name or of attributes is said to have {self.size} bytes, {_HEADER_LIMIT} it may have"
            )
        return super()._proc_member(archive)  # type: ignore[misc]  # tarfile says that subclasses may replace it


class BoundedReader:
    """Reads from a decompressing stream up to a limit that depends on the compressed size.

    Args:
        stream: the decompressing stream.
        packed: size of the compressed file in bytes.
    """

    def __init__(self, stream: Any, packed: int) -> None:
        self._stream, self._packed = stream, packed
        self._left = max(_LEAST_BOUND, _MOST_RATIO * packed)

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; raises ReadError beyond the limit."""
        data = bytes(self._stream.read(size))
        self._left -= len(data)
        if self._left < 0:
            raise tarfile.ReadError(
                f"its {self._packed} bytes unpack to more than {max(_LEAST_BOUND, _MOST_RATIO * self._packed)}"
            )
        return data


def open_tar(stream: IO[bytes] | BoundedReader, *, seekable: bool) -> tarfile.TarFile:
    """Open a tar; without `seekable` it is read sequentially."""
    return tarfile.open(fileobj=stream, mode="r:" if seekable else "r|", tarinfo=_BoundedTarInfo)  # type: ignore[call-overload,no-any-return]


def tar_members(archive: tarfile.TarFile, hidden: list[str] | None = None) -> Iterator[tarfile.TarInfo]:
    """Yield the members except folders, in order; names of hidden ones are added to `hidden` instead."""
    for member in archive:
        # tarfile keeps all members for later lookups; there may be a million.
        archive.members = []  # type: ignore[attr-defined]
        if member.isdir():
            continue
        if not is_hidden(member_path(member)):
            yield member
        elif hidden is not None:
            hidden.append(member.name)


def member_path(member: tarfile.TarInfo) -> str:
    """Return a member's path in the archive."""
    return member.name.removeprefix("./")


def is_link(member: tarfile.TarInfo) -> bool:
    """Whether a member is a hard or symbolic link."""
    return member.islnk() or member.issym()


def trouble_with(member: tarfile.TarInfo, *, limit: int) -> str:
    """Return why a member (not a link) cannot be read, or an empty text; `limit` is its largest size in bytes."""
    if not member.isfile():
        return "is no regular file"
    if not 0 <= member.size <= limit:
        return f"has {member.size} bytes, more than the {limit} that an image may have there"
    try:
        member.name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename it"
    return ""


class LinkTargets:
    """Targets of the links of an archive."""

    def __init__(self) -> None:
        self._links: dict[str, str | None] = {}

    def __bool__(self) -> bool:
        return bool(self._links)

    def add(self, member: tarfile.TarInfo) -> None:
        """Add a link."""
        folder = "" if member.islnk() else posixpath.dirname(member.name)
        target = posixpath.normpath(posixpath.join(folder, member.linkname))
        outside = target.startswith(("/", "../")) or target == ".."
        self._links[posixpath.normpath(member.name)] = None if outside else target

    @property
    def wanted(self) -> set[str]:
        """Final targets of all links, inside the archive."""
        return {end for end in map(self.end_of, self._links) if end is not None}

    def end_of(self, name: str) -> str | None:
        """Return the final target of a link; None if it is outside the archive, or in a cycle."""
        path: str | None = posixpath.normpath(name)
        for _ in range(_MOST_LINKS):
            if path is None or path not in self._links:
                return path
            path = self._links[path]
        return None
