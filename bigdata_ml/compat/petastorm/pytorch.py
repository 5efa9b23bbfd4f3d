"""`DataLoader`, `BatchedDataLoader` and `InMemBatchedDataLoader`: a reader's rows as batches of tensors."""

import reprlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch.utils.data import default_collate

from bigdata_ml.compat.petastorm.mixed_source import MixedSource
from bigdata_ml.compat.petastorm.passes import Pass, Passes
from bigdata_ml.compat.petastorm.reader import Reader
from bigdata_ml.compat.petastorm.source import Rows, Source
from bigdata_ml.compat.petastorm.tensors import numeric_column, tensor_of, torch_friendly
from bigdata_ml.compat.petastorm.values import rows_of
from bigdata_ml.errors import ResumeMismatch

__all__ = ["BatchedDataLoader", "DataLoader", "InMemBatchedDataLoader", "decimal_friendly_collate"]

LastBatch = Literal["short", "drop", "pad"]
Batch = dict[str, Any]
_REMAINDERS: dict[str, Literal["exact", "drop", "pad"]] = {"short": "exact", "drop": "drop", "pad": "pad"}


def decimal_friendly_collate(batch: Sequence[Any]) -> Any:
    """Collate as torch's `default_collate` does; text, bytes and `Decimal`s stay as they are."""
    first = batch[0]
    if isinstance(first, Mapping):
        return {name: decimal_friendly_collate([row[name] for row in batch]) for name in first}
    if isinstance(first, (Decimal, str, bytes)):
        return batch
    if isinstance(first, (list, tuple)):
        return [decimal_friendly_collate(values) for values in zip(*batch, strict=True)]
    return default_collate(list(batch))


class _Pass(Iterator[Any]):
    """One iteration of a loader; it ends with the reader, and says so where it is asked for more."""

    def __init__(self, reader: Reader, batches: Pass[Any]) -> None:
        self._reader, self._batches = reader, batches
        reader.end_with(self)

    def __next__(self) -> Any:
        self._reader.check_open()
        return next(self._batches)

    def close(self) -> None:
        """End its threads."""
        self._batches.close()


class _Loader(ABC):
    """What both loaders over a reader's order share: passes, length, position.

    Each pass goes over all of the reader's epochs, and may be left early: the next one begins anew. Every rank makes the same
    number of batches.
    """

    def __init__(self, reader: Reader, batch_size: int, shuffling_queue_capacity: int, last_batch: LastBatch) -> None:
        if not isinstance(getattr(reader, "source", None), (Source, MixedSource)):
            raise TypeError(
                f"the reader must be one of this module's make_reader or make_batch_reader, got {type(reader).__module__}."
                f"{type(reader).__name__}; with Petastorm's own readers go Petastorm's own loaders"
            )
        if reader.ngram is not None:
            raise TypeError("a reader of NGrams has no tensors; our own loader's ReadOptions(sequence=…) gives [rows, length, …]")
        if batch_size < 1 or shuffling_queue_capacity < 0:
            got = f"got {batch_size} and {shuffling_queue_capacity}"
            raise ValueError(f"batch_size must be 1 or more and shuffling_queue_capacity 0 or more, {got}")
        if last_batch not in get_args(LastBatch):
            raise ValueError(f"last_batch must be one of {', '.join(get_args(LastBatch))}, got {last_batch!r}")
        self.reader = reader
        self.batch_size = batch_size
        self.shuffling_queue_capacity = shuffling_queue_capacity
        self._source = reader.source
        self._passes = Passes(self._source, batch_size, window=shuffling_queue_capacity, remainder=_REMAINDERS[last_batch])
        self._begun = False
        if last_batch == "short":
            self._warn_of_empty()

    def __len__(self) -> int:
        """Batches of a pass, the same on every rank.

        Raises:
            TypeError: the reader is endless.
        """
        if self._source.num_epochs is None:
            raise TypeError("a loader over a reader with num_epochs=None is endless and has no length")
        return self._source.num_epochs * self._passes.steps

    def __iter__(self) -> Iterator[Batch]:
        self.reader.check_open()
        if self._begun:
            self._passes.restart()
        self._begun = True
        return _Pass(self.reader, self._passes.over(self._make, light=self._source.is_light))

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values: after batch k, the state that goes on with batch k + 1."""
        return self._passes.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the next pass go on from `state`.

        Raises:
            ResumeMismatch: a state of another dataset, selection, order or batch size.
        """
        if "row" in state:
            raise ResumeMismatch("the state was taken from a reader, not from a loader over it")
        self._passes.load_state_dict(state)
        self._begun = False

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.stop()

    @abstractmethod
    def _make(self, rows: Rows) -> Any:
        """Return the batch of some rows; called from decoding threads."""

    def _warn_of_empty(self) -> None:
        ranks, total = self._source.rank.world_size, int(self._source.counts.sum())
        left = total % (self.batch_size * ranks)
        if 0 < left < ranks and isinstance(self._source, Source):
            warnings.warn(
                f"the last batch of an epoch has {left} rows for {ranks} ranks: those without one have an empty batch; "
                "last_batch='drop' leaves the rows out, last_batch='pad' fills every rank's batch with rows again",
                stacklevel=4,
            )


class DataLoader(_Loader):
    """Batches of a reader's rows: dicts of what `collate_fn` makes of `batch_size` of them.

    Args:
        reader: of rows or batches; its threads do the work.
        batch_size: rows of a batch.
        collate_fn: from a list of dicts, one a row, to a batch.
        shuffling_queue_capacity: rows among which rows are mixed across row groups; 0 keeps the reader's order.
        last_batch: what becomes of the rows that do not fill a last batch of an epoch: "short" hands them out, "drop" leaves
            them out, "pad" fills the batch with rows once more.

    Raises:
        TypeError: a reader of another library.
        ValueError: sizes that make no sense.
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
    """Batches of a reader's rows, made column by column: dicts of what `transform_fn` makes of numpy arrays [rows, …].

    Args:
        reader: of rows or batches; its threads do the work.
        batch_size: rows of a batch.
        transform_fn: from a numpy array to a tensor; None is `torch.as_tensor`. Text, bytes and objects stay lists.
        shuffling_queue_capacity: rows among which rows are mixed across row groups; 0 keeps the reader's order.
        last_batch: see `DataLoader`.

    Raises:
        TypeError: a reader of another library.
        ValueError: sizes that make no sense.
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


class InMemBatchedDataLoader:
    """Batches of a reader's first rows, held in memory.

    Args:
        reader: it is stopped when the rows are there.
        batch_size: rows of a batch.
        transform_fn: from a numpy array to a tensor; None is `torch.as_tensor`.
        num_epochs: passes over the rows; an iteration makes them all.
        seed: of the order of an epoch, as Petastorm draws it: `torch.randperm` seeded with seed + epoch.
        rows_capacity: rows that are held at most.
        shuffle: whether the rows come in the seed's order, or the reader's.

    Raises:
        TypeError: a reader of another library, or a field that is no tensor.
    """

    def __init__(
        self,
        reader: Reader,
        batch_size: int = 1,
        transform_fn: Callable[[np.ndarray], Any] | None = None,
        num_epochs: int = 1,
        seed: int = 0,
        rows_capacity: int = 1024,
        shuffle: bool = False,
    ) -> None:
        if batch_size < 1 or rows_capacity < 1 or num_epochs < 1:
            raise ValueError(
                f"batch_size, rows_capacity and num_epochs must be 1 or more, got {batch_size}, {rows_capacity} and {num_epochs}"
            )
        self.batch_size, self.num_epochs, self.seed, self.shuffle = batch_size, num_epochs, seed, shuffle
        batches = BatchedDataLoader(reader, min(rows_capacity, 1024), transform_fn)
        # Of which rows, in which order, the held ones are the first: a state is good for no others.
        self._held = {**batches.state_dict(), "rows_capacity": rows_capacity}
        self._columns = _first_rows(batches, rows_capacity)
        reader.stop()
        self._rows = len(next(iter(self._columns.values()))) if self._columns else 0
        self._epoch = self._step = self._pass = 0

    def __len__(self) -> int:
        return self.num_epochs * self._steps

    def __iter__(self) -> Iterator[Batch]:
        self._pass += 1
        return self._batches(self._pass)

    def _batches(self, mine: int) -> Iterator[Batch]:
        for epoch in range(self._epoch, self.num_epochs):
            order = self._order(epoch)
            for step in range(self._step, self._steps):
                if mine != self._pass:
                    raise RuntimeError("the loader was moved, or a newer iteration of it was begun; make a second loader")
                self._epoch, self._step = (epoch, step + 1) if step + 1 < self._steps else (epoch + 1, 0)
                places = order[step * self.batch_size : (step + 1) * self.batch_size]
                yield {name: values[places] for name, values in self._columns.items()}
        self._epoch = self._step = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values."""
        mine = {"rows": self._rows, "batch_size": self.batch_size, "shuffle": self.shuffle, "seed": self.seed, "held": self._held}
        return {**mine, "epoch": self._epoch, "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Have the next iteration go on from `state`.

        Raises:
            ResumeMismatch: a state of other rows, batches or another seed.
        """
        if not isinstance(state, Mapping):
            raise ResumeMismatch(f"a state is a dict as state_dict() gives it, got {type(state).__name__}")
        for name, mine in self.state_dict().items():
            found = state.get(name)
            if name not in ("epoch", "step") and (type(found) is not type(mine) or found != mine):
                raise ResumeMismatch(f"{name} differs: the state has {reprlib.repr(found)}, this loader {mine!r}")
        epoch, step = state.get("epoch"), state.get("step")
        # JSON's true is a whole number to Python.
        if not (type(epoch) is int and type(step) is int and 0 <= epoch <= self.num_epochs and 0 <= step < max(1, self._steps)):
            found = f"epoch {reprlib.repr(epoch)}, step {reprlib.repr(step)}"
            raise ResumeMismatch(f"{found} is no position of {self.num_epochs} epochs of {self._steps} steps")
        self._epoch, self._step, self._pass = epoch, step, self._pass + 1

    def __enter__(self) -> "InMemBatchedDataLoader":
        return self

    def __exit__(self, *_: object) -> None:
        self._columns = {}

    @property
    def _steps(self) -> int:
        return -(-self._rows // self.batch_size)

    def _order(self, epoch: int) -> torch.Tensor:
        if not self.shuffle:
            return torch.arange(self._rows)
        return torch.randperm(self._rows, generator=torch.Generator().manual_seed(self.seed + epoch))


def _first_rows(batches: BatchedDataLoader, capacity: int) -> dict[str, torch.Tensor]:
    parts: list[Batch] = []
    left = capacity
    for batch in batches:
        size = len(next(iter(batch.values())))
        parts.append({name: values[:left] for name, values in batch.items()})
        left -= size
        if left <= 0:
            break
    for name, values in (parts[0] if parts else {}).items():
        if not isinstance(values, torch.Tensor):
            raise TypeError(
                f"field {name!r} is no tensor and cannot be held; leave it out by schema_fields, or give a transform_fn"
            )
    return {name: torch.cat([part[name] for part in parts]) for name in (parts[0] if parts else {})}
