"""The position in the order: epoch and step, as a state of a few integers that any reader of the same plan can take up."""

import os
import reprlib
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from operator import index
from typing import Any, TypeVar

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import ResumeMismatch
from bigdata_ml.reader.contents import Contents, DatasetContents
from bigdata_ml.reader.iteration import Iteration, Ready
from bigdata_ml.reader.mixed_contents import MixtureContents
from bigdata_ml.reader.mixture import Mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.plan import ORDER, Plan
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.rank import Rank
from bigdata_ml.reader.skips import SkipCount

__all__ = ["MEMORY_BUDGET", "STATE_VERSION", "Cursor"]

STATE_VERSION = 2
MEMORY_BUDGET = 4 << 30
# More epochs than any run has; a state that says more is no state of ours.
_EPOCHS = 1 << 32
_Batch = TypeVar("_Batch")


class _Phase(Enum):
    """Where the newest iterations are; ENDED only in a worker process."""

    MOVED = auto()
    RESTORED = auto()
    STARTED = auto()
    ENDED = auto()


class Cursor:
    """Epoch and step of a reader or loader.

    An iteration starts at step 0 of the current epoch, or, once, where `load_state_dict` put it; at its end the epoch
    moves on by one. It starts with its first batch, so what moves the position before that moves it, too. Once it has started,
    an iteration ends with an error where the position is moved or a newer one is made. Those that are made before one of them
    has started begin together, and the position is after the batch that was handed out last. In a worker process of a torch
    DataLoader (see `work_as`) it is the position among that worker's own steps.

    Args:
        dataset: what is read; or a mixture of several.
        read: columns, predicate, order.
        rank: which part of each global batch is read.
        global_batch_size: rows of a step over all ranks.
        memory_budget: bytes of rows that this rank may hold.
        selection_cache: a local directory in which selections are kept.
        contents: makes the contents of a single dataset.

    Raises:
        ValueError: no rows, fewer than one step, or more of them held than the budget allows.
        WorldSizeNotAllowed: the world size does not divide the global batch or the streams.
    """

    def __init__(
        self,
        dataset: Dataset | Mixture,
        read: ReadOptions,
        rank: Rank,
        global_batch_size: int,
        *,
        memory_budget: int = MEMORY_BUDGET,
        selection_cache: str | os.PathLike[str] | None = None,
        contents: Callable[..., Contents] = DatasetContents,
    ) -> None:
        self.read, self.rank = read, rank
        self.contents: Contents = (
            MixtureContents(dataset, read, rank, global_batch_size, cache=selection_cache)
            if isinstance(dataset, Mixture)
            else contents(dataset, read, rank, global_batch_size, cache=selection_cache)
        )
        self.settings = self.contents.settings
        self._plan: Plan | None = None
        self.epoch = 0
        self.step = 0
        if self.steps:
            self.contents.check_budget(rank, memory_budget)
        self._worker: tuple[int, int] | None = None
        # How often the caller moved the position; in a worker process, until it was copied there; and its iterations there.
        self.moves = self.moves_given = self._worker_iterations = 0
        self.skips = self._new_skips()
        self._phase = _Phase.MOVED
        # Number of the iterations that belong together, and the position at which they start or started.
        self._iteration = 0
        self._start = (0, 0)

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
        epoch = _checked_epoch(epoch)
        if not (self._phase is _Phase.RESTORED and epoch == self.epoch):
            self.go_to(epoch)

    def go_to(self, epoch: int) -> None:
        """Go to the start of `epoch` (0 …), that of a restored state too."""
        self.moves += 1
        self._go(epoch, self._first, _Phase.MOVED)

    def work_as(self, worker: int, workers: int) -> None:
        """From now on make every `workers`th step of what is left, as worker `worker` of a torch DataLoader does."""
        if self._worker is None:
            self._worker, self.moves_given = (worker, workers), self.moves
            self.step += worker

    @property
    def worker(self) -> tuple[int, int] | None:
        """Which worker this is and of how many, in a worker process of a torch DataLoader."""
        return self._worker

    @property
    def is_kept(self) -> bool:
        """Whether this is in a worker process that began a second iteration."""
        return self._worker_iterations > 1

    @property
    def begins(self) -> bool:
        """Whether this is where a run begins, or goes on."""
        return self._phase is _Phase.RESTORED or (self.epoch, self.step) == (0, 0)

    def begin(self) -> tuple[Plan, Share]:
        """Start an iteration: return the epoch's plan and what of it is to be read."""
        return self.start(self.enter())

    def follow(self, read: Callable[[Plan, Share], Iterator[Ready[_Batch]]]) -> Iteration[_Batch]:
        """Return the batches of an iteration, of which `read` makes what is left of the epoch once it starts."""
        return Iteration(self, read)

    def enter(self) -> int:
        """Make an iteration that is yet to start, and return the number by which it does."""
        if self._has_started:
            self._go(self.epoch + (self._phase is _Phase.ENDED), self._first, _Phase.MOVED)
        return self._iteration

    def start(self, iteration: int) -> tuple[Plan, Share]:
        """Start an iteration where the position is, or where those that belong to it did; raises as `check`."""
        self.check(iteration)
        if not self._has_started:
            self._start = (self.epoch, self.step)
            self._phase = _Phase.STARTED
            self._worker_iterations += self._worker is not None
        epoch, step = self.epoch, self.step = self._start
        self.skips = self._new_skips()
        return self.plan_of(epoch), Share(self.rank.streams(self.settings.streams), step, self._stride)

    def check(self, iteration: int) -> None:
        """Raise RuntimeError where the position was moved, or a newer iteration made, since this one started."""
        if iteration != self._iteration:
            raise RuntimeError(
                "the loader was moved, or a newer iteration of it was begun; make a second loader to read in parallel"
            )

    def move(self, iteration: int, epoch: int, step: int) -> None:
        """Move the position to where an iteration's next batch is; raises as `check`."""
        self.check(iteration)
        self.epoch, self.step = epoch, step

    def after(self, epoch: int, step: int, steps: int) -> tuple[int, int]:
        """Return the position after a step of an epoch of so many."""
        if self._worker is not None:
            return epoch, step + self._worker[1]
        return (epoch, step + 1) if step + 1 < steps else (epoch + 1, 0)

    def end(self, iteration: int) -> None:
        """End an iteration."""
        # A worker's last step is not the epoch's end: others may have steps left, and its state must not run ahead of theirs.
        if self._worker is not None and iteration == self._iteration:
            self._phase = _Phase.ENDED

    @property
    def _stride(self) -> int:
        """Every which step of the plan is made: 1, or in a worker process the number of them."""
        return self._worker[1] if self._worker else 1

    @property
    def _first(self) -> int:
        """The step with which an epoch begins."""
        return self._worker[0] if self._worker else 0

    @property
    def _has_started(self) -> bool:
        return self._phase in (_Phase.STARTED, _Phase.ENDED)

    def _go(self, epoch: int, step: int, phase: _Phase) -> None:
        self._iteration += self._has_started
        self.epoch, self.step, self._phase = epoch, step, phase

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values: after batch k, the state that goes on with batch k + 1."""
        state = {"version": STATE_VERSION, **self._identity(), "epoch": self.epoch, "step": self.step}
        return state if self._worker is None else {**state, "worker": list(self._worker)}

    def state_at(self, epoch: int, step: int) -> dict[str, Any]:
        """Return the state whose next batch is `step` (0 … steps) of `epoch` (0 …); step = steps is the next epoch's start."""
        epoch, step = _checked_epoch(epoch), index(step)
        steps = self.plan_of(epoch).steps
        if not 0 <= step <= steps:
            raise ValueError(f"epoch must be 0 or more and step lie in [0, {steps}], got {epoch} and {step}")
        epoch, step = (epoch, step) if step < steps else (epoch + 1, 0)
        return {"version": STATE_VERSION, **self._identity(), "epoch": epoch, "step": step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the position of `state`.

        Raises:
            ResumeMismatch: a state of another version, dataset, selection or plan; the text names what differs.
        """
        if not isinstance(state, Mapping):
            raise ResumeMismatch(f"a state is a dict as state_dict() gives it, got {type(state).__name__}")
        if not _is_same(state.get("version"), STATE_VERSION):
            raise ResumeMismatch(f"the state is of version {_short(state.get('version'))}, this library reads {STATE_VERSION}")
        for name, expected in self._identity().items():
            if not _is_same(state.get(name), expected):
                stated = _short(state[name]) if name in state else "none"
                raise ResumeMismatch(
                    f"{name} differs: the state has {stated}, this reader {expected!r}{self._way_out(name, state)}"
                )
        epoch, step = state.get("epoch"), state.get("step")
        # JSON's true is a whole number to Python.
        if not (type(epoch) is int and type(step) is int and 0 <= epoch < _EPOCHS):
            raise ResumeMismatch(f"epoch {_short(epoch)}, step {_short(step)} is no position of a plan of {self.steps} steps")
        steps = self.plan_of(epoch).steps
        last = steps - 1
        if "worker" in state:
            if self._worker is None or not _is_same(state["worker"], list(self._worker)):
                raise ResumeMismatch(
                    f"the state was taken in the worker process {_short(state['worker'])} (number, of how many) of a DataLoader, "
                    "and goes on only there; state_at(epoch, step) in the main process gives one for any number of them"
                )
            last += self._worker[1]
        if not 0 <= step <= last:
            raise ResumeMismatch(f"epoch {epoch}, step {_short(step)} is no position of a plan of {steps} steps")
        self.moves += 1
        self._go(epoch, step if "worker" in state else step + self._first, _Phase.RESTORED)

    def _new_skips(self) -> SkipCount:
        rows = self.plan_of(self.epoch).rows / self.rank.world_size / self._stride
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


def _checked_epoch(epoch: int) -> int:
    """Return it as Python's whole number; numpy's are welcome, and become Python's: a state is JSON."""
    if isinstance(epoch, bool) or not 0 <= index(epoch) < _EPOCHS:
        raise ValueError(f"epoch must be 0 or more and below 2^32, got {_short(epoch)}")
    return index(epoch)


def _is_same(stated: Any, expected: Any) -> bool:
    """Whether a state's value is this one, of the same type: true is no 1, and 2.0 no 2."""
    if isinstance(expected, list):
        same_length = isinstance(stated, list) and len(stated) == len(expected)
        return same_length and all(_is_same(left, right) for left, right in zip(stated, expected, strict=True))
    return type(stated) is type(expected) and bool(stated == expected)


def _short(value: Any) -> str:
    return reprlib.repr(value)
