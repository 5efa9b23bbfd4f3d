"""Hive keys (`key=value` directories) as pyarrow's old `ParquetDataset` kept them: numbered values, level by level."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

__all__ = ["ParquetPartitions", "PartitionSet", "accepts"]


class PartitionSet:
    """The values that one key takes, in the order in which they appeared."""

    def __init__(self, name: str, keys: Iterable[str] = ()) -> None:
        self.name = name
        self.keys = list(keys)
        self.key_indices = {key: index for index, key in enumerate(self.keys)}

    def get_index(self, key: str) -> int:
        """Return the number of a value, giving it the next one if it is new."""
        if key not in self.key_indices:
            self.key_indices[key] = len(self.keys)
            self.keys.append(key)
        return self.key_indices[key]

    @property
    def dictionary(self) -> pa.Array:
        """The values: int64 if all are integers, else text."""
        if not self.keys:
            raise ValueError(f"no directory gives the key {self.name!r} a value")
        try:
            return pa.array([int(key) for key in self.keys], pa.int64())
        except (ValueError, OverflowError):
            return pa.array(self.keys, pa.string())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionSet) and (self.name, self.keys) == (other.name, other.keys)

    def __hash__(self) -> int:
        return hash(self.name)


class ParquetPartitions:
    """One `PartitionSet` for each level of directories."""

    def __init__(self) -> None:
        self.levels: list[PartitionSet] = []

    @property
    def partition_names(self) -> set[str]:
        """The keys' names."""
        return {level.name for level in self.levels}

    def __len__(self) -> int:
        return len(self.levels)

    def __iter__(self) -> Iterator[PartitionSet]:
        return iter(self.levels)

    def __getitem__(self, level: int) -> PartitionSet:
        return self.levels[level]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParquetPartitions) and self.levels == other.levels

    def __hash__(self) -> int:
        return hash(tuple(self.levels))

    def get_index(self, level: int, name: str, key: str) -> int:
        """Return the number of a value at a level.

        Raises:
            ValueError: the level has directories of two keys.
        """
        if level == len(self.levels):
            self.levels.append(PartitionSet(name))
        if level > len(self.levels) or self.levels[level].name != name:
            expected = self.levels[level].name if level < len(self.levels) else "none"
            raise ValueError(f"directories at level {level} must all be of one key: found {name!r} beside {expected!r}")
        return self.levels[level].get_index(key)


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, limit: bool(value == limit),
    "==": lambda value, limit: bool(value == limit),
    "!=": lambda value, limit: bool(value != limit),
    "<": lambda value, limit: bool(value < limit),
    ">": lambda value, limit: bool(value > limit),
    "<=": lambda value, limit: bool(value <= limit),
    ">=": lambda value, limit: bool(value >= limit),
    "in": lambda value, values: value in values,
    "not in": lambda value, values: value not in values,
}


def accepts(filters: Sequence[Any], partitions: ParquetPartitions, partition_keys: Sequence[tuple[str, int]]) -> bool:
    """Whether a file with these keys can have rows that pass the filters; terms on other columns are ignored.

    Args:
        filters: (column, operator, value) terms, all of which must hold; or a list of such lists, one of which must hold.
        partitions: the dataset's keys.
        partition_keys: the file's keys, as (name, number of the value), from the outermost level.
    """
    alternatives = filters if isinstance(filters[0], list) else [filters]

    def holds(column: str, operator: str, wanted: Any) -> bool:
        if operator not in _TESTS:
            raise ValueError(f"a filter's operator must be one of {', '.join(_TESTS)}, got {operator!r}")
        for level, (name, index) in enumerate(partition_keys):
            if name == column:
                kind = type(next(iter(wanted)) if operator in ("in", "not in") else wanted)
                return _TESTS[operator](kind(partitions[level].keys[index]), wanted)
        return True

    return any(all(holds(*term) for term in terms) for terms in alternatives)
