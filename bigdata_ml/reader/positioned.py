"""What a reader or loader shows of its position."""

from collections.abc import Mapping
from typing import Any

from bigdata_ml.reader.cursor import Cursor

__all__ = ["Positioned"]


class Positioned:
    """What has a cursor shows of it: its length in steps, its epoch, its state."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def __len__(self) -> int:
        return self._cursor.steps

    @property
    def skipped(self) -> int:
        """Rows of the newest iteration that `on_error="skip"` passed over so far."""
        return self._cursor.skips.rows

    @property
    def epoch(self) -> int:
        """The current epoch, 0 …"""
        return self._cursor.epoch

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of `epoch`; the epoch of a restored state keeps its step.

        Raises:
            ValueError: a negative epoch.
        """
        self._cursor.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values: after batch k, the state that goes on with batch k + 1."""
        return self._cursor.state_dict()

    def state_at(self, epoch: int, step: int) -> dict[str, Any]:
        """Return the state whose next batch is `step` of `epoch`, for loops that count for themselves.

        Around a torch DataLoader with worker processes such a loop is needed: they move on, and this loader does not.

        Raises:
            ValueError: a step that the plan does not have.
        """
        return self._cursor.state_at(epoch, step)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the position of `state`.

        Raises:
            ResumeMismatch: a state of another version, dataset, selection or plan, naming what differs.
        """
        self._cursor.load_state_dict(state)
