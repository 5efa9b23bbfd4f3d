"""A rank's batches from row groups that come one after the other in an order that is only known when they are there."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import pyarrow as pa

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.assemble.gather import Gathered, Unreadable
from bigdata_ml.reader.assemble.open_batches import OpenBatches
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.reader.order.plan import StepRows
from bigdata_ml.reader.petastorm.shards import ShardPlan

__all__ = ["Groups", "ShardGatherer"]


class Groups(Iterator[tuple[int, pa.Table | DatasetInvalid]], Protocol):
    """Row groups as they come: index in the dataset, and stored columns or why they cannot be read."""

    def stop(self) -> None:
        """Have what reads them end by itself, without waiting for it nor for any lock."""

    def close(self) -> None:
        """End what reads them."""


class ShardGatherer:
    """Makes full batches of a rank's rows in the order of their coming; short last ones are filled by repeating the last rows.

    Args:
        plan: which rows of a row group are selected, and in which order.
        rank: whose.
        source: holds tables against the dataset.
        open_groups: begins to read; called by the first `next`.
        on_unreadable: told of row groups that cannot be read, whose rows are then zeros; None raises.
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
        self._plan, self._source = plan, source
        self._open_groups, self._on_unreadable = open_groups, on_unreadable
        self._groups: Groups | None = None
        self._stop = Stop()
        self.steps = range(plan.steps)
        self._size = plan.settings.stream_batch
        self._rows = int(plan.rank_rows[rank])
        # What fills up is the last batch's own rows, in a cycle, as in the native order.
        self._repeated = self._rows % self._size or min(self._size, self._rows)
        largest = int(plan.selection.counts[plan.shards[rank]].max())
        self.open = OpenBatches(source.schema, self._size, ahead=min(largest // self._size + 2, plan.steps))
        self._arrived = self._done = 0
        self._failure: BaseException | None = None

    def next(self) -> Gathered:
        """Return the rows of the next step; raises as `Gatherer.next`."""
        if self._failure is not None:
            raise self._failure
        try:
            return self._gather(self.steps[self._done])
        except BaseException as error:
            self._failure = error
            raise

    def stop(self) -> None:
        """Have the reading end by itself, without waiting for it; a finaliser may call it."""
        self._stop.is_said = True
        if self._groups is not None:
            self._groups.stop()

    def close(self) -> None:
        """End the reading."""
        if self._groups is not None:
            self._groups.close()

    def _gather(self, step: int) -> Gathered:
        if self._groups is None:
            self._groups = self._open_groups()
            if self._stop.is_said:
                # By a finaliser, which did not see what was being opened.
                self._groups.close()
            self._stop.check()
        begin = step * self._size
        while self._arrived < min(begin + self._size, self._rows):
            self._add(*next(self._groups))
        full = self.open.take()
        self._done += 1
        places = np.arange(begin, begin + self._size) - self._rows
        repeats = np.where(places < 0, 0, places // self._repeated + 1)
        return Gathered(StepRows(full.groups, full.rows, full.copies, repeats), full.skipped, full.columns)

    def _add(self, group: int, found: pa.Table | DatasetInvalid) -> None:
        columns = None
        try:
            if isinstance(found, DatasetInvalid):
                raise found
            columns = self._source.columns(group, found)
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
        mine = (repeating >= 0) & (repeating < count)
        return np.concatenate([inside, repeating[mine]]), np.concatenate([positions, filled[mine]])
