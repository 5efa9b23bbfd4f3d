"""Checks whether a table job would publish the same dataset again; it runs as a whole or not, because rules compare rows."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bigdata_ml.dataset import Manifest
from bigdata_ml.dataset.layout import MANIFEST
from bigdata_ml.prepare.sources.listing import LISTED, Listing
from bigdata_ml.storage import Location

__all__ = ["MADE_OF", "made_of", "up_to_date"]

# Key in the manifest's provenance.
MADE_OF = "made_of"
# Some stores round modification times to seconds, and clocks of machines differ.
_RACY_NS = 2_000_000_000


def made_of(listings: Sequence[Listing], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary of all inputs of a job, as JSON values.

    Args:
        listings: of all files that are read.
        options: everything else on which the dataset depends, as JSON values.
    """
    files = [(listing.root.url, *listing.files.select(LISTED.names).to_pydict().values()) for listing in listings]
    times = [time for listing in listings for time in listing.files.column("modified").to_pylist()]
    return {
        "files": _digest(files),
        "options": _digest(options),
        "listed": min(listing.when for listing in listings) if listings else 0,
        "newest": max(times, default=0) if None not in times else None,
    }


def up_to_date(destination: Location, inputs: Mapping[str, Any]) -> Manifest | str:
    """Return the manifest of the current version if it has the same inputs, else the reason to run the job, in words."""
    path = destination / MANIFEST
    if not path.exists():
        return f"{destination.url} has no dataset yet"
    manifest = Manifest.from_bytes(path.read_bytes(), url=path.url)
    before = manifest.provenance.get(MADE_OF)
    if not isinstance(before, Mapping):
        return "the current version does not record its files"
    if before["options"] != inputs["options"]:
        return "options, rules or versions of libraries have changed"
    if before["files"] != inputs["files"]:
        return "files were added, removed or changed"
    if inputs["newest"] is None:
        return "the store does not report modification times"
    if inputs["newest"] >= before["listed"] - _RACY_NS:
        return "a file was changed less than two seconds before the last job listed it, and may have changed again"
    return manifest


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
