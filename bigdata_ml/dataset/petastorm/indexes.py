"""Reads Petastorm's pickled row-group indexes from dead data (`inert_pickle`)."""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from bigdata_ml.dataset.petastorm import inert_pickle as inert
from bigdata_ml.dataset.petastorm.pickled_values import (
    BUILTINS,
    PACKAGES,
    attributes_of,
    class_of,
    dtype_of,
    is_named,
    is_whole,
    pairs_of,
    text_of,
)
from bigdata_ml.dataset.petastorm.schema import PetastormIndex

__all__ = ["INDEX_NAMES", "indexes_of"]

_INDEXERS = {"SingleFieldIndexer": "single_field", "FieldNotNullIndexer": "field_not_null"}
INDEX_NAMES = frozenset(
    {
        *((f"{package}.etl.rowgroup_indexers", name) for package in PACKAGES for name in _INDEXERS),
        *((module, name) for module in BUILTINS for name in ("set", "object")),
        *(("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"), ("numpy", "dtype")),
        *(("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")),
        *(("collections", "defaultdict"), ("decimal", "Decimal")),
    }
)


def indexes_of(value: Any) -> dict[str, PetastormIndex]:
    """Return the row-group indexes of a pickled value, by name.

    Raises:
        ValueError: it is no dict of indexes; the text says why.
    """
    known: _Known = {}
    return {text_of(name): _index_of(indexer, known) for name, indexer in pairs_of(value)}


# Results for values that may be shared, by their identity.
_Known = dict[tuple[str, int], Any]


def _index_of(value: Any, known: _Known) -> PetastormIndex:
    state = attributes_of(value, set(_INDEXERS))
    kind: Any = _INDEXERS[class_of(value).name]
    field, data = text_of(state.get("_column_name")), state.get("_index_data")
    if kind == "field_not_null":
        return PetastormIndex(kind=kind, field=field, values={}, row_groups=_numbers(data, known))
    place = ("index", id(data))
    if place not in known:
        values = {_key(key): _numbers(groups, known) for key, groups in pairs_of(data)}
        different = {id(numbers): numbers for numbers in values.values()}
        known[place] = values, _sorted(different.values())
    values, row_groups = known[place]
    return PetastormIndex(kind=kind, field=field, values=values, row_groups=row_groups)


def _numbers(value: Any, known: _Known) -> tuple[int, ...]:
    place = ("numbers", id(value))
    if place not in known:
        known[place] = _read_numbers(value)
    numbers: tuple[int, ...] = known[place]
    return numbers


def _read_numbers(value: Any) -> tuple[int, ...]:
    if isinstance(value, inert.Call) and is_named(value.name, "set") and len(value.arguments) == 1:
        value = value.arguments[0]
    numbers = value.values if isinstance(value, inert.Values) else value
    if not isinstance(numbers, list) or not all(is_whole(number) for number in numbers):
        raise ValueError("row groups are not a set of whole numbers")
    return _sorted([numbers])


def _sorted(groups: Iterable[Iterable[int]]) -> tuple[int, ...]:
    return tuple(sorted({number for numbers in groups for number in numbers}))


def _key(value: Any) -> Any:
    """Return an indexed value as a Python number, text, bytes or Decimal."""
    if isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, inert.Call) and value.name.name == "Decimal" and len(value.arguments) == 1:
        text = text_of(value.arguments[0])
        if len(text) <= 100:
            try:
                return Decimal(text)
            except InvalidOperation:
                pass
    if isinstance(value, inert.Call) and value.name.name == "scalar" and len(value.arguments) == 2:
        dtype, data = dtype_of(value.arguments[0]), value.arguments[1]
        data = data.encode("latin-1") if isinstance(data, str) else data
        if isinstance(data, bytes) and len(data) == dtype.itemsize:
            return np.frombuffer(data, dtype)[0].item() if data else dtype.type().item()
    raise ValueError("an indexed value is not a number or text")
