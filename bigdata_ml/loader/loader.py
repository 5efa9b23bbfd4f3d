"""Batches of tensors for one rank: read in order, decoded by threads, resumable after any batch."""

import inspect
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader.collate import Batch, from_samples, to_samples, to_tensors
from bigdata_ml.loader.transforms import Transform, row_generator
from bigdata_ml.reader import Cursor, EpochPlan, Rank, ReadOptions, decode_batch
from bigdata_ml.reader.arrow import check_columns
from bigdata_ml.reader.cursor import Positioned
from bigdata_ml.reader.fetch import GroupFetcher
from bigdata_ml.reader.plan import StepRows

__all__ = ["Loader", "make_loader"]


class Loader(Positioned):
    """Dicts of tensors, `global_batch_size / world_size` rows each, in the order of the plan.

    Besides the fields a batch has `valid` (bool [rows]): false for rows that must not count, the repeated ones of
    `remainder="exact"`; with `remainder="pad"` also `repeated`. `len` is the number of steps of an epoch, the same on
    every rank. An iteration that is left early ends its threads.
    """

    def __init__(self, cursor: Cursor, *, num_workers: int, prefetch: int, transform: Transform | None) -> None:
        super().__init__(cursor)
        self._num_workers = num_workers
        self._prefetch = prefetch
        self._transform = transform
        self._schema = cursor.dataset.schema.select(cursor.read.columns or cursor.dataset.schema.names)

    def __iter__(self) -> Iterator[Batch]:
        plan, first = self._cursor.begin()
        batches = self._inline(plan, first) if self._num_workers == 0 else self._threaded(plan, first)
        return self._cursor.follow(batches)

    def _inline(self, plan: EpochPlan, first: int) -> Iterator[Batch]:
        fetcher = self._fetcher()
        for step in range(first, plan.steps):
            yield self._finish(plan, *_fetch(fetcher, plan, step, self._cursor.share), fetcher)

    def _threaded(self, plan: EpochPlan, first: int) -> Iterator[Batch]:
        # One thread reads, in order, so that a row group is read once; the others decode.
        fetcher = self._fetcher()
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(1, "read") as read, ThreadPoolExecutor(self._num_workers, "decode") as decode:
            try:
                for step in range(first, plan.steps):
                    fetched = read.submit(_fetch, fetcher, plan, step, self._cursor.share)
                    waiting.append(decode.submit(self._finish_fetched, plan, fetched, fetcher))
                    if len(waiting) > self._prefetch:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                read.shutdown(wait=False, cancel_futures=True)
                decode.shutdown(wait=False, cancel_futures=True)

    def _finish_fetched(self, plan: EpochPlan, fetched: "Future[tuple[StepRows, Any]]", fetcher: GroupFetcher) -> Batch:
        return self._finish(plan, *fetched.result(), fetcher)

    def _fetcher(self) -> GroupFetcher:
        return GroupFetcher(self._cursor.dataset, self._schema.names)

    def _finish(self, plan: EpochPlan, rows: StepRows, batch: Any, fetcher: GroupFetcher) -> Batch:
        columns = decode_batch(
            batch,
            self._schema,
            self._cursor.dataset.vocabularies,
            image_size=plan.read.image_size,
            place=lambda row: fetcher.place(int(rows.groups[row]), int(rows.rows[row])),
        )
        if self._transform is not None:
            columns = self._transformed(plan, rows, columns, self._transform)
        marks = {"valid": np.ones(len(rows.rows), bool) if plan.read.remainder != "exact" else ~rows.repeated}
        if plan.read.remainder == "pad":
            marks["repeated"] = rows.repeated
        return to_tensors({**columns, **marks})

    def _transformed(self, plan: EpochPlan, rows: StepRows, columns: Any, transform: Transform) -> Any:
        places = zip(rows.groups.tolist(), rows.rows.tolist(), strict=True)
        return from_samples(
            [
                transform(sample, row_generator(plan.read.seed, plan.epoch, group, row))
                for sample, (group, row) in zip(to_samples(columns, len(rows.rows)), places, strict=True)
            ]
        )


def make_loader(
    dataset: Dataset,
    read: ReadOptions,
    *,
    global_batch_size: int | None = None,
    batch_size: int | None = None,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 0,
    prefetch: int = 2,
    transform: Transform | None = None,
) -> Loader:
    """Return batches of tensors of a dataset, or a split of it.

    Args:
        dataset: what is read.
        read: columns, predicate, order.
        global_batch_size, batch_size: exactly one of them: rows of a step over all ranks, or of this rank. With
            `batch_size` another world size is another plan.
        rank, world_size: which part of each global batch this process reads.
        num_workers: decoding threads, 0 or more; 0 reads and decodes in the caller's.
        prefetch: batches read ahead with threads, 1 or more; a batch or two per worker keep it busy.
        transform: `f(sample, rng) -> sample` on dicts of one row's numpy values; `rng` is the row's own
            numpy Generator. It must draw from nothing else.

    Raises:
        ValueError: not exactly one batch size, unknown columns, a predicate that does not fit, too few rows for a step.
        TypeError: a transform that does not take (sample, rng).
        WorldSizeNotAllowed: the world size does not divide the global batch.

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
    cursor = Cursor(dataset, read, Rank(rank=rank, world_size=world_size), rows)
    return Loader(cursor, num_workers=num_workers, prefetch=max(prefetch, num_workers), transform=transform)


def _fetch(fetcher: GroupFetcher, plan: EpochPlan, step: int, share: slice) -> tuple[StepRows, Any]:
    rows = plan.step_rows(step, share)
    return rows, fetcher.gather(rows)


def _check_transform(transform: Transform) -> None:
    try:
        inspect.signature(transform).bind(None, None)
    except TypeError as error:
        raise TypeError(
            "a transform must take (sample, rng), rng being the row's own numpy Generator; one that draws from a global "
            "generator would make the order of threads change the data: wrap it as lambda sample, rng: …"
        ) from error
