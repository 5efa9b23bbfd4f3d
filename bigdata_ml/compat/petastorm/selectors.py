"""Row-group selectors: choose the row groups to read by a row-group index."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["IntersectIndexSelector", "RowGroupSelectorBase", "SingleIndexSelector", "UnionIndexSelector"]


class RowGroupSelectorBase(ABC):
    """Chooses row groups by indexes."""

    @abstractmethod
    def get_index_names(self) -> list[str]:
        """Return the names of the indexes it needs."""

    @abstractmethod
    def select_row_groups(self, index_dict: Mapping[str, Any]) -> set[int]:
        """Return the numbers of the row groups to read, given the indexes by name."""


class SingleIndexSelector(RowGroupSelectorBase):
    """Row groups that contain at least one of the values.

    Args:
        index_name: of the index.
        values_list: the values.
    """

    def __init__(self, index_name: str, values_list: Sequence[Any]) -> None:
        self._index_name = index_name
        self._values = list(values_list)

    def get_index_names(self) -> list[str]:
        return [self._index_name]

    def select_row_groups(self, index_dict: Mapping[str, Any]) -> set[int]:
        index = index_dict[self._index_name]
        return set().union(*(index.get_row_group_indexes(value) for value in self._values))


class _Combined(RowGroupSelectorBase):
    def __init__(self, single_index_selectors: Sequence[RowGroupSelectorBase]) -> None:
        if not single_index_selectors:
            raise ValueError("give at least one selector")
        self._selectors = list(single_index_selectors)

    def get_index_names(self) -> list[str]:
        return [name for selector in self._selectors for name in selector.get_index_names()]


class IntersectIndexSelector(_Combined):
    """Row groups that all of the selectors choose."""

    def select_row_groups(self, index_dict: Mapping[str, Any]) -> set[int]:
        return set.intersection(*(selector.select_row_groups(index_dict) for selector in self._selectors))


class UnionIndexSelector(_Combined):
    """Row groups that at least one of the selectors chooses."""

    def select_row_groups(self, index_dict: Mapping[str, Any]) -> set[int]:
        return set().union(*(selector.select_row_groups(index_dict) for selector in self._selectors))
