"""The position of a reader whose engine is `petastorm`: an epoch, since Petastorm keeps no position within it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import ResumeMismatch
from bigdata_ml.reader.contents import DatasetContents
from bigdata_ml.reader.cursor import MEMORY_BUDGET, STATE_VERSION, Cursor
from bigdata_ml.reader.mixture import Mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.petastorm.shards import ShardPlan, check_shards
from bigdata_ml.reader.rank import Rank

__all__ = ["PetastormCursor", "ShardContents"]

# Petastorm reads so many row groups ahead for each of its threads.
GROUPS_A_THREAD = 4
_ORDER = "petastorm-1"
_WAY_OUT = "engine='petastorm' resumes at epoch starts only; engine='arrow' resumes after any batch"


class ShardContents(DatasetContents):
    """The rows of one dataset, dealt to the ranks by whole row groups.

    Args:
        dataset, read, rank, global_batch_size, cache: as for `DatasetContents`.
        threads: that Petastorm reads with.
    """

    def __init__(
        self,
        dataset: Dataset,
        read: ReadOptions,
        rank: Rank,
        global_batch_size: int,
        *,
        threads: int,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        # Before rows are selected, which may take long.
        check_shards(read, global_batch_size=global_batch_size, rank=rank)
        by_rank = replace(read, streams=rank.world_size, window=0)
        super().__init__(dataset, by_rank, rank, global_batch_size, cache=cache)
        self.threads = threads

    def plan(self, epoch: int) -> ShardPlan:
        """Return the order of an epoch."""
        return ShardPlan(self.part.selection.of_epoch(self.settings.seed, epoch), self.settings, epoch)

    def check_budget(self, _: Rank, budget: int) -> None:
        """Refuse row groups of which more than `budget` bytes would be in memory: read ahead, and in the open batches."""
        rows, groups = self.part.sizes, GROUPS_A_THREAD * max(1, self.threads) + 1
        largest = int(rows[self.part.selection.most > 0].max(initial=0))
        needed = min(groups * largest, int(rows.sum())) * self.part.row_bytes
        if needed > budget:
            raise ValueError(
                f"{self.url}: Petastorm with {self.threads} threads would hold {groups} row groups of up to {largest} rows, "
                f"{needed / 2**20:.0f} MiB, more than memory_budget={budget} ({budget / 2**20:.0f} MiB); take fewer num_workers, "
                f"smaller row groups, or memory_budget={needed}"
            )


class PetastormCursor(Cursor):
    """Epochs of whole row groups, in the order in which Petastorm reads them.

    Args:
        dataset, read, rank, global_batch_size, memory_budget, selection_cache: as for `Cursor`.
        threads: that Petastorm reads with; 0 reads in the caller's.

    Raises:
        ValueError: no rows, fewer than one step, streams or a window, or more rows held than the budget allows.
        WorldSizeNotAllowed: the world size does not divide the global batch, or there are fewer row groups than ranks.
    """

    def __init__(
        self,
        dataset: Dataset | Mixture,
        read: ReadOptions,
        rank: Rank,
        global_batch_size: int,
        *,
        threads: int = 0,
        memory_budget: int = MEMORY_BUDGET,
        selection_cache: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(
            *(dataset, read, rank, global_batch_size),
            memory_budget=memory_budget,
            selection_cache=selection_cache,
            contents=partial(ShardContents, threads=threads),
        )

    def work_as(self, worker: int, workers: int) -> None:
        """Be the only worker process of a torch DataLoader.

        Raises:
            ValueError: there are others.
        """
        if workers > 1:
            raise ValueError(
                f"engine='petastorm' cannot share an epoch among {workers} worker processes of a DataLoader; take its "
                "num_workers=0 with make_loader(num_workers=…), whose threads read and decode, or engine='arrow'"
            )
        super().work_as(worker, workers)

    def state_dict(self) -> dict[str, Any]:
        """Return the position as JSON values, before the first and after the last batch of an epoch.

        Raises:
            ResumeMismatch: in between.
        """
        if self.step:
            raise ResumeMismatch(f"no state can be taken after step {self.step} of epoch {self.epoch}: {_WAY_OUT}")
        return super().state_dict()

    def state_at(self, epoch: int, step: int) -> dict[str, Any]:
        """Return the state that begins `epoch` (step 0), or the one after it (step = steps); raises as `state_dict`."""
        state = super().state_at(epoch, step)
        if state["step"]:
            raise ResumeMismatch(f"there is no state of step {step} of epoch {epoch}: {_WAY_OUT}")
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to the epoch that `state` begins.

        Raises:
            ResumeMismatch: a state within an epoch, of the other engine, or of another version, dataset, selection or plan.
        """
        step = state.get("step") if isinstance(state, Mapping) and state.get("order") == _ORDER else None
        if type(step) is int and step > 0 and state.get("version") == STATE_VERSION:
            raise ResumeMismatch(f"the state is of step {step} of epoch {state.get('epoch')}: {_WAY_OUT}")
        super().load_state_dict(state)

    def _identity(self) -> dict[str, Any]:
        # An epoch's start is the same place at any world size, and that is what the streams are here.
        identity = super()._identity()
        return {**{name: value for name, value in identity.items() if name not in ("streams", "window")}, "order": _ORDER}

    def _way_out(self, name: str, state: Mapping[str, Any]) -> str:
        if name == "order":
            return "; a state goes on with the engine it was taken with"
        return super()._way_out(name, state)
