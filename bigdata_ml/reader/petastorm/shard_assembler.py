"""A rank's batches from row groups whose order is known only when they arrive."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.assemble.assembler import Assembler, Unreadable
from bigdata_ml.reader.assemble.open_batches import OpenBatches
from bigdata_ml.reader.assemble.step_batch import StepBatch
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.reader.petastorm.shards import ShardPlan

__all__ = ["Groups", "ShardAssembler"]


class Groups(Iterator[tuple[int, pa.Table | DatasetInvalid]], Protocol):
    """Row groups as they come: index in the dataset, and stored columns or why they cannot be read."""

    def stop(self) -> None:
        """Have what reads them end by itself, without waiting for it nor for any lock."""

    def close(self) -> None:
        """End what reads them."""


class ShardAssembler(Assembler):
    """Assembles a rank's rows in order of arrival; a short last batch is filled by repeating its rows.

    Args:
        plan: which rows of a row group are selected, and in which order.
        rank: whose.
        source: verifies tables against the dataset.
        open_groups: starts reading; called by the first `next`.
        on_unreadable: called for row groups that cannot be read, whose rows become zeros; None raises.
    """

    def __init__(
        self,
        plan: ShardPlan,
        rank: int,
        source: GroupSource,
        open_groups: Callable[[], Groups],
        *,
        on_unreadable: Unreadable | None = None,
    ) -> None:
        super().__init__(range(plan.steps))
        self._plan, self._source = plan, source
        self._open_groups, self._on_unreadable = open_groups, on_unreadable
        self._groups: Groups | None = None
        self._stop = Stop()
        self._size = plan.settings.stream_batch
        self._rows = int(plan.rank_rows[rank])
        # The last batch's own rows fill it, in a cycle, as in the native order.
        self._repeated = self._rows % self._size or min(self._size, self._rows)
        largest = int(plan.selection.counts[plan.shards[rank]].max())
        self.open = OpenBatches(source.schema, self._size, ahead=min(largest // self._size + 2, plan.steps))
        self._arrived = 0

    def stop(self) -> None:
        """Ask the reading to end, without waiting for it; a finaliser may call it."""
        self._stop.is_said = True
        if self._groups is not None:
            self._groups.stop()

    def close(self) -> None:
        """End the reading and wait for it."""
        if self._groups is not None:
            self._groups.close()

    def _assemble(self, step: int) -> StepBatch:
        if self._groups is None:
            self._groups = self._open_groups()
            if self._stop.is_said:
                # A finaliser asked to stop while the groups were being opened.
                self._groups.close()
            self._stop.check()
        begin = step * self._size
        while self._arrived < min(begin + self._size, self._rows):
            self._add(*next(self._groups))
        places = np.arange(begin, begin + self._size) - self._rows
        repeats = np.where(places < 0, 0, places // self._repeated + 1)
        return self.open.take(repeats)

    def _add(self, group: int, read: pa.Table | DatasetInvalid) -> None:
        columns = None
        try:
            if isinstance(read, DatasetInvalid):
                raise read
            columns = self._source.columns(group, read)
        except DatasetInvalid as error:
            if self._on_unreadable is None:
                raise
            self._on_unreadable(group, error)
        rows, copies = self._plan.group_rows(group)
        inside, positions = self._positions(len(rows))
        self._arrived += len(rows)
        if len(inside):
            numbers = None if copies is None else copies[inside]
            self.open.add(group, columns, rows[inside], positions // self._size, positions % self._size, copies=numbers)

    def _positions(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the places among the next `count` rows and in the epoch that belong together, repetitions included."""
        end = len(self.steps) * self._size
        inside = np.arange(count)
        positions = inside + self._arrived
        if end <= self._rows:
            kept = positions < end
            return inside[kept], positions[kept]
        filled = np.arange(self._rows, end)
        repeating = (filled - self._rows) % self._repeated + self._rows - self._repeated - self._arrived
        here = (repeating >= 0) & (repeating < count)
        return np.concatenate([inside, repeating[here]]), np.concatenate([positions, filled[here]])
