"""Images in archives, tar or zip, read where they lie: nothing is unpacked to disk."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.fs as pafs
from pyspark.sql import SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.files import ImageFiles, labelled
from bigdata_ml.prepare.sources.packed import READ, Stretch, batches_of, packed, packs, packs_for, packs_of, unpacked
from bigdata_ml.storage import Location, is_hidden, locate, way_out

__all__ = ["ARCHIVES", "archives", "is_archive"]

# A compressed tar has to be read from its beginning: it is one task. tarfile's own decompression overlooks a file's missing end.
_UNPACKERS: dict[str, Any] = {".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.bz2": bz2.open, ".tar.xz": lzma.open}
_STREAMED = tuple(_UNPACKERS)
ARCHIVES = (".tar", ".zip", *_STREAMED)
_MEMBER_LIMIT = 1 << 30
_BLOCK = 512
_TINY = 64 << 10
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, OSError, EOFError)


def is_archive(name: str) -> bool:
    """Whether a file's name ends like an archive's."""
    return name.lower().endswith(ARCHIVES)


def archives(spark: SparkSession, url: str, *, label_from: str = "folder") -> ImageFiles:
    """Return the files in an archive, or in all archives of a folder, at any depth.

    A member is called `ARCHIVE!/PATH`. Hidden members (`.…`, `_…`, as in `__MACOSX`) are not looked at, but counted. A
    plain tar and a zip are read by many tasks, a compressed tar by one.

    Args:
        spark: the session.
        url: the archive (.tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip) or a folder of them.
        label_from: as for `images`.

    Raises:
        JobRefused: no archive there, one that cannot be read, is encrypted or packed in a way that is not known, a member of
            more than 1 GiB, or no file in them.
    """
    root = locate(url)
    names = _names(root)
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
        passed_over={"hidden": sum(one.hidden for one in indexed)},
        packs=None if streamed else unread,
        label_from=label_from,
    )


def _names(root: Location) -> list[str]:
    info = root.info()
    if info.type == pafs.FileType.File:
        return [""]
    names = []
    if info.type == pafs.FileType.Directory:
        names = [path for path, one in root.walk() if one.type == pafs.FileType.File and is_archive(path)]
    if not names:
        raise JobRefused(f"{root.url}: no archive there; one ends in {', '.join(ARCHIVES)}")
    return names


class _Archive:
    """What both passes need: the archive of a name below a root, without the root's filesystem, which is not sent."""

    def __init__(self, root: Location) -> None:
        self._root = root.url

    def _url(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _path(self, name: str, member: str) -> str:
        return f"{name or self._root.rsplit('/', 1)[-1]}!/{member.removeprefix('./')}"

    def _refused(self, name: str, error: Exception) -> JobRefused:
        return JobRefused(f"{self._url(name)}: cannot be read as an archive: {error}{way_out(error)}")

    def _files(self, name: str, archive: tarfile.TarFile, hidden: list[str] | None = None) -> Iterator[tarfile.TarInfo]:
        for member in archive:
            # Members are kept by the module for names that are asked for later; there may be a million.
            archive.members = []  # type: ignore[attr-defined]
            if not member.isfile():
                continue
            if not is_hidden(member.name.removeprefix("./")):
                _check_size(self._url(name), member.name, member.size)
                yield member
            elif hidden is not None:
                hidden.append(member.name)


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
            with place.filesystem.open_input_file(place.path) as stream:
                if ending.endswith(".zip"):
                    # Of a tiny file zipfile looks before the beginning, which pyarrow refuses in words zipfile does not know.
                    tiny = place.info().size < _TINY
                    yield from self._zip(io.BytesIO(stream.read()) if tiny else stream, name, hidden)
                elif ending.endswith(_STREAMED):
                    with _unpacked(stream, ending) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
                        for one in self._files(name, archive, hidden):
                            yield Stretch(place.url, self._path(name, one.name), 0, -1, one.size)
                else:
                    # Going from header to header is a call each to another store: there it is read through.
                    with tarfile.open(fileobj=stream, mode="r:" if place.is_local else "r|") as archive:
                        yield from self._tar(archive, name, place, hidden)
        except _BROKEN as error:
            raise self._refused(name, error) from error

    def _tar(self, archive: tarfile.TarFile, name: str, place: Location, hidden: list[str]) -> Iterator[Stretch]:
        for one in self._files(name, archive, hidden):
            if one.sparse is not None:
                raise JobRefused(f"{place.url}: {one.name} is a sparse file, which is not read; pack it anew without holes")
            yield Stretch(place.url, self._path(name, one.name), one.offset_data, one.size, one.size)
        # An archive ends with blocks of zeros; the module takes the file's end for one.
        if place.info().size < archive.offset + _BLOCK:
            raise EOFError("its end is missing: it was cut short or is still being written")

    def _zip(self, stream: Any, name: str, hidden: list[str]) -> Iterator[Stretch]:
        url = self._url(name)
        with zipfile.ZipFile(stream) as archive:
            for member in archive.infolist():
                if member.is_dir():
                    continue
                if is_hidden(member.filename):
                    hidden.append(member.filename)
                    continue
                _check_size(url, member.filename, member.file_size)
                if member.flag_bits & 1:
                    raise JobRefused(f"{url}: {member.filename} is encrypted; unpack it and name the folder instead")
                packing = {zipfile.ZIP_STORED: "zip-stored", zipfile.ZIP_DEFLATED: "zip-deflated"}.get(member.compress_type)
                if packing is None:
                    raise JobRefused(
                        f"{url}: {member.filename} is compressed by method {member.compress_type}; stored and deflated members "
                        "are read: pack it anew, or unpack it and name the folder"
                    )
                path = self._path(name, member.filename)
                yield Stretch(url, path, member.header_offset, member.compress_size, member.file_size, packing)


class _Stream(_Archive):
    """Reads compressed tars from beginning to end."""

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            for name in batch.column(0).to_pylist():
                yield from batches_of(self._members(name))

    def _members(self, name: str) -> Iterator[tuple[str, bytes]]:
        place = locate(self._url(name))
        try:
            with (
                place.filesystem.open_input_file(place.path) as stream,
                _unpacked(stream, place.name.lower()) as unpacked,
                tarfile.open(fileobj=unpacked, mode="r|") as archive,
            ):
                for one in self._files(name, archive):
                    file = archive.extractfile(one)
                    yield self._path(name, one.name), file.read() if file else b""
        except _BROKEN as error:
            raise self._refused(name, error) from error


def _unpacked(stream: Any, ending: str) -> Any:
    return next(unpack for known, unpack in _UNPACKERS.items() if ending.endswith(known))(stream, "rb")


def _check_size(url: str, name: str, size: int) -> None:
    if size > _MEMBER_LIMIT:
        raise JobRefused(f"{url}: {name} has {size} bytes, more than the {_MEMBER_LIMIT} that an image may have; leave it out")
