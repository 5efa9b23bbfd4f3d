"""Predicates select rows by their decoded values."""

import hashlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = [
    "PredicateBase",
    "in_intersection",
    "in_lambda",
    "in_negate",
    "in_pseudorandom_split",
    "in_reduce",
    "in_set",
]


class PredicateBase(ABC):
    """A condition on a row. For your own condition, subclass it and define both methods."""

    @abstractmethod
    def get_fields(self) -> Collection[str]:
        """Return the names of the fields it reads."""

    @abstractmethod
    def do_include(self, values: Mapping[str, Any]) -> Any:
        """Return whether to read a row; for a DataFrame, a Series of booleans.

        Args:
            values: the decoded values: of one row with `make_reader`, a pandas DataFrame with `make_batch_reader`.
        """


class _RowPredicate(PredicateBase):
    """A predicate on a single row; a DataFrame is evaluated row by row."""

    @abstractmethod
    def _holds(self, values: Mapping[str, Any]) -> bool: ...

    def do_include(self, values: Mapping[str, Any]) -> Any:
        if not hasattr(values, "iterrows"):
            return self._holds(values)
        frame: Any = values
        import pandas as pd

        rows = zip(*(frame[name] for name in frame.columns), strict=True)
        return pd.Series(
            [bool(self._holds(dict(zip(frame.columns, row, strict=True)))) for row in rows], index=frame.index, dtype=bool
        )


class in_set(_RowPredicate):
    """Rows whose field has one of the values."""

    def __init__(self, inclusion_values: Iterable[Any], predicate_field: str) -> None:
        self._values = set(inclusion_values)
        self._field = predicate_field

    def get_fields(self) -> set[str]:
        return {self._field}

    def _holds(self, values: Mapping[str, Any]) -> bool:
        return values[self._field] in self._values


class in_intersection(_RowPredicate):
    """Rows whose field, an array, contains at least one of the values."""

    def __init__(self, inclusion_values: Iterable[Any], _predicate_field: str) -> None:
        self._values = list(inclusion_values)
        self._field = _predicate_field

    def get_fields(self) -> set[str]:
        return {self._field}

    def _holds(self, values: Mapping[str, Any]) -> bool:
        value = values[self._field]
        if not isinstance(value, Iterable):
            raise ValueError(f"in_intersection: the field {self._field!r} must hold arrays, got {type(value).__name__}")
        return bool(np.isin(np.asarray(value), self._values).any())


class in_lambda(PredicateBase):
    """Rows for which a function of some fields returns true.

    Args:
        predicate_fields: names of the fields, in the order of the function's arguments.
        predicate_func: with `make_batch_reader` its arguments are pandas Series, and it returns a Series of booleans.
        state_arg: an additional last argument, unless None.
    """

    def __init__(self, predicate_fields: list[str], predicate_func: Callable[..., Any], state_arg: Any = None) -> None:
        if not isinstance(predicate_fields, list):
            raise ValueError("in_lambda: predicate_fields must be a list of names")
        self._fields = predicate_fields
        self._function = predicate_func
        self._state = state_arg

    def get_fields(self) -> set[str]:
        return set(self._fields)

    def do_include(self, values: Mapping[str, Any]) -> Any:
        arguments = [values[name] for name in self._fields]
        return self._function(*arguments, *([] if self._state is None else [self._state]))


class in_negate(PredicateBase):
    """Rows for which another predicate is false."""

    def __init__(self, predicate: PredicateBase) -> None:
        _check(predicate)
        self._predicate = predicate

    def get_fields(self) -> Collection[str]:
        return self._predicate.get_fields()

    def do_include(self, values: Mapping[str, Any]) -> Any:
        included = self._predicate.do_include(values)
        return ~included.astype(bool) if _is_vector(included) else not included


class in_reduce(PredicateBase):
    """Rows for which a function of several predicates' results is true: `all`, `any`, or another on a list of booleans."""

    def __init__(self, predicate_list: Sequence[PredicateBase], reduce_func: Callable[[list[bool]], Any]) -> None:
        for predicate in predicate_list:
            _check(predicate)
        self._predicates = list(predicate_list)
        self._function = reduce_func

    def get_fields(self) -> set[str]:
        return {name for predicate in self._predicates for name in predicate.get_fields()}

    def do_include(self, values: Mapping[str, Any]) -> Any:
        results = [predicate.do_include(values) for predicate in self._predicates]
        if not any(_is_vector(result) for result in results):
            return self._function(results)
        import pandas as pd

        frame: Any = values
        columns = [np.broadcast_to(np.asarray(result, bool), len(frame)).tolist() for result in results]
        return pd.Series([bool(self._function(list(row))) for row in zip(*columns, strict=True)], index=frame.index, dtype=bool)


class in_pseudorandom_split(_RowPredicate):
    """Rows of one part of a split that depends only on a field's value: the MD5 of its text, as in Petastorm.

    Args:
        fraction_list: share of each part, 0 … 1.
        subset_index: the part to read.
        predicate_field: the field.
    """

    def __init__(self, fraction_list: Sequence[float], subset_index: int, predicate_field: str) -> None:
        if not 0 <= subset_index < len(fraction_list):
            raise ValueError(f"subset_index must lie in [0, {len(fraction_list)}), got {subset_index}")
        self._field = predicate_field
        self._low = sum(fraction_list[:subset_index]) * (sys.maxsize - 1)
        self._high = sum(fraction_list[: subset_index + 1]) * (sys.maxsize - 1)

    def get_fields(self) -> set[str]:
        return {self._field}

    def _holds(self, values: Mapping[str, Any]) -> bool:
        digest = hashlib.md5(str(values[self._field]).encode(), usedforsecurity=False).hexdigest()
        return bool(self._low <= int(digest, 16) % sys.maxsize < self._high)


def _check(predicate: object) -> None:
    if not isinstance(predicate, PredicateBase):
        raise ValueError(f"a predicate must be derived from PredicateBase, got {type(predicate).__name__}")


def _is_vector(result: Any) -> bool:
    return hasattr(result, "astype") and bool(np.ndim(result))
