"""The manifest: what a dataset promises, as one small JSON file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bigdata_ml.dataset.checks.json import (
    ANY,
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    Each,
    Items,
    Maybe,
    OneOf,
    Record,
    canonical_checksum,
    check,
    parse_json,
)
from bigdata_ml.dataset.layout import is_inside
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.schema import Schema

__all__ = ["VERSION", "Cleaning", "Manifest", "SideFile", "SplitSummary", "Statistics", "Vocabulary"]

VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """The values of a field and their ids.

    Attributes:
        values: value of id `first_id` + i at place i; text, integers or booleans.
        counts: rows of the train split that hold each value.
        unknown: whether id 0 stands for null, rare and unseen values; ids then begin at 1, otherwise at 0.
        rare: distinct values that were seen and left out, being rarer than asked for.
        lookups: what readers made of the values, by type of column, shared by all that read the dataset.
    """

    values: tuple[str | int | bool, ...]
    counts: tuple[int, ...]
    unknown: bool
    rare: int = 0
    lookups: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.values) != len(self.counts):
            raise ValueError(f"{len(self.values)} values go with as many counts, got {len(self.counts)}")
        if len(set(self.values)) != len(self.values):
            raise ValueError("the values of a vocabulary must differ")

    @property
    def first_id(self) -> int:
        """Id of the first value."""
        return 1 if self.unknown else 0

    @property
    def size(self) -> int:
        """Number of ids, the unknown one included."""
        return len(self.values) + self.first_id

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as the manifest writes it."""
        return {
            "values": list(self.values),
            "counts": list(self.counts),
            "unknown": self.unknown,
            "rare": self.rare,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Vocabulary":
        """Return the vocabulary that `to_json` wrote."""
        return cls(
            values=tuple(written["values"]),
            counts=tuple(written["counts"]),
            unknown=written["unknown"],
            rare=written.get("rare", 0),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Numbers of one field over the train split, for normalising.

    Attributes:
        count: known values (of an image: pixels), finite ones.
        nulls: nulls, and values that are no finite number.
        mean, std: of the known values; std is the population's (divided by count). Of an image: one per channel, pixels 0 … 255.
        least, greatest: the extremes of the known values, over all channels.
        quantiles: values of the column by share, as text: `0.5` is the median; empty where they were not taken.
    """

    count: int
    nulls: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    least: float
    greatest: float
    quantiles: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as the manifest writes them."""
        return {
            "count": self.count,
            "nulls": self.nulls,
            "mean": list(self.mean),
            "std": list(self.std),
            "min": self.least,
            "max": self.greatest,
            **({"quantiles": dict(self.quantiles)} if self.quantiles else {}),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Statistics":
        """Return the statistics that `to_json` wrote."""
        return cls(
            count=written["count"],
            nulls=written["nulls"],
            mean=tuple(written["mean"]),
            std=tuple(written["std"]),
            least=written["min"],
            greatest=written["max"],
            quantiles=dict(written.get("quantiles", {})),
        )


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
            "splits": {name: _plain(one) for name, one in self.splits.items()},
            "split_rule": self.split_rule,
            "label": self.label,
            "schema": self.schema.to_json(),
            "vocabularies": {name: one.to_json() for name, one in self.vocabularies.items()},
            "statistics": {name: one.to_json() for name, one in self.statistics.items()},
            "fingerprints": {"content": self.content, "layout": self.layout},
            "cleaning": None if self.cleaning is None else _plain(self.cleaning),
            "row_groups": _plain(self.row_groups),
            "quarantine": [_plain(one) for one in self.quarantine],
            **({"ledger": [_plain(one) for one in self.ledger]} if self.ledger else {}),
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
            check(written, _KIND, "")
            version = written["version"]
            if written["format"] != "bigdata_ml":
                raise ValueError("it is not a manifest of bigdata_ml")
            if version > VERSION:
                raise MetadataUnreadable(
                    f"{url}: written in format version {version}, this library reads up to {VERSION}; upgrade bigdata_ml"
                )
            check(written, _MANIFEST, "")
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
            vocabularies={name: Vocabulary.from_json(one) for name, one in written["vocabularies"].items()},
            statistics={name: Statistics.from_json(one) for name, one in written["statistics"].items()},
            splits={name: _known(SplitSummary, one) for name, one in written["splits"].items()},
            split_rule=written["split_rule"],
            content=written["fingerprints"]["content"],
            layout=written["fingerprints"]["layout"],
            row_groups=_known(SideFile, written["row_groups"]),
            quarantine=tuple(_known(SideFile, one) for one in written["quarantine"]),
            ledger=tuple(_known(SideFile, one) for one in written.get("ledger", ())),
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
    found = canonical_checksum({name: value for name, value in written.items() if name != "checksum"})
    if said not in (None, found):
        raise ValueError(f"its checksum is {found}, it says {said}: it was changed; who changed it on purpose removes `checksum`")


_COUNTS = Each(COUNT)
_SIDE = Record({"path": TEXT, "checksum": TEXT}, {})
_SCALAR = OneOf("text, a number, true or false", (str, int, float, bool))
_FIELD = Record(
    {"name": TEXT, "type": TEXT, "codec": TEXT},
    {
        "null": TEXT,
        "fill": Maybe(_SCALAR),
        "vocabulary": FLAG,
        "channels": Maybe(COUNT),
        "dtype": Maybe(TEXT),
        "shape": Maybe(Items(Maybe(COUNT))),
    },
)
_VOCABULARY = Record(
    {"values": Items(OneOf("text, a whole number, true or false", (str, int, bool))), "counts": Items(COUNT), "unknown": FLAG},
    {"rare": COUNT},
)
_STATISTICS = Record(
    {"count": COUNT, "nulls": COUNT, "mean": Items(NUMBER), "std": Items(NUMBER), "min": NUMBER, "max": NUMBER},
    {"quantiles": Each(NUMBER)},
)
_KIND = Record({"format": TEXT, "version": COUNT}, {})
_MANIFEST = Record(
    {
        **dict.fromkeys(("publication", "created", "written_by"), TEXT),
        "rows": COUNT,
        "splits": Each(Record(dict.fromkeys(("rows", "row_groups", "files"), COUNT), {})),
        "split_rule": Maybe(Each(ANY)),
        "label": Maybe(TEXT),
        "schema": Items(_FIELD),
        "vocabularies": Each(_VOCABULARY),
        "statistics": Each(_STATISTICS),
        "fingerprints": Record({"content": TEXT, "layout": TEXT}, {}),
        "cleaning": Maybe(
            Record({"found": COUNT, "kept": COUNT, "refused": _COUNTS}, {"warned": _COUNTS, "rules": Each(ANY)}),
        ),
        "row_groups": _SIDE,
        "quarantine": Items(_SIDE),
        "provenance": Each(ANY),
    },
    {"ledger": Items(_SIDE), "partitions": Items(TEXT), "checksum": Maybe(TEXT)},
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
        "schema": sorted(schema.to_json(), key=lambda one: str(one["name"])),
        "label": label,
        "vocabularies": {name: one.to_json() for name, one in vocabularies.items()},
        "statistics": {name: one.to_json() for name, one in statistics.items()},
        "splits": splits,
    }


def _plain(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _known(kind: Any, written: Mapping[str, Any]) -> Any:
    return kind(**{name: written[name] for name in kind.__dataclass_fields__ if name in written})
