"""The versions of a dataset that is replaced in place: numbered manifests, of which `manifest.json` is a copy of the newest.

Whoever creates the next number has published: of two jobs one does. `manifest.json` follows it; a job that dies in between has
published too, and the next one that looks completes the copy. Readers know only `manifest.json`. A number is never free again:
of a version that is swept an empty file stays, or a job that began long ago would take its number for the next.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from bigdata_ml.dataset.layout import MANIFEST, MANIFESTS, METADATA, QUARANTINE
from bigdata_ml.dataset.manifest import Manifest
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.errors import JobRefused, MetadataUnreadable, StorageUnavailable
from bigdata_ml.storage import Entry, Location, list_tree
from bigdata_ml.storage.exchange import put_later, put_new, put_over

__all__ = ["commit", "files_of", "generations", "has_publication", "left_behind", "manifest_of", "newest", "sweep"]

_NAME = re.compile(r"(\d{8})\.json")
# What `storage.exchange` calls a file that it is about to put in place, and how old one is whose writer died.
_ASIDE = re.compile(r"(?:^|/)\.[^/]+\.[0-9a-f]{8}$")
_ASIDE_SECONDS = 600.0
_PUBLICATION = re.compile(r"\.(\d{8}T\d{6}-[0-9a-f]{8})\.[a-z]+$")


def generations(root: Location) -> list[int]:
    """Return the numbers of the versions whose manifests are there, in order; empty where nothing was replaced yet."""
    place = root / MANIFESTS
    if not place.exists():
        return []
    found = (_NAME.fullmatch(path) for path, _ in _files(place))
    return sorted(int(one[1]) for one in found if one)


def newest(root: Location) -> int:
    """Return the number of the newest version, 1 or more, having completed what a job that died has left half done.

    0 where no dataset is.
    """
    if not generations(root):
        if not (root / MANIFEST).exists():
            return 0
        with suppress(FileExistsError):
            put_new(root / _path(1), (root / MANIFEST).read_bytes())
    _settle(root)
    return generations(root)[-1]


def commit(root: Location, before: int, manifest: Manifest) -> None:
    """Make `manifest` the version after `before`.

    Raises:
        JobRefused: another job has published that version.
        StorageUnavailable: the store does not take it; it is not published.
    """
    data = manifest.to_bytes()
    # Once the number is there the job has published, so the copy must not fail for want of room after it.
    with put_later(root / MANIFEST, data) as follow:
        try:
            put_new(root / _path(before + 1), data)
        except FileExistsError:
            raise JobRefused(
                f"{root.url}: another job has published there since this one began; nothing of this one is published: "
                "run it again"
            ) from None
        if generations(root)[-1] == before + 1:
            follow()
    _settle(root)


def manifest_of(root: Location, number: int) -> Manifest:
    """Return the manifest of a version; raises as `Manifest.from_bytes`."""
    place = root / _path(number)
    return Manifest.from_bytes(place.read_bytes(), url=place.url)


def files_of(root: Location, manifest: Manifest) -> set[str]:
    """Return the paths of the files that a version consists of, its manifest apart."""
    place = root / manifest.row_groups.path
    table = RowGroups.from_bytes(place.read_bytes(), url=place.url)
    return {*table.files, manifest.row_groups.path, *(side.path for side in (*manifest.quarantine, *manifest.ledger))}


def has_publication(path: str) -> str | None:
    """Return the id of the publication that a file's name carries, or None."""
    found = _PUBLICATION.search(path)
    return found[1] if found else None


def left_behind(root: Location, mine: set[str]) -> set[str]:
    """Return the paths of files that belong to other versions than the one of the files `mine`, or to no version."""
    others = {path for number in generations(root) for path in _files_left(root, number)}
    return {path for path, _ in _files(root) if path not in mine and (path in others or has_publication(path))}


def sweep(root: Location, *, oldest: int, find_live: Callable[[], set[str]]) -> list[str]:
    """Delete what belongs to no version from `oldest` on: files of older versions, and of jobs that died; return their paths.

    Only files that a manifest names, or whose name carries a publication's id, are deleted.

    Args:
        root: the dataset.
        oldest: number of the oldest version that is kept.
        find_live: returns the ids of publications that are under way, whose files are kept.
    """
    # In this order: who has placed a file is under way or, after that, among the versions.
    found = dict(_files(root))
    live = find_live()
    numbers = generations(root)
    kept: set[str] = set()
    for number in (one for one in numbers if one >= oldest):
        known = found.get(_path(number))
        if known is not None and not known.size:
            # Of a version that was swept, which has no files.
            continue
        try:
            manifest = manifest_of(root, number)
            kept |= files_of(root, manifest) | {_path(number)}
        except (MetadataUnreadable, StorageUnavailable, OSError):
            # Which files are its own is not known.
            return []
        live = live | {manifest.publication}
    dropped = {path for number in numbers if number < oldest for path in _files_left(root, number)}
    doomed = [path for path in found if path not in kept and (path in dropped or _is_stray(path, live))]
    # Data first, then the tables that name them, then the manifests that name these: one who dies leaves nothing unnamed.
    doomed.sort(key=lambda path: (path.startswith(f"{METADATA}/"), path))
    for path in [*doomed, *(path for path, info in found.items() if _is_left_aside(path, info))]:
        (root / path).delete()
    for number in numbers:
        known = found.get(_path(number))
        if number < oldest and known is not None and known.size:
            put_over(root / _path(number), b"")
    return doomed


def _settle(root: Location) -> None:
    """Have `manifest.json` be the newest version's; one who comes late with an older one sees it here, and mends it."""
    while True:
        number = generations(root)[-1]
        wanted, place = (root / _path(number)).read_bytes(), root / MANIFEST
        # Nothing, if so many versions came meanwhile that this one was swept.
        if wanted and (not place.exists() or place.read_bytes() != wanted):
            put_over(place, wanted)
        if generations(root)[-1] == number:
            return


def _path(number: int) -> str:
    return f"{MANIFESTS}/{number:08d}.json"


def _is_stray(path: str, live: set[str]) -> bool:
    publication = has_publication(path)
    mine = path.endswith(".parquet") or path.startswith((f"{QUARANTINE}/", f"{METADATA}/"))
    return publication is not None and publication not in live and mine


def _is_left_aside(path: str, found: Entry) -> bool:
    return bool(_ASIDE.search(path)) and found.modified is not None and time.time() - found.modified / 1e9 > _ASIDE_SECONDS


def _files_left(root: Location, number: int) -> set[str]:
    """Return what is known of the files of an older version, whose table a sweep that died may have deleted."""
    try:
        return files_of(root, manifest_of(root, number))
    except (MetadataUnreadable, StorageUnavailable, OSError):
        return set()


def _files(root: Location) -> Iterator[tuple[str, Entry]]:
    # What lies behind a link to a directory is not the dataset's.
    for entry in list_tree(root, follow=False).files:
        yield entry.path, entry
