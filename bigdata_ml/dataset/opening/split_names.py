"""Splits that a path names as others lay files out: `train/`, `val/`, `test/`, or Hugging Face's `train-00000-of-00004`."""

import re
import warnings
from collections.abc import Sequence

from bigdata_ml.dataset.layout import split_of
from bigdata_ml.shown import shown
from bigdata_ml.storage import Location

__all__ = ["split_called", "split_in_path", "splits_in_paths", "splits_of"]

_CALLED = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
# A file's name names a split if it is nothing else, or is followed by the number of a shard.
_FILE = re.compile(r"(?P<name>[A-Za-z]+)(?:-\d+-of-\d+(?:-[0-9a-f]+)?)?\.[A-Za-z0-9.]+")


def split_called(name: str) -> str | None:
    """Return the split that goes by a name, in any case: `val`, `valid` and `dev` are validation; None for other names.

    >>> split_called("Val"), split_called("cats")
    ('validation', None)
    """
    return _CALLED.get(name.lower())


def split_in_path(path: str) -> str | None:
    """Return the split that a path's directories or its file's name name; None for none, and for several.

    >>> split_in_path("train/cat/1.png"), split_in_path("data/test-00000-of-00004.parquet")
    ('train', 'test')
    """
    *folders, file = path.split("/")
    named = {split for folder in folders if (split := split_called(folder.removeprefix("split="))) is not None}
    match = _FILE.fullmatch(file)
    if not named and match is not None and (split := split_called(match["name"])) is not None:
        named = {split}
    return named.pop() if len(named) == 1 else None


def splits_in_paths(paths: Sequence[str]) -> dict[str, str]:
    """Return the split by path of those that name one."""
    split_of_path = {path: split_in_path(path) for path in paths}
    return {path: split for path, split in split_of_path.items() if split is not None}


def splits_of(root: Location, paths: list[str]) -> dict[str, str | None]:
    """Return the split of each file, if all name one: by `split=NAME`, or as others lay out theirs (`split_in_path`)."""
    ours = {path: split_of(path) for path in paths}
    if any(split is not None for split in ours.values()):
        return ours
    given = splits_in_paths(paths)
    if given and len(given) < len(paths):
        other = next(path for path in paths if path not in given)
        text = (
            f"{root.url}: {next(iter(given))} is named as a split, {other} is not, so all rows are one dataset without splits; "
            "move the others away, or open the splits' directories by themselves"
        )
        warnings.warn(shown(text), stacklevel=5)
        return ours
    return {path: given.get(path) for path in paths}
