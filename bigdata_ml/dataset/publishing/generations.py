"""The versions of a dataset that is replaced in place: numbered manifests, of which `manifest.json` is a copy of the newest.

Creating the next number publishes a version; only one of two jobs can. `manifest.json` is updated after that. If the job dies
in between, the version is published, and the next job completes the copy. Readers use only `manifest.json`. A number is never
reused: an empty file replaces a deleted version's manifest, so that a slow job cannot take its number.
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
# Temporary file names of `storage.exchange`, and the age from which such a file is abandoned.
_ASIDE = re.compile(r"(?:^|/)\.[^/]+\.[0-9a-f]{8}$")
_ASIDE_SECONDS = 600.0
_PUBLICATION = re.compile(r"\.(\d{8}T\d{6}-[0-9a-f]{8})\.[a-z]+$")


def generations(root: Location) -> list[int]:
    """Return the numbers of the versions with manifests, in order; empty if nothing was replaced yet."""
    place = root / MANIFESTS
    if not place.exists():
        return []
    matches = (_NAME.fullmatch(path) for path, _ in _files(place))
    return sorted(int(match[1]) for match in matches if match)


def newest(root: Location) -> int:
    """Return the number of the newest version, 0 if there is no dataset; completes the copy of a job that died."""
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
    # Creating the number publishes, so the copy must not fail for lack of space after that.
    with put_later(root / MANIFEST, data) as follow:
        try:
            put_new(root / _path(before + 1), data)
        except FileExistsError:
            raise JobRefused(
                f"{root.url}: another job has published there since this one began; this job published nothing: run it again"
            ) from None
        if generations(root)[-1] == before + 1:
            follow()
    _settle(root)


def manifest_of(root: Location, number: int) -> Manifest:
    """Return the manifest of a version; raises as `Manifest.from_bytes`."""
    place = root / _path(number)
    return Manifest.from_bytes(place.read_bytes(), url=place.url)


def files_of(root: Location, manifest: Manifest) -> set[str]:
    """Return the paths of a version's files, without its manifest."""
    place = root / manifest.row_groups.path
    table = RowGroups.from_bytes(place.read_bytes(), url=place.url)
    return {*table.files, manifest.row_groups.path, *(side.path for side in (*manifest.quarantine, *manifest.ledger))}


def has_publication(path: str) -> str | None:
    """Return the id of the publication that a file's name carries, or None."""
    match = _PUBLICATION.search(path)
    return match[1] if match else None


def left_behind(root: Location, own: set[str]) -> set[str]:
    """Return the paths of files of other versions, or of none; `own` are the paths of this version."""
    others = {path for number in generations(root) for path in _files_left(root, number)}
    return {path for path, _ in _files(root) if path not in own and (path in others or has_publication(path))}


def sweep(root: Location, *, oldest: int, find_live: Callable[[], set[str]]) -> list[str]:
    """Delete what belongs to no version from `oldest` on: files of older versions, and of jobs that died; return their paths.

    Only files that a manifest names, or whose name carries a publication's id, are deleted.

    Args:
        root: the dataset.
        oldest: number of the oldest version that is kept.
        find_live: returns the ids of publications that are under way, whose files are kept.
    """
    # In this order: the publisher of a file is running or, after that, among the versions.
    entries = dict(_files(root))
    live = find_live()
    numbers = generations(root)
    kept: set[str] = set()
    for number in (number_kept for number_kept in numbers if number_kept >= oldest):
        known = entries.get(_path(number))
        if known is not None and not known.size:
            # A deleted version has no files.
            continue
        try:
            manifest = manifest_of(root, number)
            kept |= files_of(root, manifest) | {_path(number)}
        except (MetadataUnreadable, StorageUnavailable, OSError):
            # Its files are unknown.
            return []
        live = live | {manifest.publication}
    dropped = {path for number in numbers if number < oldest for path in _files_left(root, number)}
    doomed = [path for path in entries if path not in kept and (path in dropped or _is_stray(path, live))]
    # Data first, then row-group tables, then manifests: if the job dies, every remaining file is still listed.
    doomed.sort(key=lambda path: (path.startswith(f"{METADATA}/"), path))
    for path in [*doomed, *(path for path, info in entries.items() if _is_left_aside(path, info))]:
        (root / path).delete()
    for number in numbers:
        known = entries.get(_path(number))
        if number < oldest and known is not None and known.size:
            put_over(root / _path(number), b"")
    return doomed


def _settle(root: Location) -> None:
    """Make `manifest.json` a copy of the newest version's manifest, also if a slow job wrote an older one."""
    while True:
        number = generations(root)[-1]
        wanted, place = (root / _path(number)).read_bytes(), root / MANIFEST
        # Empty if this version was deleted meanwhile.
        if wanted and (not place.exists() or place.read_bytes() != wanted):
            put_over(place, wanted)
        if generations(root)[-1] == number:
            return


def _path(number: int) -> str:
    return f"{MANIFESTS}/{number:08d}.json"


def _is_stray(path: str, live: set[str]) -> bool:
    publication = has_publication(path)
    is_ours = path.endswith(".parquet") or path.startswith((f"{QUARANTINE}/", f"{METADATA}/"))
    return publication is not None and publication not in live and is_ours


def _is_left_aside(path: str, entry: Entry) -> bool:
    return bool(_ASIDE.search(path)) and entry.modified is not None and time.time() - entry.modified / 1e9 > _ASIDE_SECONDS


def _files_left(root: Location, number: int) -> set[str]:
    """Return the known files of an older version; its table may already be deleted."""
    try:
        return files_of(root, manifest_of(root, number))
    except (MetadataUnreadable, StorageUnavailable, OSError):
        return set()


def _files(root: Location) -> Iterator[tuple[str, Entry]]:
    # Files behind a link to a directory are not part of the dataset.
    for entry in list_tree(root, follow=False).files:
        yield entry.path, entry
