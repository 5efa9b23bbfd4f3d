"""`DataLoader` and `BatchedDataLoader`: a reader's rows as batches of tensors."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args

import numpy as np

from bigdata_ml.compat.petastorm.pytorch.collate import decimal_friendly_collate
from bigdata_ml.compat.petastorm.pytorch.tensors import numeric_column, tensor_of, torch_friendly
from bigdata_ml.compat.petastorm.reader import Reader
from bigdata_ml.compat.petastorm.reading.mixed_source import MixedSource
from bigdata_ml.compat.petastorm.reading.passes import Pass, Passes
from bigdata_ml.compat.petastorm.reading.source import Rows, Source
from bigdata_ml.compat.petastorm.values.columns import rows_of
from bigdata_ml.errors import ResumeMismatch

__all__ = ["Batch", "BatchedDataLoader", "DataLoader"]

LastBatch = Literal["short", "drop", "pad"]
Batch = dict[str, Any]
_REMAINDERS: dict[str, Literal["exact", "drop", "pad"]] = {"short": "exact", "drop": "drop", "pad": "pad"}


class _LoaderPass(Iterator[Any]):
    """One iteration of a loader. When the reader is stopped, it ends, and `next` raises RuntimeError."""

    def __init__(self, reader: Reader, batches: Pass[Any]) -> None:
        self._reader, self._batches = reader, batches
        reader.end_with(self)

    def __next__(self) -> Any:
        self._reader.check_open()
        return next(self._batches)

    def close(self) -> None:
        """Stop the threads."""
        self._batches.close()


class _Loader(ABC):
    """Passes, length and position, shared by both loaders.

    Each pass covers all epochs of the reader. A pass may be left early; the next one starts an epoch from its first row. All
    ranks make the same number of batches.
    """

    def __init__(self, reader: Reader, batch_size: int, shuffling_queue_capacity: int, last_batch: LastBatch) -> None:
        if not isinstance(getattr(reader, "source", None), (Source, MixedSource)):
            raise TypeError(
                f"the reader must be one of this module's make_reader or make_batch_reader, got {type(reader).__module__}."
                f"{type(reader).__name__}; use Petastorm's own loaders with Petastorm's own readers"
            )
        if reader.ngram is not None:
            raise TypeError("an NGram reader has no tensors; our own loader's ReadOptions(sequence=…) gives [rows, length, …]")
        if batch_size < 1 or shuffling_queue_capacity < 0:
            raise ValueError(
                "batch_size must be 1 or more and shuffling_queue_capacity 0 or more, "
                f"got {batch_size} and {shuffling_queue_capacity}"
            )
        if last_batch not in get_args(LastBatch):
            raise ValueError(f"last_batch must be one of {', '.join(get_args(LastBatch))}, got {last_batch!r}")
        self.reader = reader
        self.batch_size = batch_size
        self.shuffling_queue_capacity = shuffling_queue_capacity
        self._source = reader.source
        self._passes = Passes(self._source, batch_size, window=shuffling_queue_capacity, remainder=_REMAINDERS[last_batch])
        self._started = False
        if last_batch == "short":
            self._warn_of_empty()

    def __len__(self) -> int:
        """Batches of a pass, the same number on every rank.

        Raises:
            TypeError: the reader is endless.
        """
        if self._source.num_epochs is None:
            raise TypeError("a loader over a reader with num_epochs=None is endless and has no length")
        return self._source.num_epochs * self._passes.steps

    def __iter__(self) -> Iterator[Batch]:
        self.reader.check_open()
        if self._started:
            self._passes.restart()
        self._started = True
        return _LoaderPass(self.reader, self._passes.over(self._make, light=self._source.is_light))

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values. After batch k, a loader with this state continues with batch k + 1."""
        return self._passes.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the next pass from `state`.

        Raises:
            ResumeMismatch: a state of another dataset, selection, order or batch size.
        """
        if "row" in state:
            raise ResumeMismatch("the state was taken from a reader, not from a loader")
        self._passes.load_state_dict(state)
        self._started = False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.stop()

    @abstractmethod
    def _make(self, rows: Rows) -> Any:
        """Return the batch of some rows; decoding threads call it."""

    def _warn_of_empty(self) -> None:
        ranks, total = self._source.rank.world_size, int(self._source.counts.sum())
        left = total % (self.batch_size * ranks)
        if 0 < left < ranks and isinstance(self._source, Source):
            warnings.warn(
                f"the last batch of an epoch has {left} rows for {ranks} ranks, so some ranks get an empty batch; "
                "last_batch='drop' drops these rows, last_batch='pad' repeats rows until every rank's batch is full",
                stacklevel=4,
            )


class DataLoader(_Loader):
    """Batches of a reader's rows: what `collate_fn` returns for each `batch_size` rows.

    Args:
        reader: of rows or batches; its threads decode and collate.
        batch_size: rows of a batch.
        collate_fn: from a list of dicts, one per row, to a batch.
        shuffling_queue_capacity: size, in rows, of the window that mixes row groups; 0 keeps the reader's order.
        last_batch: how to treat the incomplete last batch of an epoch: "short" returns it, "drop" drops it, "pad" fills it with
            repeated rows.

    Raises:
        TypeError: a reader of another library.
        ValueError: a size or `last_batch` out of range.
    """

    def __init__(
        self,
        reader: Reader,
        batch_size: int = 1,
        collate_fn: Callable[[list[Any]], Any] = decimal_friendly_collate,
        shuffling_queue_capacity: int = 0,
        *,
        last_batch: LastBatch = "short",
    ) -> None:
        super().__init__(reader, batch_size, shuffling_queue_capacity, last_batch)
        self.collate_fn = collate_fn

    def _make(self, rows: Rows) -> Any:
        if self.collate_fn is decimal_friendly_collate or not rows.count:
            return {name: tensor_of(self._source.schema.fields[name], values) for name, values in rows.columns.items()}
        columns = {name: torch_friendly(name, values) for name, values in rows.columns.items()}
        return self.collate_fn(rows_of(columns, rows.count))


class BatchedDataLoader(_Loader):
    """Batches of a reader's rows, made column by column: a dict of `transform_fn`'s results for numpy arrays [rows, …].

    Args:
        reader: of rows or batches; its threads decode and collate.
        batch_size: rows of a batch.
        transform_fn: from a numpy array to a tensor; None is `torch.as_tensor`. Text, bytes and objects stay lists.
        shuffling_queue_capacity: size, in rows, of the window that mixes row groups; 0 keeps the reader's order.
        last_batch: see `DataLoader`.

    Raises:
        TypeError: a reader of another library.
        ValueError: a size or `last_batch` out of range.
    """

    def __init__(
        self,
        reader: Reader,
        batch_size: int = 1,
        transform_fn: Callable[[np.ndarray], Any] | None = None,
        shuffling_queue_capacity: int = 0,
        *,
        last_batch: LastBatch = "short",
    ) -> None:
        super().__init__(reader, batch_size, shuffling_queue_capacity, last_batch)
        self.transform_fn = transform_fn

    def _make(self, rows: Rows) -> Batch:
        fields, transform = self._source.schema.fields, self.transform_fn
        if transform is None:
            return {name: tensor_of(fields[name], values) for name, values in rows.columns.items()}
        columns = {name: numeric_column(fields[name], values) for name, values in rows.columns.items()}
        return {name: transform(values) if isinstance(values, np.ndarray) else values for name, values in columns.items()}
