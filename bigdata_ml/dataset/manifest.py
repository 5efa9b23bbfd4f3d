"""The manifest: what a dataset promises, as one small JSON file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bigdata_ml.dataset.checks.json import canonical_checksum, check, parse_json
from bigdata_ml.dataset.checks.manifest_json import KIND, MANIFEST
from bigdata_ml.dataset.field_summary import Statistics, Vocabulary
from bigdata_ml.dataset.layout import is_inside
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.schema import Schema

__all__ = ["VERSION", "Cleaning", "Manifest", "SideFile", "SplitSummary", "Statistics", "Vocabulary"]

VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSummary:
    """How much one split holds."""

    rows: int
    row_groups: int
    files: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SideFile:
    """A file beside the data: its path in the dataset and the xxh3-128 of its bytes, hexadecimal."""

    path: str
    checksum: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaning:
    """The verdict of the cleaning. `found` = `kept` + the sum of `refused`.

    Attributes:
        found: rows (or files) that were looked at.
        kept: rows in the dataset.
        refused: rows refused by reason; each lies in quarantine.
        warned: things that were noticed and let pass, by name.
        rules: what was done by name, in words or as arguments.
    """

    found: int
    kept: int
    refused: Mapping[str, int]
    warned: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.found != self.kept + sum(self.refused.values()):
            raise ValueError(f"rows found must be rows kept and refused: {self.found} ≠ {self.kept} + {dict(self.refused)}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a dataset promises; `docs/dataset-format.md` explains each key.

    Attributes:
        publication: id of the job run that published it.
        created: when, ISO 8601 in UTC.
        written_by: program and version.
        rows: rows in all splits together.
        schema: the fields.
        label: name of the field to predict, or None.
        vocabularies, statistics: by field name.
        splits: by name; empty for a dataset without splits.
        split_rule: how rows were assigned (key, seed, fractions), or None.
        content, layout: the fingerprints.
        row_groups, quarantine: side files.
        ledger: side files: what is known of each source file; empty where the job keeps none.
        partitions: keys of `KEY=VALUE` directories, `split` apart, that are fields: their values lie in the files' paths.
        provenance: source, arguments, versions, joins: for people and lineage, enforced by nobody.
        cleaning: the verdict, or None for a dataset that was adopted.
    """

    publication: str
    created: str
    written_by: str
    rows: int
    schema: Schema
    label: str | None
    vocabularies: Mapping[str, Vocabulary]
    statistics: Mapping[str, Statistics]
    splits: Mapping[str, SplitSummary]
    split_rule: Mapping[str, Any] | None
    content: str
    layout: str
    row_groups: SideFile
    quarantine: tuple[SideFile, ...]
    provenance: Mapping[str, Any]
    cleaning: Cleaning | None
    partitions: tuple[str, ...] = ()
    ledger: tuple[SideFile, ...] = ()
    version: int = VERSION

    def __post_init__(self) -> None:
        wanted = {one.name for one in self.schema if one.vocabulary}
        if wanted != set(self.vocabularies):
            raise ValueError(f"vocabularies go with the fields {sorted(wanted)}, got {sorted(self.vocabularies)}")
        if self.label is not None and self.label not in self.schema:
            raise ValueError(f"label {self.label!r} is no field")
        if any(name not in self.schema for name in self.partitions):
            raise ValueError(f"the directory keys {self.partitions} are not all fields")

    def to_bytes(self) -> bytes:
        """Return the manifest as JSON."""
        written: dict[str, Any] = {
            "format": "bigdata_ml",
            "version": self.version,
            "publication": self.publication,
            "created": self.created,
            "written_by": self.written_by,
            "rows": self.rows,
            "splits": {name: _plain(item) for name, item in self.splits.items()},
            "split_rule": self.split_rule,
            "label": self.label,
            "schema": self.schema.to_json(),
            "vocabularies": {name: item.to_json() for name, item in self.vocabularies.items()},
            "statistics": {name: item.to_json() for name, item in self.statistics.items()},
            "fingerprints": {"content": self.content, "layout": self.layout},
            "cleaning": None if self.cleaning is None else _plain(self.cleaning),
            "row_groups": _plain(self.row_groups),
            "quarantine": [_plain(item) for item in self.quarantine],
            **({"ledger": [_plain(item) for item in self.ledger]} if self.ledger else {}),
            **({"partitions": list(self.partitions)} if self.partitions else {}),
            "provenance": self.provenance,
        }
        # As it comes back: names that are no text become text.
        written["checksum"] = canonical_checksum(json.loads(json.dumps(written, allow_nan=False)))
        return (json.dumps(written, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, url: str) -> "Manifest":
        """Return the manifest that `to_bytes` wrote; unknown keys are ignored.

        Raises:
            MetadataUnreadable: no JSON, no manifest, or a newer version; the text names `url`.
        """
        try:
            written = parse_json(data)
            check(written, KIND, "")
            version = written["version"]
            if written["format"] != "bigdata_ml":
                raise ValueError("it is not a manifest of bigdata_ml")
            if version > VERSION:
                raise MetadataUnreadable(
                    f"{url}: written in format version {version}, this library reads up to {VERSION}; upgrade bigdata_ml"
                )
            check(written, MANIFEST, "")
            manifest = cls._from_json(written)
            _check_own(written)
            return manifest
        except (ValueError, TypeError, OverflowError, RecursionError, NotImplementedError) as error:
            raise MetadataUnreadable(
                f"{url}: the manifest cannot be read ({type(error).__name__}: {error}); publish the dataset again, or delete "
                "_bigdata_ml/ to read it as plain Parquet"
            ) from error

    @classmethod
    def _from_json(cls, written: Mapping[str, Any]) -> "Manifest":
        cleaning = written["cleaning"]
        return cls(
            version=written["version"],
            publication=written["publication"],
            created=written["created"],
            written_by=written["written_by"],
            rows=written["rows"],
            schema=Schema.from_json(written["schema"]),
            label=written["label"],
            vocabularies={name: Vocabulary.from_json(item) for name, item in written["vocabularies"].items()},
            statistics={name: Statistics.from_json(item) for name, item in written["statistics"].items()},
            splits={name: _known(SplitSummary, item) for name, item in written["splits"].items()},
            split_rule=written["split_rule"],
            content=written["fingerprints"]["content"],
            layout=written["fingerprints"]["layout"],
            row_groups=_known(SideFile, written["row_groups"]),
            quarantine=tuple(_known(SideFile, item) for item in written["quarantine"]),
            ledger=tuple(_known(SideFile, item) for item in written.get("ledger", ())),
            partitions=tuple(written.get("partitions", ())),
            provenance=written["provenance"],
            cleaning=None if cleaning is None else _known(Cleaning, cleaning),
        )


def _check_own(written: Mapping[str, Any]) -> None:
    """Raise ValueError unless side files lie in the dataset, and the checksum is the manifest's own; older ones have none."""
    for side in (written["row_groups"], *written["quarantine"], *written.get("ledger", ())):
        if not is_inside(side["path"]):
            raise ValueError(f"the path {side['path'][:200]!r} leaves the dataset")
    said = written.get("checksum")
    checksum = canonical_checksum({name: value for name, value in written.items() if name != "checksum"})
    if said not in (None, checksum):
        raise ValueError(
            f"its checksum is {checksum}, it says {said}: it was changed; who changed it on purpose removes `checksum`"
        )


def content_contract(
    schema: Schema,
    label: str | None,
    vocabularies: Mapping[str, Vocabulary],
    statistics: Mapping[str, Statistics],
    splits: list[str],
) -> dict[str, Any]:
    """Return, as JSON values, what two datasets must share besides their rows to have the same content."""
    return {
        "schema": sorted(schema.to_json(), key=lambda item: str(item["name"])),
        "label": label,
        "vocabularies": {name: item.to_json() for name, item in vocabularies.items()},
        "statistics": {name: item.to_json() for name, item in statistics.items()},
        "splits": splits,
    }


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _known(kind: Any, written: Mapping[str, Any]) -> Any:
    return kind(**{name: written[name] for name in kind.__dataclass_fields__ if name in written})
