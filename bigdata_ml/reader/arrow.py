"""The native engine: the rows of a plan as Arrow record batches."""

from collections.abc import Iterator

import pyarrow as pa

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import EngineUnavailable
from bigdata_ml.reader.cursor import Cursor, Positioned
from bigdata_ml.reader.fetch import GroupFetcher
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.plan import EpochPlan, Rank
from bigdata_ml.schema import NullPolicy

__all__ = ["Reader", "check_columns", "open_reader"]


class Reader(Positioned):
    """This rank's rows of each global batch, as `pyarrow.RecordBatch`es with the values as they are stored.

    With `remainder` `pad` or `exact` a last column `repeated` (bool) marks the rows that fill the last batch.
    `len` is the number of steps of an epoch. See `Cursor` for epochs and positions.
    """

    def __init__(self, cursor: Cursor) -> None:
        super().__init__(cursor)
        self._columns = cursor.read.columns or cursor.dataset.schema.names

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        plan, first = self._cursor.begin()
        return self._cursor.follow(self._batches(plan, first))

    def _batches(self, plan: EpochPlan, first: int) -> Iterator[pa.RecordBatch]:
        fetcher = GroupFetcher(self._cursor.dataset, self._columns)
        for step in range(first, plan.steps):
            rows = plan.step_rows(step, self._cursor.share)
            batch = fetcher.gather(rows)
            yield batch if plan.read.remainder == "drop" else batch.append_column("repeated", pa.array(rows.repeated))


def open_reader(dataset: Dataset, read: ReadOptions, *, global_batch_size: int, rank: int = 0, world_size: int = 1) -> Reader:
    """Read a dataset, or a split of it, in the order of its plan.

    Args:
        dataset: what is read.
        read: columns, predicate, order.
        global_batch_size: rows of one step over all ranks, 1 or more.
        rank, world_size: which part of each global batch this process reads.

    Raises:
        ValueError: unknown columns, a predicate that does not fit, or too few rows for one step.
        WorldSizeNotAllowed: the world size does not divide the global batch.
        EngineUnavailable: an engine that is not there.

    >>> reader = open_reader(Dataset.open(url).split("train"), ReadOptions(seed=7), global_batch_size=512)  # doctest: +SKIP
    >>> for rows in reader: ...  # doctest: +SKIP
    """
    check_columns(dataset, read)
    return Reader(Cursor(dataset, read, Rank(rank=rank, world_size=world_size), global_batch_size))


def check_columns(dataset: Dataset, read: ReadOptions) -> None:
    """Raise unless every column asked for is a field and the engine is there."""
    if read.engine != "arrow":
        raise EngineUnavailable(f"engine {read.engine!r} is not in this version; use engine='arrow'")
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
