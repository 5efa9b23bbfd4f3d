"""One iteration of a reader or loader: its batches, each handed out once the position is after it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from bigdata_ml.reader.order.plan import Plan
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.skips import SkipCount

__all__ = ["Iteration", "Ready"]

_Batch = TypeVar("_Batch")


@dataclass(frozen=True, slots=True)
class Ready(Generic[_Batch]):
    """A batch to hand out, and a text for each of its rows that was skipped."""

    batch: _Batch
    skipped: list[str]


class Position(Protocol):
    """What an iteration moves: see `Cursor`."""

    @property
    def skips(self) -> SkipCount:
        """Rows that the newest iteration passed over."""

    def enter(self) -> int:
        """Return the number of a new iteration."""

    def start(self, iteration: int) -> tuple[Plan, Share]:
        """Return what an iteration reads."""

    def check(self, iteration: int) -> None:
        """Raise RuntimeError where it may not go on."""

    def after(self, epoch: int, step: int, steps: int) -> tuple[int, int]:
        """Return the position after a step of an epoch of so many."""

    def move(self, iteration: int, epoch: int, step: int) -> None:
        """Move the position."""

    def end(self, iteration: int) -> None:
        """Say that it is at its end."""


class Iteration(Iterator[_Batch]):
    """The batches from the position on to the end of the epoch; `close` ends the reading and waits for its threads.

    The position is read with the first batch: what moved it before that counts.

    Raises:
        RuntimeError: the position was moved, or a newer iteration made, after the first batch.
        DatasetInvalid: more rows were skipped than allowed.
    """

    def __init__(self, position: Position, read: Callable[[Plan, Share], Iterator[Ready[_Batch]]]) -> None:
        self._position, self._read = position, read
        self._number = position.enter()
        self._batches: Iterator[Ready[_Batch]] | None = None
        self._is_over = False

    def __next__(self) -> _Batch:
        if self._is_over:
            raise StopIteration
        try:
            self._position.check(self._number)
        except RuntimeError:
            # It may be asked again, and says the same.
            self._end()
            raise
        try:
            return self._next()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it; nothing comes any more."""
        self._is_over = True
        self._end()

    def _next(self) -> _Batch:
        if self._batches is None:
            plan, share = self._position.start(self._number)
            self._epoch, self._step, self._steps = plan.epoch, share.first, plan.steps
            self._skips = self._position.skips
            self._batches = self._read(plan, share)
        try:
            ready = next(self._batches)
        except StopIteration:
            self._position.end(self._number)
            raise
        if ready.skipped:
            self._skips.add(ready.skipped)
        self._epoch, self._step = self._position.after(self._epoch, self._step, self._steps)
        self._position.move(self._number, self._epoch, self._step)
        return ready.batch

    def _end(self) -> None:
        batches, self._batches = self._batches, iter(())
        close = getattr(batches, "close", None)
        if close is not None:
            close()
