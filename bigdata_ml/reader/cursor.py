"""The position in the order: epoch and step, as a state of a few integers that any reader of the same plan can take up."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, Generic, TypeVar

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import ResumeMismatch
from bigdata_ml.reader.contents import Contents, DatasetContents
from bigdata_ml.reader.mixed_contents import MixtureContents
from bigdata_ml.reader.mixture import Mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.plan import ORDER, Plan
from bigdata_ml.reader.rank import Rank
from bigdata_ml.reader.skips import SkipCount
from bigdata_ml.reader.stream_reader import Share

__all__ = ["MEMORY_BUDGET", "STATE_VERSION", "Cursor", "Positioned", "Ready"]

STATE_VERSION = 2
MEMORY_BUDGET = 4 << 30
_Batch = TypeVar("_Batch")


@dataclass(frozen=True, slots=True)
class Ready(Generic[_Batch]):
    """A batch to hand out, and a text for each of its rows that was skipped."""

    batch: _Batch
    skipped: list[str]


class Cursor:
    """Epoch and step of a reader or loader.

    An iteration starts at step 0 of the current epoch, or, once, where `load_state_dict` put it; at its end the epoch
    moves on by one. Only the newest iteration moves the position. In a worker process of a torch DataLoader (see `work_as`) it is
    the position among that worker's own steps.

    Args:
        dataset: what is read; or a mixture of several.
        read: columns, predicate, order.
        rank: which part of each global batch is read.
        global_batch_size: rows of a step over all ranks.
        memory_budget: bytes of rows that this rank may hold.
        selection_cache: a local directory in which selections are kept.

    Raises:
        ValueError: no rows, fewer than one step, or more of them held than the budget allows.
        WorldSizeNotAllowed: the world size does not divide the global batch or the streams.
    """

    _contents_class: Callable[..., Contents] = DatasetContents

    def __init__(
        self,
        dataset: Dataset | Mixture,
        read: ReadOptions,
        rank: Rank,
        global_batch_size: int,
        *,
        memory_budget: int = MEMORY_BUDGET,
        selection_cache: str | os.PathLike[str] | None = None,
    ) -> None:
        self.read, self.rank = read, rank
        self.contents: Contents = (
            MixtureContents(dataset, read, rank, global_batch_size, cache=selection_cache)
            if isinstance(dataset, Mixture)
            else self._contents_class(dataset, read, rank, global_batch_size, cache=selection_cache)
        )
        self.settings = self.contents.settings
        self._plan: Plan | None = None
        self.epoch = 0
        self.step = 0
        if self.steps:
            self.contents.check_budget(rank, memory_budget)
        self._worker: tuple[int, int] | None = None
        self.skips = self._new_skips()
        self._restored = False
        self._ended = False
        self._iteration = 0

    @property
    def steps(self) -> int:
        """Steps of the current epoch, the same on every rank; those of another one differ where rows have weights.

        Raises:
            ValueError: none at all.
        """
        return self.plan_of(self.epoch).steps

    def plan_of(self, epoch: int) -> Plan:
        """Return the plan of an epoch (0 …); the one asked for last is kept."""
        if self._plan is None or self._plan.epoch != epoch:
            self._plan = self.contents.plan(epoch)
        return self._plan

    def __getstate__(self) -> dict[str, Any]:
        # What follows from the rest is worked out again in a worker process.
        return {**self.__dict__, "_plan": None}

    def set_epoch(self, epoch: int) -> None:
        """Go to the start of `epoch` (0 …); the epoch of a restored state keeps its step."""
        epoch = index(epoch)
        if epoch < 0:
            raise ValueError(f"epoch must be 0 or more, got {epoch}")
        if not (self._restored and epoch == self.epoch):
            self.go_to(epoch)

    def go_to(self, epoch: int) -> None:
        """Go to the start of `epoch` (0 …), that of a restored state too."""
        self.epoch, self.step, self._restored, self._ended = epoch, 0, False, False
        self._iteration += 1

    def work_as(self, worker: int, workers: int) -> None:
        """From now on make every `workers`th step of what is left, as worker `worker` of a torch DataLoader does."""
        if self._worker is None:
            self._worker = (worker, workers)
            self.step += worker

    @property
    def worker(self) -> tuple[int, int] | None:
        """Which worker this is and of how many, in a worker process of a torch DataLoader."""
        return self._worker

    @property
    def begins(self) -> bool:
        """Whether this is where a run begins, or goes on."""
        return self._restored or (self.epoch, self.step) == (0, 0)

    def begin(self) -> tuple[Plan, Share]:
        """Start an iteration: return the epoch's plan and what of it is to be read."""
        worker, workers = self._worker or (0, 1)
        if not self._restored:
            self.epoch, self.step = self.epoch + self._ended, worker
        self._restored = self._ended = False
        self._iteration += 1
        self.skips = self._new_skips()
        streams = self.rank.streams(self.settings.streams)
        return self.plan_of(self.epoch), Share(streams, self.step, workers)

    def follow(self, batches: Iterator[Ready[_Batch]]) -> Iterator[_Batch]:
        """Yield the batches of a begun iteration, moving the position before each is handed out.

        Raises:
            RuntimeError: the position was moved, or another iteration begun, meanwhile.
            DatasetInvalid: more rows were skipped than allowed.
        """
        mine = self._iteration
        for ready in batches:
            if mine != self._iteration:
                raise RuntimeError(
                    "the loader was moved, or a newer iteration of it was begun; make a second loader to read in parallel"
                )
            if ready.skipped:
                self.skips.add(ready.skipped)
            if self._worker is not None:
                self.step += self._worker[1]
            else:
                self.epoch, self.step = (self.epoch, self.step + 1) if self.step + 1 < self.steps else (self.epoch + 1, 0)
            yield ready.batch
        # A worker's last step is not the epoch's end: others may have steps left, and its state must not run ahead of theirs.
        self._ended = self._worker is not None and mine == self._iteration

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values: after batch k, the state that goes on with batch k + 1."""
        state = {"version": STATE_VERSION, **self._identity(), "epoch": self.epoch, "step": self.step}
        return state if self._worker is None else {**state, "worker": list(self._worker)}

    def state_at(self, epoch: int, step: int) -> dict[str, Any]:
        """Return the state whose next batch is `step` (0 … steps) of `epoch` (0 …); step = steps is the next epoch's start."""
        steps = self.plan_of(max(epoch, 0)).steps
        if epoch < 0 or not 0 <= step <= steps:
            raise ValueError(f"epoch must be 0 or more and step lie in [0, {steps}], got {epoch} and {step}")
        epoch, step = (epoch, step) if step < steps else (epoch + 1, 0)
        return {"version": STATE_VERSION, **self._identity(), "epoch": epoch, "step": step}

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
        steps = self.plan_of(epoch if isinstance(epoch, int) and epoch >= 0 else 0).steps
        last = steps - 1
        if "worker" in state:
            if self._worker is None or state["worker"] != list(self._worker):
                raise ResumeMismatch(
                    f"the state was taken in the worker process {state['worker']} (number, of how many) of a DataLoader, and "
                    "goes on only there; state_at(epoch, step) in the main process gives one that goes on with any number of them"
                )
            last += self._worker[1]
        if not (isinstance(epoch, int) and isinstance(step, int) and epoch >= 0 and 0 <= step <= last):
            raise ResumeMismatch(f"epoch {epoch!r}, step {step!r} is no position of a plan of {steps} steps")
        if self._worker is not None and "worker" not in state:
            step += self._worker[0]
        self.epoch, self.step, self._restored, self._ended = epoch, step, True, False
        self._iteration += 1

    def _new_skips(self) -> SkipCount:
        rows = self.plan_of(self.epoch).rows / self.rank.world_size / (self._worker[1] if self._worker else 1)
        return SkipCount(self.contents.url, rows=rows, share=self.read.max_skipped)

    def _identity(self) -> dict[str, Any]:
        return {
            "order": ORDER,
            **self.contents.identity,
            "shuffle": self.settings.shuffle,
            "seed": self.settings.seed,
            "global_batch_size": self.settings.global_batch_size,
            "remainder": self.settings.remainder,
            "streams": self.settings.streams,
            "window": self.settings.window,
        }

    def _way_out(self, name: str, state: Mapping[str, Any]) -> str:
        if name == "global_batch_size" and isinstance(state.get(name), int) and state[name] % self.rank.world_size == 0:
            return f"; batch_size={state[name] // self.rank.world_size} keeps it at this world size"
        if name in ("streams", "window") and isinstance(state.get(name), int):
            return f"; ReadOptions({name}={state[name]}) takes it up"
        return self.contents.difference(name, state) if name in self.contents.identity else ""


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
