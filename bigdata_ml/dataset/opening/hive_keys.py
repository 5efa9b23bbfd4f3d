"""Keys of Hive directories (`key=value`): their values, and their types, which depend on all values."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from bigdata_ml.dataset.layout import split_of
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.schema import Field, Schema

__all__ = ["NO_VALUE", "hive_keys", "key_type_of", "keys_of", "partitions_of"]

# What Hive and Spark write for null.
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
# Texts that a whole number prints back: no leading zero, no plus, no minus zero.
_WHOLE = re.compile("0|-?[1-9][0-9]{0,18}")
_LEAST, _GREATEST = -(1 << 63), (1 << 63) - 1


def keys_of(path: str) -> dict[str, str | None]:
    """Return the keys of a file's directories, as text or null.

    >>> keys_of("year=2013/code=a%20b/part.parquet")
    {'year': '2013', 'code': 'a b'}
    """
    keys = dict(part.split("=", 1) for part in path.split("/")[:-1] if "=" in part)
    return {unquote(name): None if text == NO_VALUE else unquote(text) for name, text in keys.items()}


def key_type_of(texts: Iterable[str | None]) -> pa.DataType:
    """Return the type of a key with these values: `int64` if each prints back as it is written, else text.

    So `code=01` beside `code=1` is text, and so are `-0`, `+5` and numbers beyond 64 bits. Dates stay text.

    >>> key_type_of(["1", "10", None]), key_type_of(["01", "1"])
    (DataType(int64), DataType(string))
    """
    known = [text for text in texts if text is not None]
    whole = bool(known) and all(_WHOLE.fullmatch(text) and _LEAST <= int(text) <= _GREATEST for text in known)
    return pa.int64() if whole else pa.string()


def partitions_of(paths: list[str], keys: pa.Schema, *, url: str) -> dict[str, dict[str, Any]]:
    """Return the values of directory keys by file."""
    if not keys.names:
        return {}
    texts = [keys_of(path) for path in paths]
    try:
        columns = {key.name: pa.array([text.get(key.name) for text in texts], pa.string()).cast(key.type) for key in keys}
    except pa.ArrowInvalid as error:
        raise MetadataUnreadable(f"{url}: a directory's key is not of its field's type: {error}") from error
    values = zip(*(column.to_pylist() for column in columns.values()), strict=True)
    return {path: dict(zip(keys.names, row, strict=True)) for path, row in zip(paths, values, strict=True)}


def hive_keys(
    paths: list[str], *, held: set[str], types: Mapping[str, pa.DataType]
) -> tuple[tuple[Field, ...], dict[str, dict[str, Any]]]:
    """Return fields and values of `key=value` directories, the split's apart; types as `key_type_of` says.

    Keys that the files hold as columns too are read from the files; those in `types` are of that type if their values are.
    """
    values = {path: keys_of(path) for path in paths}
    names = dict.fromkeys(name for value in values.values() for name in value if name not in held)
    if all(split_of(path) is not None for path in paths):
        names.pop("split", None)
    columns: dict[str, dict[str, Any]] = {}
    fields = []
    for name in names:
        column = {path: keys_of_file.get(name) for path, keys_of_file in values.items()}
        typed = _typed(list(column.values()), types.get(name))
        columns[name] = dict(zip(column, typed.to_pylist(), strict=True))
        fields.append((pa.field(name, typed.type), typed.null_count > 0))
    with_nulls = {field.name for field, nullable in fields if nullable}
    schema = Schema.from_arrow(pa.schema([field for field, _ in fields]), with_nulls=with_nulls)
    return schema.fields, {path: {name: columns[name][path] for name in columns} for path in paths} if columns else {}


def _typed(texts: list[str | None], wanted: pa.DataType | None) -> pa.Array:
    column = pa.array(texts, pa.string())
    if wanted is not None:
        with suppress(pa.ArrowInvalid):
            return column.cast(wanted)
    return column.cast(key_type_of(texts))
