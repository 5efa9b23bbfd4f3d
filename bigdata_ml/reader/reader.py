"""The rows of a plan as Arrow record batches, whichever engine reads them."""

import os
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pyarrow as pa

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import BigDataMLError
from bigdata_ml.reader.assemble.step_batch import StepBatch
from bigdata_ml.reader.cursor import MEMORY_BUDGET
from bigdata_ml.reader.decode.text import checked_text
from bigdata_ml.reader.engines import check_engine, cursor_of
from bigdata_ml.reader.epoch_batches import EpochBatches
from bigdata_ml.reader.iteration import Iteration, Ready
from bigdata_ml.reader.mixture import Mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.plan import Plan
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.positioned import Positioned
from bigdata_ml.reader.rank import Rank
from bigdata_ml.schema import NullPolicy

__all__ = ["Reader", "check_columns", "open_reader"]


class Reader(Positioned):
    """This rank's rows of each global batch, as `pyarrow.RecordBatch`es with the values as they are stored.

    With `remainder` `pad` or `exact` a column `repeated` (bool) marks the rows that fill the last batch; with
    `on_error="skip"` a column `valid` (bool) is false for rows that were skipped. `len` is the number of steps of an epoch.
    With `ReadOptions.sequence` each column is one of lists of that length. See `Cursor` for epochs and positions.
    """

    def __iter__(self) -> Iteration[pa.RecordBatch]:
        return self._cursor.follow(self._batches)

    def _batches(self, plan: Plan, share: Share) -> Iterator[Ready[pa.RecordBatch]]:
        # No thread reads for it, so that nothing is waited for where it is left.
        with closing(EpochBatches(self._cursor, plan, share)) as batches:
            for _ in batches.steps:
                step_batch = batches.next()
                batch, skipped, reasons = self._checked(batches, step_batch)
                if self._cursor.read.remainder != "drop":
                    batch = batch.append_column("repeated", pa.array(step_batch.rows.repeated))
                if self._cursor.read.on_error == "skip":
                    batch = batch.append_column("valid", pa.array(np.logical_not(skipped)))
                yield Ready(batch, [*batches.skipped(step_batch), *reasons])

    def _checked(self, batches: EpochBatches, step_batch: StepBatch) -> tuple[pa.RecordBatch, np.ndarray, list[str]]:
        """Return a step's rows, which of them are skipped, bool [rows], and why those are whose text is no UTF-8."""
        rows, bad = step_batch.rows, dict[int, str]()

        def on_bad_row(row: int, error: BigDataMLError) -> None:
            if self._cursor.read.on_error == "raise":
                raise error
            bad.setdefault(row, str(error))

        def place(row: int) -> str:
            return batches.source.place(int(rows.groups[row]), int(rows.rows[row]))

        batch = step_batch.batch
        names = batch.schema.names
        columns = [checked_text(batch.column(name), name, place=place, on_bad_row=on_bad_row) for name in names]
        skipped = step_batch.skipped.copy()
        skipped[list(bad)] = True
        reasons = [text for row, text in bad.items() if not rows.repeated[row]]
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema), skipped, reasons


def open_reader(
    dataset: Dataset | Mixture,
    read: ReadOptions,
    *,
    global_batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    memory_budget: int = MEMORY_BUDGET,
    selection_cache: str | os.PathLike[str] | None = None,
) -> Reader:
    """Read a dataset, a split of it, or a mixture of several, in the order of its plan.

    Args:
        dataset: what is read.
        read: columns, predicate, order.
        global_batch_size: rows of one step over all ranks, 1 or more.
        rank, world_size: which part of each global batch this process reads.
        memory_budget: bytes of rows that this rank may hold; an order that needs more is refused.
        selection_cache: a local directory that caches what a predicate selects, for other processes.

    Raises:
        ValueError: unknown columns, a predicate that does not fit, too few rows for one step, or more rows held than fit.
        WorldSizeNotAllowed: the world size does not divide the global batch or the streams.
        EngineUnavailable: an engine that is not installed, or has no type for a field.

    >>> reader = open_reader(Dataset.open(url).split("train"), ReadOptions(seed=7), global_batch_size=512)  # doctest: +SKIP
    >>> for rows in reader: ...  # doctest: +SKIP
    """
    check_columns(dataset, read)
    place = Rank(rank=rank, world_size=world_size)
    cursor = cursor_of(dataset, read, place, global_batch_size, memory_budget=memory_budget, selection_cache=selection_cache)
    return Reader(cursor)


def check_columns(dataset: Dataset | Mixture, read: ReadOptions) -> None:
    """Raise unless every column asked for is a field and the engine, which must be there, can read it."""
    for part in [member.dataset for member in dataset.members] if isinstance(dataset, Mixture) else [dataset]:
        _check_columns(part, read)
    check_engine(dataset, read)


def _check_columns(dataset: Dataset, read: ReadOptions) -> None:
    names = set(read.columns or dataset.schema.names)
    masks = {f"{field.name}_valid" for field in dataset.schema if field.name in names and field.null is NullPolicy.MASK}
    taken = sorted(({"valid", "repeated"} | masks) & names)
    if taken:
        raise ValueError(
            f"{dataset.url} has a field {taken[0]!r}, a name the reader gives its own marks; leave it out by columns="
        )
    unknown = [name for name in read.columns or () if name not in dataset.schema]
    if unknown:
        raise ValueError(f"{dataset.url} has no fields {', '.join(unknown)}; it has {', '.join(dataset.schema.names)}")
