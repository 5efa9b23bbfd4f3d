"""The rows that a Petastorm reader reads, and their order: readers and loaders are made from this value."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from bigdata_ml.compat.petastorm.ngram import NGram
from bigdata_ml.compat.petastorm.transform import TransformSpec
from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.compat.petastorm.values.columns import Columns, batch_columns, row_columns, rows_of
from bigdata_ml.compat.petastorm.values.samples import samples_of, sequence_of
from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import Cursor, Rank, ReadOptions
from bigdata_ml.reader.assemble.step_batch import StepBatch
from bigdata_ml.reader.epoch_batches import EpochBatches
from bigdata_ml.reader.iteration import Iteration, Ready
from bigdata_ml.reader.options import Remainder, Shuffle
from bigdata_ml.reader.order.plan import Plan
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.pipeline import DecodedBatches
from bigdata_ml.reader.row_filter import RowFilter
from bigdata_ml.reader.select.selection import select
from bigdata_ml.reader.select.sequences import select_starts
from bigdata_ml.shown import shown

__all__ = ["Rows", "Source", "as_frame", "passed_over", "warn_empty"]

_Batch = TypeVar("_Batch")
# Rows decoded together if the user gets single rows.
_TOGETHER = 256


@dataclass(frozen=True, slots=True)
class Rows:
    """Decoded and transformed rows: a sequence of `count` values per field."""

    columns: Columns
    count: int


@dataclass(frozen=True, kw_only=True)
class Source:
    """The rows to read, their order, and how they are decoded and transformed.

    Attributes:
        dataset: the dataset to read.
        stored: the fields to read, as they are stored.
        schema: the fields of the returned rows.
        batched: whether values are decoded as in `make_batch_reader`.
        transform: from `stored` to `schema`, or None.
        condition: selects rows; None reads all.
        shuffle: the order; see `ReadOptions`.
        seed: of the order.
        rank: the part of each step to read.
        num_epochs: passes; None is endless.
        num_workers: decoding threads; 0 decodes in the calling thread.
        prefetch: steps to read ahead.
        ngram: the resolved `NGram` if samples have several rows, or None.
    """

    dataset: Dataset
    stored: Unischema
    schema: Unischema
    batched: bool
    transform: TransformSpec | None
    condition: RowFilter | None
    shuffle: Shuffle
    seed: int
    rank: Rank
    num_epochs: int | None
    num_workers: int
    prefetch: int
    ngram: NGram | None = None

    @property
    def url(self) -> str:
        """URL of the dataset."""
        return self.dataset.url

    @property
    def counts(self) -> np.ndarray:
        """Selected rows of each row group, int64 [groups]; with an `NGram`, samples that begin in it."""
        if self.ngram is not None:
            return select_starts(self.dataset, self.condition, sequence_of(self.ngram)).counts
        return select(self.dataset, self.condition).counts

    @property
    def is_light(self) -> bool:
        """Whether decoding costs almost nothing: plain columns and no transform."""
        return self.transform is None and self.batched

    @property
    def usual_batch(self) -> int:
        """Rows of a reader's step: as many as the largest row group for batches, else fewer."""
        if self.batched:
            return max(1, int(self.counts.max(initial=0)))
        return min(_TOGETHER, max(1, -(-int(self.counts.sum()) // self.rank.world_size)))

    def cursor(self, batch_size: int, *, window: int = 0, remainder: Remainder = "exact") -> Cursor | None:
        """Return a cursor at the start of an order with `batch_size` rows per rank and step, mixed over `window` rows per rank.

        Return None, with a warning, if there are no rows, or with `drop` no full step.
        """
        ranks, total = self.rank.world_size, int(self.counts.sum())
        if total < (batch_size * ranks if remainder == "drop" else 1):
            warn_empty(self.dataset.url)
            return None
        read = ReadOptions(
            columns=tuple(self.stored.fields),
            predicate=self.condition,
            sequence=None if self.ngram is None else sequence_of(self.ngram),
            shuffle=self.order_with(window),
            seed=self.seed,
            remainder=remainder,
            streams=ranks,
            window=window * ranks,
        )
        return Cursor(self.dataset, read, self.rank, batch_size * ranks)

    def order_with(self, window: int) -> Shuffle:
        """Return the shuffle setting for a window: a window also shuffles rows within a row group."""
        if not window:
            return self.shuffle
        return True if self.shuffle in (True, "groups") else "rows"

    def pass_over(self, cursor: Cursor, make: Callable[[Rows], _Batch], *, light: bool = False) -> Iteration[_Batch]:
        """Return `make` of each step's rows of an epoch; decoding threads call `make`.

        Repeated rows that fill the last step are dropped unless the remainder is `pad`.
        """

        def finish(batches: EpochBatches, step_batch: StepBatch) -> Ready[_Batch]:
            own = np.ones(len(step_batch.skipped), bool) if cursor.read.remainder == "pad" else ~step_batch.rows.repeated
            return Ready(make(self.rows(batches, step_batch, np.flatnonzero(own))), [])

        return passed_over(self, cursor, finish, light=light)

    def rows(self, batches: EpochBatches, step_batch: StepBatch, places: np.ndarray) -> Rows:
        """Return the decoded and transformed rows at some places of a step."""
        rows, whole = step_batch.rows, len(places) == len(step_batch.skipped)

        def place(row: int) -> str:
            return batches.source.place(int(rows.groups[places[row]]), int(rows.rows[places[row]]))

        if whole and self.batched:
            columns = batch_columns(step_batch.columns, self.stored, numbers=step_batch.columns.numbers, place=place)
            return self.transformed(Rows(columns, len(places)))
        batch = step_batch.batch if whole else step_batch.batch.take(pa.array(places))
        if self.ngram is not None:
            samples = samples_of(batch, self.ngram, self.stored, self.schema, self.transform, place=place)
            return Rows({"sample": samples}, len(samples))
        columns = (batch_columns if self.batched else row_columns)(batch, self.stored, place=place)
        return self.transformed(Rows(columns, batch.num_rows))

    def transformed(self, rows: Rows) -> Rows:
        """Return the transformed rows.

        Raises:
            ValueError: the transform's fields differ from its TransformSpec.
        """
        if self.transform is None:
            return rows
        if self.batched:
            return _transformed_frame(rows, self.transform, self.schema)
        return _transformed_rows(rows, self.transform, self.schema)


def passed_over(
    source: Any, cursor: Cursor, finish: Callable[[EpochBatches, StepBatch], Ready[_Batch]], *, light: bool
) -> Iteration[_Batch]:
    """Return `finish` of each remaining step of a cursor's epoch, run in the source's threads."""

    def read(plan: Plan, share: Share) -> Iterator[Ready[_Batch]]:
        batches = EpochBatches(cursor, plan, share, threads=source.num_workers)
        return DecodedBatches(batches, finish, num_workers=source.num_workers, prefetch=source.prefetch, light=light)

    return cursor.follow(read)


def _transformed_rows(rows: Rows, spec: TransformSpec, schema: Unischema) -> Rows:
    made = rows_of(rows.columns, rows.count)
    if spec.func is not None:
        made = [spec.func(row) for row in made]
    for row in made:
        missing = [name for name in schema.fields if name not in row]
        if missing:
            names = ", ".join(missing)
            raise ValueError(f"the transform's row lacks {names}, which its TransformSpec names; it has {', '.join(row)}")
    return Rows({name: [row[name] for row in made] for name in schema.fields}, len(made))


def _transformed_frame(rows: Rows, spec: TransformSpec, schema: Unischema) -> Rows:
    frame = as_frame(rows)
    if spec.func is not None:
        frame = spec.func(frame)
    names = set(frame.columns) - set(spec.removed_fields)
    if spec.selected_fields is not None:
        names &= set(spec.selected_fields)
    if names != set(schema.fields):
        raise ValueError(
            f"the transform returns the columns {', '.join(sorted(map(str, names)))}, but its TransformSpec has "
            f"{', '.join(sorted(schema.fields))}; list added and changed fields in edit_fields, dropped ones in removed_fields"
        )
    return Rows({name: _of_series(frame[name], field) for name, field in schema.fields.items()}, len(frame))


def as_frame(rows: Rows) -> Any:
    """Return a batch's columns as the pandas DataFrame for transforms and predicates; arrays are objects, one per row."""
    import pandas as pd

    columns = {}
    for name, values in rows.columns.items():
        values = np.asarray(values)
        text = values.dtype.kind == "U"
        columns[name] = pd.Series(list(values) if values.ndim > 1 else values, dtype=object if text or values.ndim > 1 else None)
    return pd.DataFrame(columns)


def _of_series(series: Any, field: Any) -> np.ndarray:
    values, shape = series.to_numpy(), tuple(field.shape)
    if shape:
        arrays = [np.asarray(value) for value in values]
        if len({array.shape for array in arrays}) == 1 and arrays:
            stacked = np.stack(arrays)
            return stacked.reshape(len(arrays), *shape) if len(shape) > 1 and None not in shape else stacked
        made = np.empty(len(arrays), object)
        for row, array in enumerate(arrays):
            made[row] = array
        return made
    if issubclass(field.numpy_dtype, np.str_) and not series.isna().any():
        return np.asarray(values.astype(np.str_))
    return np.asarray(values)


def warn_empty(url: str) -> None:
    """Warn that no row is selected."""
    warnings.warn(shown(f"{url}: predicate, selector and filters select no row; the reader ends immediately"), stacklevel=4)
