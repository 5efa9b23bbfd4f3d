"""Columns in which pandas stores a frame's index; they are not features."""

import re

__all__ = ["is_pandas_index"]

_INDEX = re.compile(r"__index_level_\d+__")


def is_pandas_index(name: str) -> bool:
    """Whether a column is a nameless index that pandas wrote; an index with a name is a column like any other.

    >>> is_pandas_index("__index_level_0__"), is_pandas_index("date")
    (True, False)
    """
    return _INDEX.fullmatch(name) is not None
