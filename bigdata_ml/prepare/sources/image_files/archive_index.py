"""List the members of tar and zip archives."""

import bz2
import gzip
import io
import lzma
import posixpath
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.image_files.tar_members import (
    BoundedReader,
    LinkTargets,
    is_link,
    open_tar,
    tar_members,
    trouble_with,
)
from bigdata_ml.prepare.sources.packed import Stretch, packed, packs
from bigdata_ml.storage import Location, is_hidden, locate, way_out

__all__ = ["ARCHIVES", "BROKEN", "NOWHERE", "STREAMED", "STREAMED_LIMIT", "Archive", "ArchiveIndex", "ListedMembers"]

# A compressed tar is one task, since it is read from its start. tarfile's own decompression does not notice a missing end.
_UNPACKERS: dict[str, Any] = {".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.bz2": bz2.open, ".tar.xz": lzma.open}
STREAMED = tuple(_UNPACKERS)
ARCHIVES = (".tar", ".zip", *STREAMED)
# Most bytes of a member: stored as is, deflated, and in a compressed tar, where it also takes memory of Spark.
_MEMBER_LIMIT, _DEFLATED_LIMIT, STREAMED_LIMIT = 1 << 30, 1 << 29, 1 << 26
NOWHERE = "is a link to nothing in the archive"
_BLOCK = 512
_TINY = 64 << 10
# Errors of the modules for broken archives, and of Python's functions for invalid headers.
BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, OSError, EOFError, ValueError, RuntimeError, OverflowError,
    LookupError, struct.error,
)  # fmt: skip


class Archive:
    """An archive by its name below a root; holds the URL only, since filesystems cannot be sent to tasks."""

    def __init__(self, root: Location) -> None:
        self._root = root.url

    def _url(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _path(self, name: str, member: str) -> str:
        path = f"{name or self._root.rsplit('/', 1)[-1]}!/{member.removeprefix('./')}"
        # Names that are not UTF-8 contain surrogates.
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def _refused(self, name: str, error: Exception) -> JobRefused:
        text = str(error) or type(error).__name__
        return JobRefused(f"{self._url(name)}: cannot be read as an archive: {text}{way_out(error)}")

    @contextmanager
    def _opened(self, name: str) -> Iterator[tarfile.TarFile]:
        """Open a tar, plain or compressed."""
        place = locate(self._url(name))
        ending = place.name.lower()
        with place.filesystem.open_input_file(place.path) as stream:
            if not ending.endswith(STREAMED):
                # On remote stores each seek is a request, so the file is read sequentially.
                with open_tar(stream, seekable=place.is_local) as archive:
                    yield archive
                return
            size = int(place.info().size)
            with _unpacked(stream, ending) as unpacked, open_tar(BoundedReader(unpacked, size), seekable=False) as archive:
                yield archive


@dataclass(frozen=True, slots=True)
class ListedMembers:
    """Members of an archive: their number, bytes, places (none in a compressed tar), and the number of hidden ones."""

    files: int
    size: int
    places: bytes
    hidden: int = 0


class ArchiveIndex(Archive):
    """Lists the members of an archive in packs; members of a compressed tar have the length −1.

    Errors are returned as text: Spark would retry the task if they were raised.
    """

    def __call__(self, name: str) -> Iterator[ListedMembers | str]:
        """Yield the members, or the text of an error."""
        hidden: list[str] = []
        try:
            for pack in packs(self._members(name, hidden)):
                places = packed([stretch for stretch in pack if stretch.length >= 0])
                yield ListedMembers(len(pack), sum(stretch.size for stretch in pack), places)
            yield ListedMembers(0, 0, packed([]), len(hidden))
        except JobRefused as error:
            yield str(error)

    def _members(self, name: str, hidden: list[str]) -> Iterator[Stretch]:
        place = locate(self._url(name))
        ending = place.name.lower()
        try:
            if ending.endswith(".zip"):
                with place.filesystem.open_input_file(place.path) as stream:
                    # zipfile seeks before the start of a tiny file, and does not know the error that pyarrow raises.
                    tiny = place.info().size < _TINY
                    yield from self._zip(io.BytesIO(stream.read()) if tiny else stream, name, hidden)
            elif ending.endswith(STREAMED):
                with self._opened(name) as archive:
                    for member in tar_members(archive, hidden):
                        size = 0 if is_link(member) or trouble_with(member, limit=STREAMED_LIMIT) else member.size
                        yield Stretch(place.url, self._path(name, member.name), 0, -1, size)
            else:
                yield from self._tar(name, place, hidden)
        except BROKEN as error:
            raise self._refused(name, error) from error

    def _tar(self, name: str, place: Location, hidden: list[str]) -> Iterator[Stretch]:
        targets, links = LinkTargets(), []
        with self._opened(name) as archive:
            for member in tar_members(archive, hidden):
                if is_link(member):
                    targets.add(member)
                    links.append(member.name)
                else:
                    yield self._stretch(name, place, member)
            # An archive ends with blocks of zeros; tarfile accepts the end of the file instead.
            if place.info().size < archive.offset + _BLOCK:
                raise EOFError("its end is missing: it was cut short or is still being written")
        stretches: dict[str, Stretch] = {}
        if targets:
            wanted = targets.wanted
            with self._opened(name) as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]
                    path = posixpath.normpath(member.name)
                    if path in wanted and member.isfile():
                        stretches[path] = self._stretch(name, place, member)
        for link in links:
            path = self._path(name, link)
            target = stretches.get(targets.end_of(link) or "")
            yield Stretch(place.url, path, length=0, obstacle=NOWHERE) if target is None else replace(target, path=path)

    def _stretch(self, name: str, place: Location, member: tarfile.TarInfo) -> Stretch:
        path = self._path(name, member.name)
        trouble = trouble_with(member, limit=_MEMBER_LIMIT)
        if not trouble and member.sparse is not None:
            trouble = "is a sparse file, which is not read; pack it anew without holes"
        if trouble:
            return Stretch(place.url, path, length=0, obstacle=trouble)
        return Stretch(place.url, path, member.offset_data, member.size, member.size)

    def _zip(self, stream: Any, name: str, hidden: list[str]) -> Iterator[Stretch]:
        url = self._url(name)
        size = int(locate(url).info().size)
        with zipfile.ZipFile(stream) as archive:
            overlapping = _overlapping(archive)
            for member in archive.infolist():
                if member.is_dir():
                    continue
                if is_hidden(member.filename):
                    hidden.append(member.filename)
                    continue
                if member.flag_bits & 1:
                    raise JobRefused(f"{url}: {member.filename} is encrypted; unpack it and name the folder instead")
                packing = {zipfile.ZIP_STORED: "zip-stored", zipfile.ZIP_DEFLATED: "zip-deflated"}.get(member.compress_type)
                if packing is None:
                    raise JobRefused(
                        f"{url}: {member.filename} is compressed by method {member.compress_type}; stored and deflated members "
                        "are read: pack it anew, or unpack it and name the folder"
                    )
                path = self._path(name, member.filename)
                trouble = overlapping.get(member.header_offset, "")
                limit = _MEMBER_LIMIT if packing == "zip-stored" else _DEFLATED_LIMIT
                if not trouble and member.header_offset + 30 + member.compress_size > size:
                    trouble = (
                        f"is said to lie at {member.header_offset}, {member.compress_size} bytes, beyond the archive's {size}"
                    )
                if not trouble and max(member.file_size, member.compress_size) > limit:
                    trouble = f"has {member.file_size} bytes, more than the {limit} that an image may have there"
                if trouble:
                    yield Stretch(url, path, length=0, obstacle=trouble)
                    continue
                yield Stretch(url, path, member.header_offset, member.compress_size, member.file_size, packing)


def _unpacked(stream: Any, ending: str) -> Any:
    return next(unpack for known, unpack in _UNPACKERS.items() if ending.endswith(known))(stream, "rb")


def _overlapping(archive: zipfile.ZipFile) -> dict[int, str]:
    """Return errors by offset for members that overlap an earlier one, as in zip bombs."""
    end, overlaps = 0, {}
    for member in sorted(archive.infolist(), key=lambda member: member.header_offset):
        if member.header_offset < end:
            overlaps[member.header_offset] = "overlaps another member, as in a zip bomb; pack it anew"
        # A local header has 30 bytes, the name as in the directory, and possibly an extra field.
        end = max(
            end, member.header_offset + 30 + len(member.orig_filename.encode("utf-8", "surrogateescape")) + member.compress_size
        )
    return overlaps
