"""Names inside a dataset's directory; `docs/dataset-format.md` is their specification."""

__all__ = [
    "COMMON_METADATA",
    "HISTORY",
    "LEDGER",
    "MANIFEST",
    "MANIFESTS",
    "METADATA",
    "QUALITY",
    "QUALITY_NUMBERS",
    "QUARANTINE",
    "ROW_GROUPS",
    "SUMMARY_METADATA",
    "part_path",
    "split_of",
]

METADATA = "_bigdata_ml"
MANIFEST = f"{METADATA}/manifest.json"
MANIFESTS = f"{METADATA}/manifests"
ROW_GROUPS = f"{METADATA}/row_groups.arrow"
QUARANTINE = f"{METADATA}/quarantine"
LEDGER = f"{METADATA}/ledger"
QUALITY = f"{METADATA}/quality.html"
QUALITY_NUMBERS = f"{METADATA}/quality.json"
HISTORY = f"{METADATA}/history.json"
COMMON_METADATA = "_common_metadata"
SUMMARY_METADATA = "_metadata"


def part_path(split: str | None, name: str) -> str:
    """Return the path of a data file in the dataset: `split=train/NAME`, or NAME where there are no splits."""
    return f"split={split}/{name}" if split is not None else name


def split_of(path: str) -> str | None:
    """Return the split that a data file's path names, or None.

    >>> split_of("split=train/part-00000.parquet")
    'train'
    """
    first, _, rest = path.partition("/")
    return first.removeprefix("split=") if rest and first.startswith("split=") else None
