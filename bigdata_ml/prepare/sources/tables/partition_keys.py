"""Keys of `key=value` directories as columns, typed by all values as in `Dataset.open`."""

import re
from collections.abc import Collection, Sequence

import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F

from bigdata_ml.dataset.opening.hive_keys import NO_VALUE, key_type_of, keys_of
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.progress import say

__all__ = ["partition_keys"]


def partition_keys(files: Sequence[str], *, held: Collection[str], file_column: str = "__file") -> dict[str, Column]:
    """Return a column for each key of the directories, except keys that are columns of the files.

    Args:
        files: paths below the source.
        held: columns of the files.
        file_column: the column with the URLs of the files.

    Raises:
        JobRefused: the names of two keys, or of a key and a column, differ only in case.
    """
    values = [keys_of(path) for path in files]
    columns: dict[str, Column] = {}
    names = {name.lower(): name for name in held}
    for key in dict.fromkeys(name for keys in values for name in keys):
        if key in held:
            say(f"{key}= in the directories' names is a column of the files, too; the files' values are taken")
            continue
        other = names.setdefault(key.lower(), key)
        if other != key:
            raise JobRefused(
                f"the key {key}= of {files[0]} and {other!r} differ in case alone, and are one column to Spark; rename one"
            )
        texts = {keys.get(key) for keys in values}
        columns[key] = _value_of(key, file_column).cast("bigint" if key_type_of(texts) == pa.int64() else "string")
    return columns


def _value_of(key: str, file_column: str) -> Column:
    # The name of a key may be URL-encoded.
    spelled = "".join(
        character if character.isalnum() or character in "_-" else f"(?:{re.escape(character)}|%{ord(character):02X})"
        for character in key
    )
    value = F.regexp_extract(file_column, f"^.*/{spelled}=([^/]*)/", 1)
    present = F.rlike(F.col(file_column), F.lit(f"/{spelled}=[^/]*/"))
    text = F.url_decode(F.replace(value, F.lit("+"), F.lit("%2B")))
    return F.when(present & (value != NO_VALUE), text)
