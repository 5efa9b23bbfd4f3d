"""The position in the order: epoch and step, as a state of a few integers that any reader of the same plan can take up."""

from collections.abc import Iterator, Mapping
from typing import Any

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import ResumeMismatch
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.plan import ORDER, EpochPlan, Rank, steps_of
from bigdata_ml.reader.selection import select

__all__ = ["STATE_VERSION", "Cursor", "Positioned"]

STATE_VERSION = 1


class Cursor:
    """Epoch and step of a reader or loader.

    An iteration starts at step 0 of the current epoch, or, once, where `load_state_dict` put it; at its end the epoch
    moves on by one. Only the newest iteration moves the position.

    Raises:
        ValueError: no rows, or fewer than one step.
        WorldSizeNotAllowed: the world size does not divide the global batch.
    """

    def __init__(self, dataset: Dataset, read: ReadOptions, rank: Rank, global_batch_size: int) -> None:
        self.dataset, self.read, self.rank = dataset, read, rank
        self.global_batch_size = global_batch_size
        self.selection = select(dataset, read.predicate)
        self.steps = steps_of(int(self.selection.counts.sum()), global_batch_size, read)
        self.share = rank.share(global_batch_size)
        self.epoch = 0
        self.step = 0
        self._restored = False
        self._iteration = 0

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of `epoch` (0 …); the epoch of a restored state keeps its step."""
        if epoch < 0:
            raise ValueError(f"epoch must be 0 or more, got {epoch}")
        if not (self._restored and epoch == self.epoch):
            self.epoch, self.step, self._restored = epoch, 0, False
            self._iteration += 1

    def begin(self) -> tuple[EpochPlan, int]:
        """Start an iteration: return the epoch's plan and the first step."""
        if not self._restored:
            self.step = 0
        self._restored = False
        self._iteration += 1
        return EpochPlan(self.selection, self.read, self.global_batch_size, self.epoch), self.step

    def follow(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield the batches of a begun iteration, moving the position before each is handed out.

        Raises:
            RuntimeError: the position was moved, or another iteration begun, meanwhile.
        """
        mine = self._iteration
        for batch in batches:
            if mine != self._iteration:
                raise RuntimeError(
                    "the loader was moved, or a newer iteration of it was begun; make a second loader to read in parallel"
                )
            self.step += 1
            if self.step == self.steps:
                self.epoch, self.step = self.epoch + 1, 0
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values: after batch k, the state that goes on with batch k + 1."""
        return {"version": STATE_VERSION, **self._identity(), "epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the position of `state`.

        Raises:
            ResumeMismatch: a state of another version, dataset, selection or plan; the text names what differs.
        """
        if state.get("version") != STATE_VERSION:
            raise ResumeMismatch(f"the state is of version {state.get('version')}, this library reads {STATE_VERSION}")
        for name, mine in self._identity().items():
            if state.get(name) != mine:
                raise ResumeMismatch(
                    f"{name} differs: the state has {state.get(name)!r}, this reader {mine!r}{self._way_out(name, state)}"
                )
        epoch, step = state.get("epoch"), state.get("step")
        if not (isinstance(epoch, int) and isinstance(step, int) and epoch >= 0 and 0 <= step < self.steps):
            raise ResumeMismatch(f"epoch {epoch!r}, step {step!r} is no position of a plan of {self.steps} steps")
        self.epoch, self.step, self._restored = epoch, step, True
        self._iteration += 1

    def _identity(self) -> dict[str, Any]:
        return {
            "order": ORDER,
            "fingerprint": self.dataset.fingerprint,
            "selection": self.selection.digest,
            "shuffle": self.read.shuffle,
            "seed": self.read.seed,
            "global_batch_size": self.global_batch_size,
            "remainder": self.read.remainder,
        }

    def _way_out(self, name: str, state: Mapping[str, Any]) -> str:
        if name == "global_batch_size" and isinstance(state.get(name), int) and state[name] % self.rank.world_size == 0:
            return f"; batch_size={state[name] // self.rank.world_size} keeps it at this world size"
        if name == "fingerprint":
            return "; the dataset was published anew or is another one: start the run again"
        return ""


class Positioned:
    """What has a cursor shows of it: its length in steps, its epoch, its state."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def __len__(self) -> int:
        return self._cursor.steps

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

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the position of `state`.

        Raises:
            ResumeMismatch: a state of another version, dataset, selection or plan, naming what differs.
        """
        self._cursor.load_state_dict(state)
