"""Passes over a source: its epochs in sequence, and the position."""

import reprlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from bigdata_ml.compat.petastorm.reading.mixed_source import MixedSource
from bigdata_ml.compat.petastorm.reading.source import Rows, Source
from bigdata_ml.errors import ResumeMismatch
from bigdata_ml.reader import EpochPlan
from bigdata_ml.reader.iteration import Iteration
from bigdata_ml.reader.options import Remainder

__all__ = ["Pass", "Passes"]

_Batch = TypeVar("_Batch")


class Passes:
    """`num_epochs` epochs of a source, in steps of `batch_size` rows of this rank, mixed over a window of `window` rows.

    A source without rows has no steps: it warns and ends immediately, as in Petastorm.
    """

    def __init__(self, source: Source | MixedSource, batch_size: int, *, window: int = 0, remainder: Remainder = "exact") -> None:
        self._source = source
        self._num_epochs = source.num_epochs
        self._cursor = source.cursor(batch_size, window=window, remainder=remainder)
        self._until = self._num_epochs

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return 0 if self._cursor is None else self._cursor.steps

    @property
    def rows(self) -> int:
        """Rows of this rank in an epoch, without repetitions."""
        if self._cursor is None:
            return 0
        plan = self._cursor.plan_of(self._cursor.epoch)
        if not isinstance(plan, EpochPlan):
            return plan.steps * plan.settings.global_batch_size // self._source.rank.world_size
        streams, bounds = self._source.rank.streams(plan.settings.streams), plan.layout.bounds
        return int(bounds[streams.stop] - bounds[streams.start])

    @property
    def epoch(self) -> int:
        """The current epoch, 0 …"""
        return 0 if self._cursor is None else self._cursor.epoch

    @property
    def step(self) -> int:
        """The next step of the current epoch."""
        return 0 if self._cursor is None else self._cursor.step

    def over(self, make: Callable[[Rows], _Batch], *, light: bool = False) -> "Pass[_Batch]":
        """Return `make` of each step's rows, from the position to the end of the last epoch."""
        cursor = self._cursor

        def is_over() -> bool:
            return cursor is None or (self._until is not None and cursor.epoch >= self._until)

        def next_epoch() -> Iteration[_Batch] | None:
            return None if cursor is None or is_over() else self._source.pass_over(cursor, make, light=light)

        return Pass(next_epoch, is_over)

    def restart(self) -> None:
        """Go to the start of the epoch that was left early, or else of the next one; `num_epochs` epochs follow."""
        if self._cursor is not None:
            self._cursor.go_to(self._cursor.epoch)
            self._until = None if self._num_epochs is None else self._cursor.epoch + self._num_epochs

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values."""
        if self._cursor is None:
            return {"epochs_left": 0}
        left = None if self._until is None else self._until - self._cursor.epoch
        return {**self._cursor.state_dict(), "epochs_left": left}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the position of `state`.

        Raises:
            ResumeMismatch: a state of another dataset, selection or order.
        """
        if self._cursor is None:
            raise ResumeMismatch(f"no row of {self._source.url} is selected, so there is no position to restore")
        left = state.get("epochs_left") if isinstance(state, Mapping) else None
        if not (left is None or (type(left) is int and 0 <= left < 1 << 32)):
            raise ResumeMismatch(f"epochs_left must be an integer of 0 or more, or null; the state has {reprlib.repr(left)}")
        self._cursor.load_state_dict(state)
        self._until = None if left is None else self._cursor.epoch + left


class Pass(Iterator[_Batch]):
    """The batches of all epochs; `close` stops reading and waits for the threads.

    This is not a generator, because deleting a generator would close the current epoch and wait.

    Args:
        next_epoch: returns the next epoch's iteration; None after the last.
        is_over: whether no epoch is left; called before the first batch, because the position may change until then.
    """

    def __init__(self, next_epoch: Callable[[], Iteration[_Batch] | None], is_over: Callable[[], bool]) -> None:
        self._next_epoch, self._is_over = next_epoch, is_over
        self._batches = next_epoch()
        self._started = False

    def __next__(self) -> _Batch:
        if not self._started and self._is_over():
            raise StopIteration
        self._started = True
        while self._batches is not None:
            for batch in self._batches:
                return batch
            self._batches = self._next_epoch()
        raise StopIteration

    def close(self) -> None:
        """Stop reading; no batch follows."""
        if self._batches is not None:
            self._batches.close()
        self._batches = None
