"""Where a dataset is written before it is published."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial

from bigdata_ml.dataset.layout import MANIFEST, MANIFESTS
from bigdata_ml.dataset.publishing.claims import claimed, clean_debris, live_publications, staging_place
from bigdata_ml.dataset.publishing.generations import has_publication, newest, sweep
from bigdata_ml.errors import JobRefused
from bigdata_ml.storage import Location, list_tree, locate, writing

__all__ = ["Staging", "all_files", "refuse_existing", "stage"]


@dataclass(frozen=True, slots=True)
class Staging:
    """Where a dataset is written before it is published.

    Attributes:
        publication: id of the job's run.
        root: a directory beside the destination; on S3 the destination itself.
        destination: where it will be.
        debris: deleted files of dead jobs.
        before: number of the existing version, 0 for none, if files are placed before the manifest; None if the directory is
            renamed.
    """

    publication: str
    root: Location
    destination: Location
    debris: tuple[str, ...]
    before: int | None = None

    @property
    def suffix(self) -> str:
        """The part of file names before the extension that makes them unique to a publication."""
        return "" if self.before is None else f".{self.publication}"


@contextmanager
def stage(url: str, *, replace: bool = False) -> Iterator[Staging]:
    """Yield a place to write a dataset for `url`; unpublished files are deleted at the end.

    First it deletes the debris of dead jobs and lists it in `Staging.debris`. A job is dead if its process on this machine
    is gone, or its heartbeat stopped 10 minutes ago.

    Args:
        url: where the dataset will be.
        replace: whether a new version may replace an existing dataset.

    Raises:
        JobRefused: `url` exists and may not be replaced, or is not a dataset with a manifest.
        StorageUnavailable: the store does not answer, or is full.
    """
    destination = locate(url)
    refuse_existing(destination, replace=replace)
    publication = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    debris = [*clean_debris(destination)]
    is_there, has_rename = destination.exists(), not destination.url.startswith("s3:")
    before = newest(destination) if is_there or not has_rename else None
    find_live = partial(live_publications, destination)
    if is_there:
        debris += [(destination / path).url for path in sweep(destination.confined(), oldest=0, find_live=find_live)]
    beside = staging_place(destination, publication)
    root = beside if has_rename else destination
    try:
        with claimed(beside):
            try:
                with writing(root):
                    root.filesystem.create_dir(root.path, recursive=True)
                yield Staging(publication, root, destination, tuple(debris), before)
            finally:
                # Still claimed: if a publisher dies at this point, the next one detects it immediately.
                beside.delete()
    finally:
        if before is not None and destination.exists():
            # Without a claim, placed files that are in no version are debris; after publishing there are none.
            sweep(destination.confined(), oldest=0, find_live=find_live)


def refuse_existing(destination: Location, *, replace: bool = False) -> None:
    """Raise JobRefused if the destination exists and may not be replaced."""
    if not destination.exists():
        return
    if not replace:
        raise JobRefused(
            f"{destination.url} exists already; give another destination, delete it, or pass --replace to publish a new version"
        )
    if not any((destination / name).exists() for name in (MANIFEST, MANIFESTS)) and not _is_half_published(destination):
        raise JobRefused(f"{destination.url} is not a dataset with a manifest, so --replace does not apply; delete it first")


def _is_half_published(destination: Location) -> bool:
    """Return whether every file name has a publication's id: a job on S3 died and left them."""
    return all(has_publication(path) for path in all_files(destination))


def all_files(root: Location) -> list[str]:
    """Return the paths of all files below `root`; links are not followed."""
    return [file.path for file in list_tree(root, follow=False).files]
