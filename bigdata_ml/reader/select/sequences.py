"""Sequences: samples of several rows that follow one another in the dataset, found before the first step."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.row_filter import RowFilter
from bigdata_ml.reader.select.cache import place_of
from bigdata_ml.reader.select.group_values import read_values
from bigdata_ml.reader.select.selection import (
    Selection,
    check_predicate,
    keep_selection,
    kept_selection,
    select,
    selection_of,
    text_of,
)
from bigdata_ml.reader.sequence import Sequence

__all__ = ["select_starts"]

# Part of a kept selection's name: one written under other rules is not found.
_RULES = 1
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}


def select_starts(
    dataset: Dataset,
    predicate: pc.Expression | RowFilter | None,
    sequence: Sequence,
    *,
    threads: int = 8,
    cache: str | os.PathLike[str] | None = None,
) -> Selection:
    """Return the first rows of all samples; an opened dataset remembers them.

    Args:
        dataset: whose rows.
        predicate: that all rows of a sample must satisfy, an expression or a `RowFilter`, or None.
        sequence: what a sample is.
        threads: row groups read at the same time.
        cache: as for `select`.

    Raises:
        ValueError: fields that are not there or have no order, a gap in another unit, a predicate that does not fit.
        DatasetInvalid: rows that do not ascend, or whose order is null or NaN, naming the first; a file that cannot be read.
    """
    for field in (sequence.order, *((sequence.entity,) if sequence.entity else ())):
        if field not in dataset.schema:
            raise ValueError(
                f"{dataset.url} has no field {field!r} to make sequences by; it has {', '.join(dataset.schema.names)}"
            )
    gap = _gap(dataset, sequence)
    filtered = select(dataset, predicate, threads=threads) if isinstance(predicate, RowFilter) else None
    expression = None if isinstance(predicate, RowFilter) else predicate
    if expression is not None:
        check_predicate(dataset, expression)
    identity = (sequence.length, sequence.order, sequence.entity, gap, sequence.stride, sequence.overlap, sequence.restarts)
    condition = text_of(expression) if filtered is None else f"filtered {filtered.digest}".encode()
    text = f"sequences {_RULES} {dataset.fingerprint} {identity!r} ".encode() + condition
    name = str(xxhash.xxh3_128_hexdigest(text))
    if name not in dataset.selections:
        place = place_of(dataset, name, cache)
        kept = kept_selection(place, len(dataset.row_groups)) if place is not None else None
        if kept is None:
            kept = selection_of(_starts(dataset, sequence, _runs(dataset, expression, filtered, sequence, gap, threads)))
            if place is not None:
                keep_selection(kept, place)
        dataset.selections[name] = kept
    selection: Selection = dataset.selections[name]
    return selection


@dataclass(frozen=True, slots=True)
class _Runs:
    """Stretches of rows of which any `length` neighbours make a sample; rows are counted over the whole dataset.

    Attributes:
        begins: the first row of each, and the number of rows, int64 [runs + 1], ascending.
        good: whether its rows satisfy the predicate, bool [runs].
        ties: rows whose order is that of the row before, in the same run, int64 [ties], ascending; only where it matters.
    """

    begins: np.ndarray
    good: np.ndarray
    ties: np.ndarray


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was seen of a row group: where runs begin in it, and its first and last row: order, entity, whether it is kept."""

    group: int
    rows: int
    begins: np.ndarray
    good: np.ndarray
    ties: np.ndarray
    first: tuple[Any, Any, bool]
    last: tuple[Any, Any, bool]


def _runs(
    dataset: Dataset,
    predicate: pc.Expression | None,
    filtered: Selection | None,
    sequence: Sequence,
    gap: float | None,
    threads: int,
) -> _Runs:
    expressions = {"order": pc.field(sequence.order)}
    if sequence.entity is not None:
        expressions["entity"] = pc.field(sequence.entity)
    if predicate is not None:
        expressions["predicate"] = predicate

    def look(group: int, values: pa.Table) -> _Looked:
        kept = np.ones(len(values), bool)
        if "predicate" in values.column_names:
            kept = np.asarray(pc.fill_null(values["predicate"], False).to_numpy(), bool)
        elif filtered is not None:
            kept[:] = False
            kept[filtered.rows(group)] = True
        return _look(dataset, sequence, gap, group, values, kept)

    groups = np.flatnonzero(dataset.row_groups.rows).tolist()
    begins, good, ties, row, last = [], [], [], 0, None
    for value in read_values(dataset, groups, expressions, look, threads=threads):
        joined, tied = _joins(dataset, sequence, gap, last, value)
        begins.append(value.begins[int(joined) :] + row)
        good.append(value.good[int(joined) :])
        ties.append(value.ties + row)
        if joined and tied and not sequence.overlap:
            ties.append(np.array([row]))
        row, last = row + value.rows, value
    empty = np.zeros(0, np.int64)
    return _Runs(
        np.concatenate([*begins, np.array([row])]).astype(np.int64),
        np.concatenate(good) if good else np.zeros(0, bool),
        np.sort(np.concatenate([*ties, empty])).astype(np.int64),
    )


def _look(dataset: Dataset, sequence: Sequence, gap: float | None, group: int, values: pa.Table, kept: np.ndarray) -> _Looked:
    rows = len(values)
    order = _numbers(values["order"].combine_chunks())
    unknown = pc.is_null(order, nan_is_null=True).to_numpy(zero_copy_only=False) & kept
    if unknown.any():
        raise _wrong(dataset, sequence, group, int(np.flatnonzero(unknown)[0]), "is null or NaN")
    numbers = pc.fill_null(order, pa.scalar(0, order.type)).to_numpy(zero_copy_only=False)
    entities = np.zeros(rows, np.int64)
    entity: Any = None
    if sequence.entity is not None:
        entity = values["entity"].combine_chunks()
        entity = entity.dictionary_decode() if pa.types.is_dictionary(entity.type) else entity
        entities = entity.dictionary_encode(null_encoding="encode").indices.to_numpy()
    steps = np.diff(numbers)
    same = (entities[1:] == entities[:-1]) & kept[1:] & kept[:-1]
    falling = np.flatnonzero(same & (steps < 0))
    if len(falling):
        row = int(falling[0]) + 1
        raise _falling(dataset, sequence, group, row, numbers[row], numbers[row - 1])
    goes_on = same if gap is None else same & (steps <= gap)
    goes_on |= ~kept[1:] & ~kept[:-1]
    begins = np.concatenate([[0], np.flatnonzero(~goes_on) + 1])
    ties = np.zeros(0, np.int64) if sequence.overlap else np.flatnonzero(same & (steps == 0)) + 1
    ends = [(numbers[at].item(), None if entity is None else entity[at].as_py(), bool(kept[at])) for at in (0, rows - 1)]
    return _Looked(group, rows, begins, kept[begins], ties, *ends)


def _joins(dataset: Dataset, sequence: Sequence, gap: float | None, last: _Looked | None, current: _Looked) -> tuple[bool, bool]:
    """Return whether a group's first row goes on with the run of the group before it, and whether their order is the same."""
    if last is None:
        return False, False
    (before, entity_before, was_kept), (number, entity, kept) = last.last, current.first
    if not (kept and was_kept):
        return kept == was_kept, False
    if entity != entity_before:
        return False, False
    if number < before and sequence.restarts:
        return False, False
    if number < before:
        raise _falling(dataset, sequence, current.group, 0, number, before)
    return gap is None or number - before <= gap, number == before


def _starts(dataset: Dataset, sequence: Sequence, runs: _Runs) -> Iterator[np.ndarray]:
    """Yield which rows of each row group begin a sample, bool [rows]."""
    length, end = sequence.length, 0
    apart = np.unique(np.searchsorted(runs.begins, runs.ties, side="right") - 1)
    one_by_one = np.fromiter(_apart(runs, apart.tolist(), length), np.int64)
    for count in dataset.row_groups.rows.tolist():
        places, end = np.arange(end, end + count), end + count
        run = np.searchsorted(runs.begins, places, side="right") - 1
        begins, following = runs.begins[run], runs.begins[run + 1]
        starts = runs.good[run] & (places + length <= following)
        if sequence.overlap:
            yield starts & ((places - begins) % sequence.stride == 0)
        else:
            yield starts & np.where(np.isin(run, apart), np.isin(places, one_by_one), (places - begins) % length == 0)


def _apart(runs: _Runs, which: list[int], length: int) -> Iterator[int]:
    """Yield the first rows of samples that share no value, in runs where some rows have the value of the one before."""
    for run in which:
        start, end = runs.begins[run], runs.begins[run + 1]
        while start + length <= end:
            yield int(start)
            start += length
            place = int(np.searchsorted(runs.ties, start))
            while place < len(runs.ties) and runs.ties[place] == start:
                start, place = start + 1, place + 1


def _numbers(column: pa.Array) -> pa.Array:
    """Return an order's values as whole or floating numbers of 64 bits."""
    kind = column.type
    if pa.types.is_temporal(kind):
        return pc.cast(pc.cast(column, pa.int32()) if kind.bit_width == 32 else column, pa.int64())
    return pc.cast(column, pa.int64() if pa.types.is_integer(kind) else pa.float64())


def _gap(dataset: Dataset, sequence: Sequence) -> float | None:
    """Return the largest gap as a number in the order's unit.

    Raises:
        ValueError: an order that is no number, date or time, or a timedelta for what is no time.
    """
    kind = dataset.schema[sequence.order].type
    name = f"{dataset.url}: field {sequence.order!r} is {kind}"
    fitting = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_temporal)
    if kind == pa.uint64() or not any(is_type(kind) for is_type in fitting):
        raise ValueError(f"{name}, and sequences need numbers of at most 63 bits, dates or times to be ordered by")
    if not isinstance(sequence.max_gap, timedelta):
        return sequence.max_gap
    if not pa.types.is_temporal(kind):
        raise ValueError(f"{name}, no time; give max_gap as a number, got {sequence.max_gap!r}")
    microseconds = sequence.max_gap // timedelta(microseconds=1)
    return microseconds * 1000 // (86_400 * 10**9 if pa.types.is_date(kind) else _NANOSECONDS[kind.unit])


def _falling(dataset: Dataset, sequence: Sequence, group: int, row: int, value: Any, before: Any) -> DatasetInvalid:
    return _wrong(dataset, sequence, group, row, f"is {value} after {before} in the row before")


def _wrong(dataset: Dataset, sequence: Sequence, group: int, row: int, problem: str) -> DatasetInvalid:
    record = dataset.row_groups.record(group)
    within = (
        f"within each {sequence.entity!r}" if sequence.entity else "over the whole dataset, unless entity= says whose they are"
    )
    return DatasetInvalid(
        f"{dataset.url}/{record['path']} row group {record['row_group']} row {row} field {sequence.order!r}: {problem}; "
        f"sequences need it to ascend {within}: write the dataset in that order, or leave such rows out by predicate="
    )
