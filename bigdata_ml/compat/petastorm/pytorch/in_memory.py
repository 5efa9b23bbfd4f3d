"""`InMemBatchedDataLoader`: batches of rows that stay in memory."""

import reprlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from bigdata_ml.compat.petastorm.pytorch.loaders import Batch, BatchedDataLoader
from bigdata_ml.compat.petastorm.reader import Reader
from bigdata_ml.errors import ResumeMismatch

__all__ = ["InMemBatchedDataLoader"]


class InMemBatchedDataLoader:
    """Batches of a reader's first rows, kept in memory.

    Args:
        reader: it is stopped when the rows are in memory.
        batch_size: rows of a batch.
        transform_fn: from a numpy array to a tensor; None is `torch.as_tensor`.
        num_epochs: passes over the rows; one iteration makes all of them.
        seed: of the order of an epoch: as in Petastorm, `torch.randperm` seeded with seed + epoch.
        rows_capacity: maximum number of rows in memory.
        shuffle: whether the rows are permuted by the seed; otherwise they keep the reader's order.

    Raises:
        TypeError: a reader of another library, or a field that is not a tensor.
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
        # A state fits only the same rows in the same order; this says which rows were read.
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

    def _batches(self, iteration: int) -> Iterator[Batch]:
        for epoch in range(self._epoch, self.num_epochs):
            order = self._order(epoch)
            for step in range(self._step, self._steps):
                if iteration != self._pass:
                    raise RuntimeError("the loader was moved or a newer iteration was started; make a second loader")
                self._epoch, self._step = (epoch, step + 1) if step + 1 < self._steps else (epoch + 1, 0)
                places = order[step * self.batch_size : (step + 1) * self.batch_size]
                yield {name: values[places] for name, values in self._columns.items()}
        self._epoch = self._step = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values."""
        kept = {"rows": self._rows, "batch_size": self.batch_size, "shuffle": self.shuffle, "seed": self.seed, "held": self._held}
        return {**kept, "epoch": self._epoch, "step": self._step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the next iteration from `state`.

        Raises:
            ResumeMismatch: a state of other rows, another batch size or another seed.
        """
        if not isinstance(state, Mapping):
            raise ResumeMismatch(f"a state must be a dict from state_dict(), got {type(state).__name__}")
        for name, expected in self.state_dict().items():
            value = state.get(name)
            if name not in ("epoch", "step") and (type(value) is not type(expected) or value != expected):
                raise ResumeMismatch(f"{name} differs: the state has {reprlib.repr(value)}, this loader {expected!r}")
        epoch, step = state.get("epoch"), state.get("step")
        # In Python, JSON's true is an int.
        if not (type(epoch) is int and type(step) is int and 0 <= epoch <= self.num_epochs and 0 <= step < max(1, self._steps)):
            place = f"epoch {reprlib.repr(epoch)}, step {reprlib.repr(step)}"
            raise ResumeMismatch(f"{place} is outside {self.num_epochs} epochs of {self._steps} steps")
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
                f"field {name!r} is not a tensor and cannot be kept; exclude it by schema_fields, or give a transform_fn"
            )
    return {name: torch.cat([part[name] for part in parts]) for name in (parts[0] if parts else {})}
