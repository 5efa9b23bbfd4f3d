"""Whether a table's dataset is what its job would make again: rules and duplicates look at all rows, so it is all or nothing."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bigdata_ml.dataset import Manifest
from bigdata_ml.dataset.layout import MANIFEST
from bigdata_ml.prepare.sources.listing import LISTED, Listing
from bigdata_ml.storage import Location

__all__ = ["MADE_OF", "made_of", "up_to_date"]

# In the manifest's provenance.
MADE_OF = "made_of"
# Stores tell the time of change to the second at worst, and machines' clocks differ.
_RACY_NS = 2_000_000_000


def made_of(listings: Sequence[Listing], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells a job from another one, as JSON values.

    Args:
        listings: of all files that are read.
        options: all else on which the dataset depends, as JSON values.
    """
    files = [(one.root.url, *one.files.select(LISTED.names).to_pydict().values()) for one in listings]
    times = [time for one in listings for time in one.files.column("modified").to_pylist()]
    return {
        "files": _digest(files),
        "options": _digest(options),
        "listed": min(one.when for one in listings) if listings else 0,
        "newest": max(times, default=0) if None not in times else None,
    }


def up_to_date(destination: Location, now: Mapping[str, Any]) -> Manifest | str:
    """Return the manifest of the version that is there if it was made of the same, else in words why it must be made anew."""
    place = destination / MANIFEST
    if not place.exists():
        return f"no dataset is at {destination.url} yet"
    manifest = Manifest.from_bytes(place.read_bytes(), url=place.url)
    before = manifest.provenance.get(MADE_OF)
    if not isinstance(before, Mapping):
        return "the version that is there does not say of which files it was made"
    if before["options"] != now["options"]:
        return "options, rules or versions of libraries have changed since"
    if before["files"] != now["files"]:
        return "files have come, gone or changed since"
    if now["newest"] is None:
        return "the store does not tell when files were changed"
    if now["newest"] >= before["listed"] - _RACY_NS:
        return "a file was changed within two seconds of the last job's look at it, and may have been once more"
    return manifest


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
