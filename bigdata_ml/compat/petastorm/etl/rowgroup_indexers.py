"""Row-group indexes: which row groups hold a value of a field, or any value at all."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

__all__ = ["FieldNotNullIndexer", "RowGroupIndexerBase", "SingleFieldIndexer"]


class RowGroupIndexerBase(ABC):
    """Which row groups hold what; filled row group by row group, and added up."""

    @abstractmethod
    def __add__(self, other: Any) -> "RowGroupIndexerBase":
        """Take in what another one, of the same kind and field, found."""

    @property
    @abstractmethod
    def index_name(self) -> str:
        """The name that selectors ask for."""

    @property
    @abstractmethod
    def column_names(self) -> list[str]:
        """The fields that it looks at."""

    @property
    @abstractmethod
    def indexed_values(self) -> list[Any]:
        """The values that it knows."""

    @abstractmethod
    def get_row_group_indexes(self, value_key: Any) -> set[int]:
        """Return the numbers of the row groups that hold a value; none if it does not know the value."""

    @abstractmethod
    def build_index(self, decoded_rows: Sequence[Mapping[str, Any]], piece_index: int) -> Any:
        """Take in the rows of the row group number `piece_index`."""


class SingleFieldIndexer(RowGroupIndexerBase):
    """Row groups by a field's values: numbers, text, bytes, decimals, or arrays of them.

    Args:
        index_name: of the index.
        index_field: the field's.
    """

    def __init__(self, index_name: str, index_field: str) -> None:
        self._index_name = index_name
        self._column_name = index_field
        self._index_data: defaultdict[Any, set[int]] = defaultdict(set)

    def __add__(self, other: Any) -> "SingleFieldIndexer":
        _check_alike(self, other)
        for value, groups in other._index_data.items():
            self._index_data[value] |= groups
        return self

    @property
    def index_name(self) -> str:
        return self._index_name

    @property
    def column_names(self) -> list[str]:
        return [self._column_name]

    @property
    def indexed_values(self) -> list[Any]:
        return list(self._index_data)

    def get_row_group_indexes(self, value_key: Any) -> set[int]:
        return set(self._index_data.get(value_key, ()))

    def build_index(self, decoded_rows: Sequence[Mapping[str, Any]], piece_index: int) -> Mapping[Any, set[int]]:
        for row in decoded_rows:
            value = row[self._column_name]
            if value is not None:
                for element in np.ravel(value).tolist() if isinstance(value, np.ndarray) else [value]:
                    self._index_data[self._key(element)].add(piece_index)
        return self._index_data

    def _key(self, value: Any) -> Any:
        # Python's own values are found by numpy's too, and are read under any numpy.
        plain = value.item() if isinstance(value, np.generic) else value
        if type(plain) not in (bool, int, float, str, bytes, Decimal):
            raise ValueError(
                f"index {self._index_name!r}: field {self._column_name!r} holds a {type(value).__name__}; only numbers, text, "
                "bytes, decimals and arrays of them are indexed"
            )
        return plain


class FieldNotNullIndexer(RowGroupIndexerBase):
    """Row groups in which a field is known in some row.

    Args:
        index_name: of the index.
        index_field: the field's.
    """

    def __init__(self, index_name: str, index_field: str) -> None:
        self._index_name = index_name
        self._column_name = index_field
        self._index_data: set[int] = set()

    def __add__(self, other: Any) -> "FieldNotNullIndexer":
        _check_alike(self, other)
        self._index_data |= other._index_data
        return self

    @property
    def index_name(self) -> str:
        return self._index_name

    @property
    def column_names(self) -> list[str]:
        return [self._column_name]

    @property
    def indexed_values(self) -> list[Any]:
        return ["Field is Not Null"]

    def get_row_group_indexes(self, value_key: Any = None) -> set[int]:
        return set(self._index_data)

    def build_index(self, decoded_rows: Sequence[Mapping[str, Any]], piece_index: int) -> set[int]:
        if any(row[self._column_name] is not None for row in decoded_rows):
            self._index_data.add(piece_index)
        return self._index_data


def _check_alike(first: Any, other: Any) -> None:
    if type(other) is not type(first):
        raise TypeError(f"a {type(first).__name__} adds up with its own kind, got {type(other).__name__}")
    if other._column_name != first._column_name:
        raise ValueError(f"indexes of two fields do not add up: {first._column_name!r} and {other._column_name!r}")
