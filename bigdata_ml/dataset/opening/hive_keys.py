"""Keys of Hive directories: what `key=value` says, and of which type a key is: by all its values, the same for every reader."""

import re
from collections.abc import Iterable
from urllib.parse import unquote

import pyarrow as pa

__all__ = ["NO_VALUE", "key_type_of", "keys_of"]

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
