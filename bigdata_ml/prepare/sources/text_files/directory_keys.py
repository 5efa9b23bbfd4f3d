"""Keys of `key=value` directories as columns of text tables."""

from collections.abc import Sequence
from urllib.parse import unquote

import pyarrow as pa

from bigdata_ml.dataset.opening.hive_keys import NO_VALUE, key_type_of
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.inferred_types import ColumnType
from bigdata_ml.storage import Location

__all__ = ["directory_keys", "key_types", "refuse_same_names"]


def directory_keys(place: Location, names: Sequence[str]) -> tuple[list[str], list[tuple[str | None, ...]]]:
    """Return the keys of the files' `key=value` directories, and the values for each file."""
    folders = [[folder.partition("=")[::2] for folder in name.split("/")[:-1] if "=" in folder] for name in names]
    keys = {tuple(key for key, _ in pairs): name for pairs, name in zip(folders, names, strict=True)}
    if len(keys) > 1:
        (pairs, first), (other_keys, second) = list(keys.items())[:2]
        raise JobRefused(
            f"{place.url}: {first!r} lies in directories of the keys {', '.join(pairs) or 'none'}, {second!r} of "
            f"{', '.join(other_keys) or 'none'}; all files must lie in directories of the same keys"
        )
    values = [tuple(None if text == NO_VALUE else unquote(text) for _, text in pairs) for pairs in folders]
    return list(next(iter(keys), ())), values


def key_types(keys: Sequence[str], values: Sequence[Sequence[str | None]]) -> list[ColumnType]:
    """Return the type of each key, given the values of each file."""
    types = []
    for place, name in enumerate(keys):
        is_whole = key_type_of({row[place] for row in values}) == pa.int64()
        why = "each value of this key of the directories prints back the same" if is_whole else "keys of directories are text"
        types.append(ColumnType(name, "bigint" if is_whole else "string", why))
    return types


def refuse_same_names(place: Location, names: Sequence[str]) -> None:
    """Raise JobRefused for two columns with the same name, or names that differ only in case."""
    by_lower: dict[str, str] = {}
    for name in names:
        other = by_lower.setdefault(name.lower(), name)
        if other is not name:
            reason = "are one to Spark" if other != name else "are two columns, or a column and a key of the directories"
            raise JobRefused(f"{place.url}: {other!r} and {name!r} {reason}; rename one in the source")
