"""The rows of a plan as Arrow record batches, whichever engine reads them."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pyarrow as pa

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import BigDataMLError, DatasetInvalid
from bigdata_ml.reader.assemble.gather import Gathered
from bigdata_ml.reader.cursor import MEMORY_BUDGET, Cursor
from bigdata_ml.reader.decode.text import checked_text
from bigdata_ml.reader.engines import check_engine, cursor_of, gatherer_of
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.reader.iteration import Iteration, Ready
from bigdata_ml.reader.mixture import Mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.plan import Plan
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.positioned import Positioned
from bigdata_ml.reader.rank import Rank
from bigdata_ml.schema import NullPolicy

__all__ = ["Gathering", "Reader", "check_columns", "open_reader"]


class Gathering:
    """One iteration's row groups: batches of rows as they are stored, and a text for each row whose group could not be read.

    With `threads` as many row groups at most are read ahead of their need, of some 256 MiB together.
    """

    def __init__(self, cursor: Cursor, plan: Plan, share: Share, *, threads: int = 0) -> None:
        self.plan = plan
        self._stop = Stop()
        skips = cursor.read.on_error == "skip"
        self.source = cursor.contents.source(self._stop, keeps_bad_values=skips)
        self._unreadable: dict[int, str] = {}
        skip = self._remember if skips else None
        self._gatherer = gatherer_of(cursor, plan, share, self.source, on_unreadable=skip, threads=threads)
        self.steps = self._gatherer.steps

    def next(self) -> Gathered:
        """Return the next step's rows; those whose values do not fit their fields' types are skipped."""
        gathered = self._gatherer.next()
        if not self.source.has_bad_values:
            return gathered
        return replace(gathered, skipped=gathered.skipped | [text is not None for text in self._bad_values(gathered)])

    def stop(self) -> None:
        """Have what reads ahead end by itself, without waiting for it nor for any lock: a finaliser may call it."""
        self._stop.is_said = True
        self._gatherer.stop()

    def close(self) -> None:
        """End what reads ahead, if anything does; called once nobody waits for `next`."""
        self._stop.is_said = True
        self._gatherer.close()

    def skipped(self, gathered: Gathered) -> list[str]:
        """Return a text for each row that was skipped, rows that fill the last batch left out."""
        rows = gathered.rows
        told = gathered.skipped & ~rows.repeated
        texts = self._bad_values(gathered)
        return [texts[place] or self._unreadable[int(rows.groups[place])] for place in np.flatnonzero(told).tolist()]

    def _bad_values(self, gathered: Gathered) -> list[str | None]:
        """Return for each row why one of its values does not fit its field's type, or None."""
        places = zip(gathered.rows.groups.tolist(), gathered.rows.rows.tolist(), strict=True)
        return [self.source.bad_value(group, row) for group, row in places]

    def _remember(self, group: int, error: DatasetInvalid) -> None:
        self._unreadable[group] = str(error)


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
        with closing(Gathering(self._cursor, plan, share)) as gathering:
            for _ in gathering.steps:
                gathered = gathering.next()
                batch, skipped, reasons = self._checked(gathering, gathered)
                if self._cursor.read.remainder != "drop":
                    batch = batch.append_column("repeated", pa.array(gathered.rows.repeated))
                if self._cursor.read.on_error == "skip":
                    batch = batch.append_column("valid", pa.array(np.logical_not(skipped)))
                yield Ready(batch, [*gathering.skipped(gathered), *reasons])

    def _checked(self, gathering: Gathering, gathered: Gathered) -> tuple[pa.RecordBatch, np.ndarray, list[str]]:
        """Return a step's rows, which of them are skipped, bool [rows], and why those are whose text is no UTF-8."""
        rows, bad = gathered.rows, dict[int, str]()

        def on_bad_row(row: int, error: BigDataMLError) -> None:
            if self._cursor.read.on_error == "raise":
                raise error
            bad.setdefault(row, str(error))

        def place(row: int) -> str:
            return gathering.source.place(int(rows.groups[row]), int(rows.rows[row]))

        batch = gathered.batch
        names = batch.schema.names
        columns = [checked_text(batch.column(name), name, place=place, on_bad_row=on_bad_row) for name in names]
        skipped = gathered.skipped.copy()
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
        selection_cache: a local directory in which what a predicate selects is kept, so that no other process finds it anew.

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
    for one in [member.dataset for member in dataset.members] if isinstance(dataset, Mixture) else [dataset]:
        _check_columns(one, read)
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
