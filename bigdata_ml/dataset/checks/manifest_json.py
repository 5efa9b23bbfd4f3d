"""The JSON types of the manifest's keys."""

from bigdata_ml.dataset.checks.json import ANY, COUNT, FLAG, NUMBER, TEXT, Each, Items, Maybe, OneOf, Record

__all__ = ["KIND", "MANIFEST"]

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
KIND = Record({"format": TEXT, "version": COUNT}, {})
MANIFEST = Record(
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
