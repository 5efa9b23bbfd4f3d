"""How a new version of a dataset differs from the one before, and the history of them all."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bigdata_ml.dataset import Contract, Dataset, Manifest, Statistics, Vocabulary
from bigdata_ml.dataset.checks.json import parse_json
from bigdata_ml.dataset.layout import HISTORY, MANIFEST
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.pages import Section, Table, Text
from bigdata_ml.storage import Location

__all__ = ["Shift", "as_numbers", "drift_section", "find_shifts", "history_with", "manifest_before"]

# Cohen (1988) calls a difference of means of a fifth of the deviation small; below it nothing is said.
_MEANS, _SHARES, _CLASSES = 0.2, 0.01, 0.1


@dataclass(frozen=True, slots=True)
class Shift:
    """A difference between two versions.

    Attributes:
        what: which field, or what was refused.
        kind: `mean` (in deviations of the version before), `nulls` and `refused` (shares of rows), `values` (total variation
            distance of the shares of a field's values, 0 … 1), `field` (there in one of them only).
        before, now: what was and is; of values the one whose share differs most.
        size: of the difference, in the kind's unit, 0 or more.
    """

    what: str
    kind: str
    before: str
    now: str
    size: float


def manifest_before(destination: Location) -> Manifest | None:
    """Return the manifest of the dataset that is to be replaced, or None where none can be read."""
    if not (destination / MANIFEST).exists():
        return None
    try:
        return Dataset.open(destination).manifest
    except MetadataUnreadable:
        return None


def find_shifts(before: Manifest, now: Contract) -> list[Shift]:
    """Return what differs by more than a little, largest first: means by 0.2 deviations, shares of rows by 1 %, values by 0.1."""
    names = [*dict.fromkeys([*before.schema.names, *now.schema.names])]
    shifts = [
        *(Shift(name, "field", "there", "not there", 1.0) for name in before.schema.names if name not in now.schema),
        *(Shift(name, "field", "not there", "there", 1.0) for name in now.schema.names if name not in before.schema),
        *(number for name in names for number in _of_numbers(name, before.statistics.get(name), now.statistics.get(name))),
        *(value for name in names for value in _of_values(name, before.vocabularies.get(name), now.vocabularies.get(name))),
    ]
    if before.cleaning is not None:
        old, new = before.cleaning, now.cleaning
        for reason in sorted({*old.refused, *new.refused}):
            shares = [item.refused.get(reason, 0) / max(1, item.found) for item in (old, new)]
            shifts += _of_shares(reason, "refused", *shares)
    return sorted(shifts, key=lambda item: (-item.size, item.what))


def drift_section(before: Manifest, shifts: list[Shift]) -> Section:
    """Return the quality page's section."""
    intro = f"Against the version published {before.created}: {before.rows} rows, publication {before.publication}."
    if not shifts:
        return Section("Drift", intro, [Text("Nothing differs by more than a little.")])
    rows = [(shift.what, shift.kind, shift.before, shift.now, shift.size) for shift in shifts]
    return Section("Drift", intro, [Table(("what", "kind", "before", "now", "difference"), rows)])


def history_with(destination: Location, contract: Contract, splits: Mapping[str, int]) -> dict[str, bytes]:
    """Return the file of all versions' numbers, oldest first, with this one's at its end, by path."""
    place = destination / HISTORY
    try:
        known = parse_json(place.read_bytes()) if place.exists() else []
    except ValueError:
        known = []
    # What holds something else was not written by a job.
    known = known if isinstance(known, list) else []
    cleaning = contract.cleaning
    entry: dict[str, Any] = {
        "found": cleaning.found,
        "kept": cleaning.kept,
        "refused": dict(cleaning.refused),
        "warned": dict(cleaning.warned),
        "splits": dict(splits),
        "means": {name: list(statistics.mean) for name, statistics in contract.statistics.items()},
        "source": contract.provenance.get("source"),
    }
    return {HISTORY: (json.dumps([*known, entry], indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()}


def as_numbers(shifts: list[Shift]) -> list[dict[str, Any]]:
    """Return shifts as JSON values."""
    return [asdict(shift) for shift in shifts]


def _of_numbers(name: str, before: Statistics | None, now: Statistics | None) -> list[Shift]:
    if before is None or now is None or len(before.mean) != len(now.mean):
        return []
    rows = [item.count + item.nulls for item in (before, now)]
    shifts = _of_shares(name, "nulls", before.nulls / max(1, rows[0]), now.nulls / max(1, rows[1]))
    pairs = zip(before.mean, now.mean, before.std, strict=True)
    size, old, new = max((abs(new - old) / std if std else float(new != old), old, new) for old, new, std in pairs)
    return [*shifts, Shift(name, "mean", f"{old:.6g}", f"{new:.6g}", size)] if size > _MEANS else shifts


def _of_values(name: str, before: Vocabulary | None, now: Vocabulary | None) -> list[Shift]:
    if before is None or now is None or not sum(before.counts) or not sum(now.counts):
        return []
    old, new = (
        dict(zip(item.values, (count / sum(item.counts) for count in item.counts), strict=True)) for item in (before, now)
    )
    size = sum(abs(old.get(value, 0.0) - new.get(value, 0.0)) for value in {*old, *new}) / 2
    if size <= _CLASSES:
        return []
    most = max({*old, *new}, key=lambda value: (abs(old.get(value, 0.0) - new.get(value, 0.0)), str(value)))
    return [Shift(name, "values", f"{most}: {old.get(most, 0.0):.1%}", f"{most}: {new.get(most, 0.0):.1%}", size)]


def _of_shares(subject: str, kind: str, before: float, now: float) -> list[Shift]:
    return [Shift(subject, kind, f"{before:.2%}", f"{now:.2%}", abs(now - before))] if abs(now - before) > _SHARES else []
