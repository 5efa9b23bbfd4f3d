"""Read the members of compressed tars from beginning to end."""

import itertools
import posixpath
import tarfile
from collections.abc import Iterator
from typing import Any

from bigdata_ml.prepare.sources.image_files.archive_index import BROKEN, NOWHERE, STREAMED_LIMIT, Archive
from bigdata_ml.prepare.sources.image_files.tar_members import LinkTargets, is_link, tar_members, trouble_with
from bigdata_ml.prepare.sources.packed import ReadFile, batches_of

__all__ = ["StreamedArchives"]


class StreamedArchives(Archive):
    """Reads compressed tars from beginning to end."""

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield the files in the archives that the batches name."""
        for batch in batches:
            for name in batch.column(0).to_pylist():
                yield from batches_of(self._members(name))

    def _members(self, name: str) -> Iterator[ReadFile]:
        targets, links = LinkTargets(), []
        try:
            with self._opened(name) as archive:
                for member in tar_members(archive):
                    if is_link(member):
                        targets.add(member)
                        links.append(member.name)
                    else:
                        yield self._read(name, archive, member, member.name)
            yield from self._linked(name, targets, links)
        except BROKEN as error:
            raise self._refused(name, error) from error

    def _linked(self, name: str, targets: LinkTargets, links: list[str]) -> Iterator[ReadFile]:
        """Read the archive again for the targets of links; the first of several members with one path counts."""
        waiting: dict[str, list[str]] = {}
        for link in links:
            end = targets.end_of(link)
            if end is None:
                yield self._path(name, link), b"", NOWHERE
            else:
                waiting.setdefault(end, []).append(link)
        if waiting:
            with self._opened(name) as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined]
                    here = waiting.pop(posixpath.normpath(member.name), []) if member.isfile() else []
                    read = self._read(name, archive, member, member.name) if here else None
                    for link in here:
                        if read is not None:
                            yield self._path(name, link), read[1], read[2]
        for link in itertools.chain.from_iterable(waiting.values()):
            yield self._path(name, link), b"", NOWHERE

    def _read(self, name: str, archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> ReadFile:
        trouble = trouble_with(member, limit=STREAMED_LIMIT)
        if trouble:
            return self._path(name, path), b"", trouble
        file = archive.extractfile(member)
        return self._path(name, path), file.read() if file else b"", None
