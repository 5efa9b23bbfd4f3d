"""Values of a pickle that was read as dead data (`inert_pickle`): numbers, texts, attributes of objects."""

import re
from typing import Any

import numpy as np

from bigdata_ml.dataset.petastorm import inert_pickle as inert

__all__ = [
    "BUILTINS",
    "MOST_ATTRIBUTES",
    "PACKAGES",
    "attributes_of",
    "class_of",
    "dtype_of",
    "is_named",
    "is_whole",
    "pairs_of",
    "text_of",
]

# Packages that Petastorm's classes have been in.
PACKAGES = ("petastorm", "av.experimental.deepdrive.dataset_toolkit", "av.ml.dataset_toolkit")
# Modules of Python's own types, in Python 3 and 2.
BUILTINS = ("builtins", "__builtin__")
# Attributes of an object, at most: an object may be shared by all fields.
MOST_ATTRIBUTES = 32
_DTYPE = re.compile("b1|[iuf][1248]|[SU][0-9]{1,6}")


def dtype_of(value: Any) -> np.dtype:
    """Return the dtype of numbers, text or bytes; ValueError for others."""
    if isinstance(value, inert.Call) and value.name.name == "dtype" and value.arguments:
        text = value.arguments[0]
        state = value.state if isinstance(value.state, tuple) else ()
        order = state[1] if len(state) > 1 else "="
        if isinstance(text, str) and _DTYPE.fullmatch(text) and order in ("<", ">", "=", "|"):
            return np.dtype(f"{order}{text}")
    raise ValueError("a dtype is not one of numbers, text or bytes")


def class_of(value: Any) -> inert.Name:
    """Return the class of a pickled object; Python 2 pickled some through `_reconstructor`."""
    if isinstance(value, inert.Call):
        name = value.name
        if name.name == "_reconstructor" and value.arguments:
            name = value.arguments[0]
        if isinstance(name, inert.Name):
            return name
    raise ValueError("an object is missing")


def attributes_of(value: Any, names: set[str], *, limit: int | None = MOST_ATTRIBUTES) -> dict[str, Any]:
    """Return the attributes of an object of one of those classes; ValueError if it has more than `limit`."""
    if class_of(value).name not in names:
        raise ValueError(f"{class_of(value)} is not one of {', '.join(sorted(names))}")
    pairs = [] if value.state is None else pairs_of(value.state)
    if limit is not None and len(pairs) > limit:
        raise ValueError(f"an object has {len(pairs)} attributes")
    return {name: attribute for name, attribute in pairs if isinstance(name, str)}


def pairs_of(value: Any) -> list[tuple[Any, Any]]:
    """Return the items of a dict; ValueError if it is not one."""
    if isinstance(value, inert.Mapping):
        return value.pairs
    if isinstance(value, inert.Call) and value.name.name in ("OrderedDict", "defaultdict"):
        # Python 2 gave an OrderedDict its pairs as an argument, a list of lists.
        given = value.arguments[0] if value.name.name == "OrderedDict" and value.arguments else []
        if isinstance(given, list) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in given):
            return [(pair[0], pair[1]) for pair in given] + value.items.pairs
    raise ValueError("a dict is missing")


def is_named(value: Any, name: str) -> bool:
    """Return whether a value is a class of that name."""
    return isinstance(value, inert.Name) and value.name == name


def is_whole(value: Any) -> bool:
    """Return whether a value is an integer from 0 to 2^31 - 1."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def text_of(value: Any) -> str:
    """Return a text of up to 1000 characters; ValueError for others."""
    if not isinstance(value, str) or len(value) > 1000:
        raise ValueError("a name is missing")
    return value
