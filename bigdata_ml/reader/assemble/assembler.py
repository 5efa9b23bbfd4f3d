"""What all assemblers share: steps in order, and an error that is raised again by every later call."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.assemble.step_batch import StepBatch

__all__ = ["Assembler", "Unreadable"]

Unreadable = Callable[[int, DatasetInvalid], None]


class Assembler(ABC):
    """Returns the batches of `steps` one after the other."""

    def __init__(self, steps: range) -> None:
        self.steps = steps
        self._done = 0
        self._failure: BaseException | None = None

    def next(self) -> StepBatch:
        """Return the rows of the next step.

        Raises:
            IndexError: the epoch has no more steps.
            DatasetInvalid: a row group cannot be read, and no `on_unreadable` was given.
            ValueError: more text or bytes than a batch can hold.
            Every later call raises the first error again, because rows are missing then.
        """
        if self._failure is not None:
            raise self._failure
        try:
            batch = self._assemble(self.steps[self._done])
        except BaseException as error:
            self._failure = error
            raise
        self._done += 1
        return batch

    @abstractmethod
    def _assemble(self, step: int) -> StepBatch:
        """Return the rows of a step; called once a step, in order."""

    @abstractmethod
    def stop(self) -> None:
        """Ask the reading to end, without waiting for it; a finaliser may call it."""

    @abstractmethod
    def close(self) -> None:
        """End the reading and wait for it."""
