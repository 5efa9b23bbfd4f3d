"""What an order needs to know of the selected rows."""

from typing import Protocol

import numpy as np

__all__ = ["EpochRows", "Selected"]


class EpochRows(Protocol):
    """The selected rows of one epoch, counted and listed row group by row group."""

    @property
    def counts(self) -> np.ndarray:
        """Selected rows of each row group, copies counted, int64 [groups]."""

    @property
    def total(self) -> int:
        """Number of selected rows, copies counted."""

    def entries(self, group: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a group's selected rows.

        Returns:
            Their places in it, int32 [counts[group]], ascending, and the number of each one's copy (0 …), int32 of the same
            shape; None where each row is there once.
        """


class Selected(Protocol):
    """The selected rows of all epochs."""

    @property
    def digest(self) -> str:
        """Of the outcome; equal only for the same rows, as often."""

    @property
    def usual(self) -> int:
        """Number of selected rows of an epoch on average, rounded up."""

    @property
    def most(self) -> np.ndarray:
        """Selected rows of each row group in an epoch at most, int64 [groups]."""

    def of_epoch(self, seed: int, epoch: int, /) -> EpochRows:
        """Return what is selected in one epoch."""
