"""Batches of tensors for one rank: read in order, decoded by threads, resumable after any batch."""

import inspect
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch.utils.data import IterableDataset, get_worker_info

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import BigDataMLError
from bigdata_ml.loader.collate import Batch, blanked, from_samples, to_samples, to_tensors
from bigdata_ml.loader.sequences import flattened, in_sequences
from bigdata_ml.loader.transforms import Transform, row_generator
from bigdata_ml.loader.worker_batch import WorkerBatch, WorkerStamp
from bigdata_ml.reader import Cursor, Mixture, Rank, ReadOptions, decode_batch
from bigdata_ml.reader.assemble.step_batch import StepBatch
from bigdata_ml.reader.cursor import MEMORY_BUDGET
from bigdata_ml.reader.decode.columns import Columns
from bigdata_ml.reader.engines import cursor_of
from bigdata_ml.reader.epoch_batches import EpochBatches
from bigdata_ml.reader.iteration import Iteration, Ready
from bigdata_ml.reader.order.plan import Plan
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.pipeline import DecodedBatches
from bigdata_ml.reader.positioned import Positioned
from bigdata_ml.reader.reader import check_columns
from bigdata_ml.schema import Codec
from bigdata_ml.shown import shown

__all__ = ["Loader", "make_loader"]


class Loader(Positioned, IterableDataset[Batch]):
    """Dicts of tensors, `global_batch_size / world_size` rows each, in the order of the plan.

    Besides the fields a batch has `valid` (bool [rows]): false for rows that must not count, the repeated ones of
    `remainder="exact"` and the skipped ones of `on_error="skip"`; with `remainder="pad"` also `repeated`. `len` is the number
    of steps of an epoch, the same on every rank. An iteration that is left early ends its threads.

    With `ReadOptions.sequence` tensors are [rows, length, …], text and ragged columns lists of lists; `valid` stays [rows].

    It is a torch `IterableDataset` of whole batches as well: `DataLoader(loader, batch_size=None, num_workers=N)` and torchdata's
    `StatefulDataLoader` give the same batches in the same order. Each of N processes reads nearly every row group for its
    share of the steps; the loader's own threads read each once. Call `set_epoch` before each epoch there: a batch that arrives
    from a worker process raises RuntimeError where the loader was moved after `iter(DataLoader)`.
    """

    def __init__(self, cursor: Cursor, *, num_workers: int, prefetch: int, transform: Transform | None) -> None:
        super().__init__(cursor)
        self._num_workers = num_workers
        self._prefetch = prefetch
        self._transform = transform
        self._schema = cursor.contents.schema
        self._stamp = WorkerStamp(cursor)

    def __iter__(self) -> Iteration[Batch]:
        self._find_worker()
        return self._cursor.follow(self._batches)

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values: after batch k, the state that goes on with batch k + 1."""
        self._find_worker()
        return super().state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the position of `state`.

        Raises:
            ResumeMismatch: a state of another version, dataset, selection or plan, naming what differs.
        """
        self._find_worker()
        super().load_state_dict(state)

    def _find_worker(self) -> None:
        """Take a part of the steps where this is a copy in a worker process of a torch DataLoader."""
        info = get_worker_info()
        if info is None:
            return
        first = info.id == 0 and self._cursor.worker is None and self._cursor.begins
        self._cursor.work_as(info.id, info.num_workers)
        # Each epoch has new processes; the first ones say it for all.
        if info.num_workers > 1 and first:
            text = (
                f"each of the DataLoader's {info.num_workers} worker processes reads nearly every row group of "
                f"{self._cursor.contents.url}; make_loader(num_workers=…) decodes in threads and reads each once"
            )
            warnings.warn(shown(text), stacklevel=2)

    def _batches(self, plan: Plan, share: Share) -> Iterator[Ready[Batch]]:
        batches = EpochBatches(self._cursor, plan, share, threads=self._num_workers)
        workers, prefetch, light = self._num_workers, self._prefetch, self._is_light
        return DecodedBatches(batches, self._finish, num_workers=workers, prefetch=prefetch, light=light)

    @property
    def _is_light(self) -> bool:
        return self._transform is None and all(field.codec not in (Codec.IMAGE, Codec.RAW_IMAGE) for field in self._schema)

    def _finish(self, batches: EpochBatches, step_batch: StepBatch) -> Ready[Batch]:
        rows, read = step_batch.rows, self._cursor.read
        length = None if read.sequence is None else read.sequence.length
        steps = length or 1
        bad: dict[int, str] = {}

        def on_bad_row(row: int, error: BigDataMLError) -> None:
            if read.on_error == "raise":
                raise error
            if not step_batch.skipped[row // steps]:
                bad.setdefault(row // steps, str(error))

        columns = decode_batch(
            step_batch.columns if length is None else flattened(step_batch.batch, self._schema),
            self._schema,
            self._cursor.contents.vocabularies,
            # A transform is given rows that cannot be written to, whatever the order.
            numbers={} if self._transform else step_batch.columns.numbers,
            image_size=read.image_size,
            max_pixels=read.max_pixels,
            exact_decimals=read.exact_decimals,
            place=lambda row: batches.source.place(int(rows.groups[row // steps]), int(rows.rows[row // steps]) + row % steps),
            on_bad_row=on_bad_row,
        )
        if length is not None:
            columns = in_sequences(columns, length)
        skipped = step_batch.skipped.copy()
        skipped[list(bad)] = True
        if self._transform is not None:
            columns = self._transformed(batches, step_batch, columns, skipped, self._transform)
        if skipped.any():
            columns = blanked(columns, skipped)
        repeated = rows.repeated
        marks = {"valid": ~(skipped | repeated) if read.remainder == "exact" else ~skipped}
        if read.remainder == "pad":
            marks["repeated"] = repeated
        reasons = batches.skipped(step_batch) + [text for row, text in bad.items() if not repeated[row]]
        batch = to_tensors({**columns, **marks})
        if self._cursor.worker is not None:
            batch = WorkerBatch(batch, self._stamp.key, self._cursor, batches.plan.epoch)
        return Ready(batch, reasons)

    def _transformed(
        self, batches: EpochBatches, step_batch: StepBatch, columns: Columns, skipped: np.ndarray, transform: Transform
    ) -> Columns:
        """Transform every row that was not skipped; one that was takes a transformed row's place, to be blanked."""
        rows = step_batch.rows
        samples = to_samples(columns, len(rows.rows))
        seed, epoch = self._cursor.read.seed, batches.plan.epoch
        done = {}
        # Where all rows were skipped the first one's zeros say what shape a row has.
        for row in np.flatnonzero(~skipped).tolist() or [0]:
            group, place, number = int(rows.groups[row]), int(rows.rows[row]), int(rows.numbers[row])
            done[row] = transform(samples[row], row_generator(seed, epoch, group, place, number))
        some = next(iter(done.values()))
        return from_samples([done.get(row, some) for row in range(len(samples))])


def make_loader(
    dataset: Dataset | Mixture,
    read: ReadOptions,
    *,
    global_batch_size: int | None = None,
    batch_size: int | None = None,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 0,
    prefetch: int = 2,
    transform: Transform | None = None,
    memory_budget: int = MEMORY_BUDGET,
    selection_cache: str | os.PathLike[str] | None = None,
) -> Loader:
    """Return batches of tensors of a dataset, a split of it, or a mixture of several.

    Args:
        dataset: what is read.
        read: columns, predicate, order.
        global_batch_size, batch_size: exactly one of them: rows of a step over all ranks, or of this rank. With
            `batch_size` another world size is another plan.
        rank, world_size: which part of each global batch this process reads.
        num_workers: decoding threads, 0 or more; 0 reads and decodes in the caller's. There are as many again to read, each one
            row group ahead, fewer where that would be more than 256 MiB; with Petastorm's engine each reads four.
        prefetch: batches read ahead with threads, 1 or more; a batch or two per worker keep it busy.
        transform: `f(sample, rng) -> sample` on dicts of one row's numpy values; `rng` is the row's own
            numpy Generator. It must draw from nothing else.
        memory_budget: bytes of rows that this rank may hold; an order that needs more is refused.
        selection_cache: a local directory that caches what a predicate selects, for other processes.

    Raises:
        ValueError: not exactly one batch size, unknown columns, a predicate that does not fit, too few rows for a step, or
            more rows held than fit.
        TypeError: a transform that does not take (sample, rng).
        WorldSizeNotAllowed: the world size does not divide the global batch or the streams, or, with Petastorm's engine, exceeds
            the number of row groups.
        EngineUnavailable: an engine that is not installed, or has no type for a field.

    >>> loader = make_loader(dataset.split("train"), ReadOptions(seed=7), global_batch_size=512)  # doctest: +SKIP
    >>> for batch in loader: ...  # doctest: +SKIP
    """
    if (global_batch_size is None) == (batch_size is None):
        raise ValueError("give exactly one of global_batch_size (rows over all ranks) and batch_size (rows of this rank)")
    if num_workers < 0 or prefetch < 1:
        raise ValueError(f"num_workers must be 0 or more and prefetch 1 or more, got {num_workers} and {prefetch}")
    if transform is not None:
        _check_transform(transform)
    check_columns(dataset, read)
    rows = global_batch_size if global_batch_size is not None else (batch_size or 0) * world_size
    place = Rank(rank=rank, world_size=world_size)
    cursor = cursor_of(
        dataset, read, place, rows, threads=num_workers, memory_budget=memory_budget, selection_cache=selection_cache
    )
    return Loader(cursor, num_workers=num_workers, prefetch=max(prefetch, num_workers), transform=transform)


def _check_transform(transform: Transform) -> None:
    try:
        inspect.signature(transform).bind(None, None)
    except TypeError as error:
        raise TypeError(
            "a transform must take (sample, rng), rng being the row's own numpy Generator; one that draws from a global "
            "generator would make the order of threads change the data: wrap it as lambda sample, rng: …"
        ) from error
