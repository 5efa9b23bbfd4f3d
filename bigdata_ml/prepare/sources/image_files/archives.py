"""Images in archives, tar or zip, read where they lie: nothing is unpacked to disk."""

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

from pyspark.sql import SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.image_files.files import ImageFiles, LabelFile, labelled
from bigdata_ml.prepare.sources.image_files.tar_members import (
    BoundedReader,
    LinkTargets,
    is_link,
    open_tar,
    tar_members,
    trouble_with,
)
from bigdata_ml.prepare.sources.packed import READ, ReadFile, Stretch, batches_of, packed, packs, packs_for, packs_of, unpacked
from bigdata_ml.storage import Location, is_hidden, list_tree, locate, way_out

__all__ = ["ARCHIVES", "archives", "is_archive"]

# A compressed tar has to be read from its beginning: it is one task. tarfile's own decompression overlooks a file's missing end.
_UNPACKERS: dict[str, Any] = {".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.bz2": bz2.open, ".tar.xz": lzma.open}
_STREAMED = tuple(_UNPACKERS)
ARCHIVES = (".tar", ".zip", *_STREAMED)
# Bytes of a member: of what lies in the file as it is, of what is unpacked, and of what is sent to Spark's own memory besides.
_MEMBER_LIMIT, _DEFLATED_LIMIT, _STREAMED_LIMIT = 1 << 30, 1 << 29, 1 << 26
_NOWHERE = "is a link to nothing in the archive"
_BLOCK = 512
_TINY = 64 << 10
# What the modules raise for broken archives: of headers that make no sense also what Python's own functions do.
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, OSError, EOFError, ValueError, RuntimeError, OverflowError,
    LookupError, struct.error,
)  # fmt: skip


def is_archive(name: str) -> bool:
    """Whether a file's name ends like an archive's."""
    return name.lower().endswith(ARCHIVES)


def archives(spark: SparkSession, url: str, *, label_from: str | LabelFile = "folder") -> ImageFiles:
    """Return the files in an archive, or in all archives of a folder, at any depth.

    A member is called `ARCHIVE!/PATH`. A hard or symbolic link in a tar is the file that it leads to. Hidden members (`.…`, `_…`,
    as in `__MACOSX`) are not looked at, but counted. A plain tar and a zip are read by many tasks, a compressed tar by one.

    Args:
        spark: the session.
        url: the archive (.tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip) or a folder of them.
        label_from: as for `images`.

    Raises:
        JobRefused: no archive there, one that cannot be read, is encrypted or packed in a way that is not known, or no file in
            them. A member that cannot be read (of more than 1 GiB, 512 MiB if it is deflated, 64 MiB in a compressed tar; a
            link to nothing; damaged) has an `obstacle`, and the others are read.
    """
    root = locate(url)
    names, passed_over = _names(root)
    indexed: list[_Listed] = []
    for one in spark.sparkContext.parallelize(names, len(names)).flatMap(_Index(root)).collect():
        if isinstance(one, str):
            raise JobRefused(one)
        indexed.append(one)
    files = sum(one.files for one in indexed)
    if not files:
        raise JobRefused(f"{root.url}: the archives hold no files")
    # Packed anew, so that many small archives are few tasks.
    size = sum(one.size for one in indexed)
    stretches = (stretch for one in indexed for stretch in unpacked(one.places))
    unread = packs_of(spark, packs_for(spark, stretches, files=files, size=size))
    rows = unread.read()
    streamed = [name for name in names if (name or root.name).lower().endswith(_STREAMED)]
    if streamed:
        urls = spark.sparkContext.parallelize([(name,) for name in streamed], len(streamed))
        rows = rows.union(spark.createDataFrame(urls, "name string").mapInArrow(_Stream(root), READ))
    return ImageFiles(
        rows=labelled(spark, rows, label_from),
        files=files,
        bytes=size,
        passed_over={**passed_over, "hidden": passed_over["hidden"] + sum(one.hidden for one in indexed)},
        packs=None if streamed else unread,
        label_from=label_from,
    )


def _names(root: Location) -> tuple[list[str], dict[str, int]]:
    """Return the archives below `root`, itself as an empty name, and how many files are passed over by why."""
    if root.is_file():
        return [""], {"hidden": 0}
    if not root.is_directory():
        raise JobRefused(f"{root.url}: no archive there; one ends in {', '.join(ARCHIVES)}")
    tree = list_tree(root)
    visible = tree.visible
    found = [one for one in visible if is_archive(one.path)]
    for one in found:
        if one.obstacle:
            raise JobRefused(f"{root.url}/{one.path}: {one.obstacle}; mend it or take it away")
    names = [one.path for one in found if not one.same_as]
    if not names:
        raise JobRefused(f"{root.url}: no archive there; one ends in {', '.join(ARCHIVES)}")
    return names, {
        "hidden": len(tree.files) - len(visible),
        "other_ending": len(visible) - len(found),
        "linked_again": len(found) - len(names) + len(tree.linked_again),
    }


class _Archive:
    """What both passes need: the archive of a name below a root, without the root's filesystem, which is not sent."""

    def __init__(self, root: Location) -> None:
        self._root = root.url

    def _url(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _path(self, name: str, member: str) -> str:
        path = f"{name or self._root.rsplit('/', 1)[-1]}!/{member.removeprefix('./')}"
        # Names that are not UTF-8 have surrogates.
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
            if not ending.endswith(_STREAMED):
                # Going from header to header is a call each to another store: there it is read through.
                with open_tar(stream, seekable=place.is_local) as archive:
                    yield archive
                return
            size = int(place.info().size)
            with _unpacked(stream, ending) as unpacked, open_tar(BoundedReader(unpacked, size), seekable=False) as archive:
                yield archive


@dataclass(frozen=True, slots=True)
class _Listed:
    """Some members of an archive: how many, their bytes, where they lie (of a compressed tar nowhere), how many are hidden."""

    files: int
    size: int
    places: bytes
    hidden: int = 0


class _Index(_Archive):
    """Lists an archive's members, some thousand at a time; those of a compressed tar have the length −1.

    What is wrong with an archive is returned as text: raised, it would be tried again by Spark, three times.
    """

    def __call__(self, name: str) -> Iterator[_Listed | str]:
        hidden: list[str] = []
        try:
            for pack in packs(self._members(name, hidden)):
                places = packed([one for one in pack if one.length >= 0])
                yield _Listed(len(pack), sum(one.size for one in pack), places)
            yield _Listed(0, 0, packed([]), len(hidden))
        except JobRefused as error:
            yield str(error)

    def _members(self, name: str, hidden: list[str]) -> Iterator[Stretch]:
        place = locate(self._url(name))
        ending = place.name.lower()
        try:
            if ending.endswith(".zip"):
                with place.filesystem.open_input_file(place.path) as stream:
                    # Of a tiny file zipfile looks before the beginning, which pyarrow refuses in words zipfile does not know.
                    tiny = place.info().size < _TINY
                    yield from self._zip(io.BytesIO(stream.read()) if tiny else stream, name, hidden)
            elif ending.endswith(_STREAMED):
                with self._opened(name) as archive:
                    for one in tar_members(archive, hidden):
                        size = 0 if is_link(one) or trouble_with(one, limit=_STREAMED_LIMIT) else one.size
                        yield Stretch(place.url, self._path(name, one.name), 0, -1, size)
            else:
                yield from self._tar(name, place, hidden)
        except _BROKEN as error:
            raise self._refused(name, error) from error

    def _tar(self, name: str, place: Location, hidden: list[str]) -> Iterator[Stretch]:
        targets, links = LinkTargets(), []
        with self._opened(name) as archive:
            for one in tar_members(archive, hidden):
                if is_link(one):
                    targets.add(one)
                    links.append(one.name)
                else:
                    yield self._stretch(name, place, one)
            # An archive ends with blocks of zeros; the module takes the file's end for one.
            if place.info().size < archive.offset + _BLOCK:
                raise EOFError("its end is missing: it was cut short or is still being written")
        found: dict[str, Stretch] = {}
        if targets:
            wanted = targets.wanted
            with self._opened(name) as archive:
                for one in archive:
                    archive.members = []  # type: ignore[attr-defined]
                    path = posixpath.normpath(one.name)
                    if path in wanted and one.isfile():
                        found[path] = self._stretch(name, place, one)
        for link in links:
            path = self._path(name, link)
            target = found.get(targets.end_of(link) or "")
            yield Stretch(place.url, path, length=0, obstacle=_NOWHERE) if target is None else replace(target, path=path)

    def _stretch(self, name: str, place: Location, one: tarfile.TarInfo) -> Stretch:
        path = self._path(name, one.name)
        trouble = trouble_with(one, limit=_MEMBER_LIMIT)
        if not trouble and one.sparse is not None:
            trouble = "is a sparse file, which is not read; pack it anew without holes"
        if trouble:
            return Stretch(place.url, path, length=0, obstacle=trouble)
        return Stretch(place.url, path, one.offset_data, one.size, one.size)

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


class _Stream(_Archive):
    """Reads compressed tars from beginning to end."""

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            for name in batch.column(0).to_pylist():
                yield from batches_of(self._members(name))

    def _members(self, name: str) -> Iterator[ReadFile]:
        targets, links = LinkTargets(), []
        try:
            with self._opened(name) as archive:
                for one in tar_members(archive):
                    if is_link(one):
                        targets.add(one)
                        links.append(one.name)
                    else:
                        yield self._read(name, archive, one, one.name)
            yield from self._linked(name, targets, links)
        except _BROKEN as error:
            raise self._refused(name, error) from error

    def _linked(self, name: str, targets: LinkTargets, links: list[str]) -> Iterator[ReadFile]:
        """Read the archive again for the files that links lead to; of several of one path the first is taken."""
        waiting: dict[str, list[str]] = {}
        for link in links:
            end = targets.end_of(link)
            if end is None:
                yield self._path(name, link), b"", _NOWHERE
            else:
                waiting.setdefault(end, []).append(link)
        if waiting:
            with self._opened(name) as archive:
                for one in archive:
                    archive.members = []  # type: ignore[attr-defined]
                    here = waiting.pop(posixpath.normpath(one.name), []) if one.isfile() else []
                    read = self._read(name, archive, one, one.name) if here else None
                    for link in here:
                        if read is not None:
                            yield self._path(name, link), read[1], read[2]
        for link in (one for rest in waiting.values() for one in rest):
            yield self._path(name, link), b"", _NOWHERE

    def _read(self, name: str, archive: tarfile.TarFile, one: tarfile.TarInfo, path: str) -> ReadFile:
        trouble = trouble_with(one, limit=_STREAMED_LIMIT)
        if trouble:
            return self._path(name, path), b"", trouble
        file = archive.extractfile(one)
        return self._path(name, path), file.read() if file else b"", None


def _unpacked(stream: Any, ending: str) -> Any:
    return next(unpack for known, unpack in _UNPACKERS.items() if ending.endswith(known))(stream, "rb")


def _overlapping(archive: zipfile.ZipFile) -> dict[int, str]:
    """Return, by offset, what is wrong with members that share bytes with one before them: so a small zip holds terabytes."""
    end, found = 0, {}
    for one in sorted(archive.infolist(), key=lambda one: one.header_offset):
        if one.header_offset < end:
            found[one.header_offset] = "overlaps another member, as in a zip bomb; pack it anew"
        # A local header has 30 bytes, a name as long as the directory's, and what more there is.
        end = max(end, one.header_offset + 30 + len(one.orig_filename.encode("utf-8", "surrogateescape")) + one.compress_size)
    return found
