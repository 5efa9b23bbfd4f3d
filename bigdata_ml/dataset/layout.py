"""Names inside a dataset's directory; `docs/dataset-format.md` is their specification."""

import posixpath

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
    "is_inside",
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


def is_inside(path: str) -> bool:
    """Whether a path is relative and normal, and so stays below its directory.

    >>> [is_inside(path) for path in ("split=a/b.parquet", "../b", "/b", "a//b", "")]
    [True, False, False, False, False]
    """
    return posixpath.normpath(path) == path and not path.startswith(("/", "../")) and path not in (".", "..") and "\0" not in path


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
