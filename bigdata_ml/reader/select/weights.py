"""Weights of rows: how often each comes in an epoch, drawn by the seed, counted before the first step."""

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.order.hashing import hash_word, hash_words, key_of
from bigdata_ml.reader.row_weights import MOST_WEIGHT, RowWeights
from bigdata_ml.reader.select.cache import load_table, place_of, save_table
from bigdata_ml.reader.select.group_values import read_values
from bigdata_ml.reader.select.selection import Selection
from bigdata_ml.schema.converting import nearest_doubles
from bigdata_ml.shown import shown

__all__ = ["GroupWeights", "WeightedSelection", "weigh"]

# Part of a kept table's name: one written under other rules is not found.
_RULES = 1
_COPIES = 5
# Weights are counted in parts of 2^-32, so that draws are comparisons of integers.
_BITS = np.uint64(32)
_ONE = 1 << 32


@dataclass(frozen=True, slots=True)
class GroupWeights:
    """Weights of the selected rows of a row group.

    Attributes:
        values: in parts of 2^-32, uint64: distinct ones, or one a row.
        codes: the place in `values` of each row's, uint8 or uint16 [rows]; None where there is one for all, or one a row.
    """

    values: np.ndarray
    codes: np.ndarray | None

    @property
    def of_rows(self) -> np.ndarray:
        """The weight of each row, uint64 [rows], or [1] for all rows."""
        return self.values if self.codes is None else self.values[self.codes]


class WeightedSelection:
    """Selected rows and their weights: what is selected in each epoch follows from it.

    It holds a byte for each row of the row groups with several weights. These are 2 bytes above 256 weights in a group, and 8
    above 65,536.

    Args:
        base: the rows that may come.
        weights: of them, by row group.
        digest: of both.
    """

    def __init__(self, base: Selection, weights: Mapping[int, GroupWeights], digest: str) -> None:
        self.base, self.weights, self.digest = base, weights, digest
        self.most = np.zeros_like(base.counts)
        total = 0
        for group, group_weights in weights.items():
            rows = int(base.counts[group])
            self.most[group] = _summed((group_weights.of_rows + np.uint64(_ONE - 1)) >> _BITS, rows)
            total += _summed(group_weights.of_rows, rows)
        self.usual = -(-total // _ONE)

    def of_epoch(self, seed: int, epoch: int, /) -> "DrawnSelection":
        """Return what is drawn for an epoch."""
        return DrawnSelection(self, key_of(seed, epoch, _COPIES))


class DrawnSelection:
    """The rows of one epoch of a weighted selection, each as often as was drawn."""

    def __init__(self, weighted: WeightedSelection, key: int) -> None:
        self._weighted, self._key = weighted, key

    @cached_property
    def counts(self) -> np.ndarray:
        """Selected rows of each row group, copies counted, int64 [groups]."""
        counts = np.zeros_like(self._weighted.base.counts)
        for group in self._weighted.weights:
            counts[group] = _summed(self._copies(group), int(self._weighted.base.counts[group]))
        return counts

    @cached_property
    def total(self) -> int:
        """Number of selected rows, copies counted."""
        return int(self.counts.sum())

    def entries(self, group: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a group's rows, ascending, and the number of each one's copy (0 …), int32 [counts[group]] both."""
        rows = self._weighted.base.rows(group)
        copies = np.broadcast_to(self._copies(group).astype(np.int64), rows.shape)
        ends = np.cumsum(copies)
        numbers = np.arange(ends[-1]) - np.repeat(ends - copies, copies)
        return np.repeat(rows, copies), numbers.astype(np.int32)

    def _copies(self, group: int) -> np.ndarray:
        """Return how often each row comes, uint64 [rows], or [1] where all come as often."""
        weights = self._weighted.weights[group]
        if not (weights.values % np.uint64(_ONE)).any():
            return np.asarray(weights.of_rows >> _BITS)
        drawn = hash_words(hash_word(self._key, group), self._weighted.base.rows(group)) >> _BITS
        return np.asarray((weights.of_rows + drawn) >> _BITS)


def weigh(
    dataset: Dataset, selection: Selection, weights: RowWeights, *, threads: int = 8, cache: str | os.PathLike[str] | None = None
) -> WeightedSelection:
    """Return a selection of `dataset` with the weights of its rows; an opened dataset remembers them.

    Args:
        dataset: whose rows.
        selection: the rows that may come; others are not looked at.
        weights: where their weights are found.
        threads: row groups read at the same time.
        cache: as for `select`.

    Raises:
        ValueError: a column that is not there or holds no numbers, or classes that are no values of it.
        DatasetInvalid: a weight that is null, NaN, negative or too large, naming its row.
    """
    if weights.column not in dataset.schema:
        raise ValueError(
            f"{dataset.url} has no field {weights.column!r} to take weights from; it has {', '.join(dataset.schema.names)}"
        )
    classes = _class_weights(dataset, weights)
    name = _name_of(dataset, selection, weights)
    if name not in dataset.selections:
        place = place_of(dataset, name, cache)
        weights_by_group = _load(place, selection) if place is not None else None
        if weights_by_group is None:
            weights_by_group = _find(dataset, selection, weights, classes, threads)
            if place is not None:
                _save(weights_by_group, place)
        dataset.selections[name] = WeightedSelection(selection, weights_by_group, name)
    weighted: WeightedSelection = dataset.selections[name]
    return weighted


def _summed(values: np.ndarray, rows: int) -> int:
    """Return the sum over rows of a value each, or of one for all."""
    return int(values[0]) * rows if len(values) == 1 else int(values.sum())


def _name_of(dataset: Dataset, selection: Selection, weights: RowWeights) -> str:
    classes = weights.classes
    class_text = sorted(map(repr, classes.items())) if isinstance(classes, Mapping) else classes
    text = repr((_RULES, dataset.fingerprint, selection.digest, weights.column, class_text, weights.default))
    return str(xxhash.xxh3_128_hexdigest(f"weights {text}".encode()))


def _class_weights(dataset: Dataset, weights: RowWeights) -> tuple[pa.Array, np.ndarray] | None:
    """Return the named classes as values of the column, and their weights, uint64; None where there are none.

    Raises:
        ValueError: a class that is no value of the column, or a column of no numbers where it holds the weights.
    """
    kind = _value_type(dataset.schema[weights.column].type)
    if weights.classes is None:
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise ValueError(
                f"{dataset.url}: field {weights.column!r} is {kind}, no number, and cannot hold weights; "
                "give RowWeights(column, {value: weight}) or RowWeights(column, 'balanced')"
            )
        return None
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_nested(kind):
        raise ValueError(f"{dataset.url}: field {weights.column!r} is {kind}, and its values are no classes")
    if isinstance(weights.classes, str):
        return None
    named = list(weights.classes)
    try:
        values = pa.array(named, kind)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{dataset.url}: classes {', '.join(map(repr, named))} are no values of field {weights.column!r} as it is stored, "
            f"which is {kind}: {error}"
        ) from error
    return values, np.array([_fixed(weight) for weight in weights.classes.values()], np.uint64)


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _fixed(weight: float) -> int:
    """Return a weight in parts of 2^-32; a float times a power of two is exact."""
    return round(float(weight) * _ONE)


@dataclass(frozen=True, slots=True)
class _Values:
    """The distinct values of a row group's selected rows, and each row's place among them, int32 [rows]."""

    group: int
    distinct: pa.Array
    codes: np.ndarray


def _find(
    dataset: Dataset, selection: Selection, weights: RowWeights, classes: tuple[pa.Array, np.ndarray] | None, threads: int
) -> dict[int, GroupWeights]:
    def distinct(group: int, table: pa.Table) -> _Values:
        column = table["weight's column"].combine_chunks()
        if group in selection.masks:
            column = column.take(pa.array(selection.rows(group)))
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        encoded = column.dictionary_encode(null_encoding="encode")
        return _Values(group, encoded.dictionary, encoded.indices.to_numpy().astype(np.int32))

    groups = np.flatnonzero(selection.counts).tolist()
    expressions = {"weight's column": pc.field(weights.column)}
    values = read_values(dataset, groups, expressions, distinct, threads=threads)
    if weights.classes is None:
        return {
            group_values.group: _packed(group_values, _numbers(dataset, selection, group_values, weights.column))
            for group_values in values
        }
    if classes is None:
        known = list(values)
        return dict(_balanced(dataset, selection, known, weights.column))
    named, fixed = classes
    by_group = {}
    used = np.zeros(len(named) + 1, bool)
    table = np.append(fixed, np.uint64(_fixed(weights.default)))
    for value in values:
        places = pc.fill_null(pc.index_in(value.distinct, named), len(named)).to_numpy()
        used[places] = True
        by_group[value.group] = _packed(value, table[places])
    _say_unused(dataset, weights, named.to_pylist(), used)
    return by_group


def _say_unused(dataset: Dataset, weights: RowWeights, named: list[Any], used: np.ndarray) -> None:
    unused = [repr(value) for value, there in zip(named, used.tolist(), strict=False) if not there]
    if unused:
        text = (
            f"{dataset.url}: no selected row has the field {weights.column!r} at {', '.join(unused)}, which RowWeights names; "
            "values are those that are stored, not the ids of a vocabulary"
        )
        warnings.warn(shown(text), stacklevel=2)


def _numbers(dataset: Dataset, selection: Selection, values: _Values, column: str) -> np.ndarray:
    """Return the weights that a group's distinct values are, uint64."""
    distinct = values.distinct
    floats = nearest_doubles(distinct) if pa.types.is_decimal(distinct.type) else pc.cast(distinct, pa.float64(), safe=False)
    numbers = pc.fill_null(floats, float("nan")).to_numpy()
    bad = ~((numbers >= 0) & (numbers <= MOST_WEIGHT))
    if bad.any():
        row = int(np.flatnonzero(bad[values.codes])[0])
        problem = f"is {values.distinct[int(values.codes[row])].as_py()}, a weight must be a number in [0, {MOST_WEIGHT}]"
        raise _bad_row(dataset, selection, values.group, row, column, problem)
    return np.asarray(np.rint(numbers * _ONE).astype(np.uint64))


def _balanced(dataset: Dataset, selection: Selection, known: list[_Values], column: str) -> Iterable[tuple[int, GroupWeights]]:
    rows: dict[Any, int] = {}
    named = [group_values.distinct.to_pylist() for group_values in known]
    for values, names in zip(known, named, strict=True):
        for code, (name, count) in enumerate(zip(names, np.bincount(values.codes, minlength=len(names)).tolist(), strict=True)):
            if name is None or name != name:
                row = int(np.flatnonzero(values.codes == code)[0])
                raise _bad_row(dataset, selection, values.group, row, column, f"is {name}, which is no class")
            rows[name] = rows.get(name, 0) + count
    total = sum(rows.values())
    fixed = {name: min(MOST_WEIGHT * _ONE, (total << 32) // (len(rows) * count)) for name, count in rows.items()}
    for values, names in zip(known, named, strict=True):
        yield values.group, _packed(values, np.array([fixed[name] for name in names], np.uint64))


def _bad_row(dataset: Dataset, selection: Selection, group: int, row: int, column: str, problem: str) -> DatasetInvalid:
    record = dataset.row_groups.record(group)
    place = f"{dataset.url}/{record['path']} row group {record['row_group']} row {int(selection.rows(group)[row])}"
    return DatasetInvalid(f"{place} field {column!r}: {problem}; leave such rows out by predicate=, or mend the dataset")


def _packed(values: _Values, weights: np.ndarray) -> GroupWeights:
    """Return a group's weights in as few bytes as they need; equal weights of several values become one."""
    distinct, places = np.unique(weights, return_inverse=True)
    if len(distinct) == 1:
        return GroupWeights(distinct, None)
    if len(distinct) > 1 << 16:
        return GroupWeights(weights[values.codes], None)
    return GroupWeights(distinct, places.astype(np.uint8 if len(distinct) <= 1 << 8 else np.uint16)[values.codes])


def _save(weights_by_group: Mapping[int, GroupWeights], place: Path) -> None:
    columns = {
        "group": pa.array(list(weights_by_group), pa.int64()),
        "values": pa.array([group_weights.values.tobytes() for group_weights in weights_by_group.values()], pa.large_binary()),
        "codes": pa.array(
            [
                None if group_weights.codes is None else group_weights.codes.tobytes()
                for group_weights in weights_by_group.values()
            ],
            pa.large_binary(),
        ),
    }
    save_table(pa.table(columns), place)


def _load(place: Path, selection: Selection) -> dict[int, GroupWeights] | None:
    """Return kept weights, or None where there are none that can be read."""
    table = load_table(place, ("group", "values", "codes"))
    if table is None or table["group"].to_pylist() != np.flatnonzero(selection.counts).tolist():
        return None
    by_group = {}
    for group, values, codes in zip(*(table[name].to_pylist() for name in ("group", "values", "codes")), strict=True):
        numbers = np.frombuffer(values, np.uint64)
        width = np.uint8 if len(numbers) <= 1 << 8 else np.uint16
        by_group[group] = GroupWeights(numbers, None if codes is None else np.frombuffer(codes, width))
    return by_group
