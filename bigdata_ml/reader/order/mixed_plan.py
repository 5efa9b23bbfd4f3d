"""The order of a mixture: every dataset's own streams, dealt out by quota."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from bigdata_ml.reader.order.hashing import key_of
from bigdata_ml.reader.order.pattern import Pace, Pattern, Stop
from bigdata_ml.reader.order.plan import Course, EpochPlan, StepRows
from bigdata_ml.reader.order.selected_rows import Selected
from bigdata_ml.reader.order.settings import OrderSettings

__all__ = ["MixedPart", "MixedPlan"]

_PASSES = 6


@dataclass(frozen=True, slots=True)
class MixedPart:
    """A dataset's part in a mixture.

    Attributes:
        name: for messages.
        selection: the rows that are read of it.
        settings: of its own streams: as many, its share of the window.
        offset: added to the indices of its row groups.
    """

    name: str
    selection: Selected
    settings: OrderSettings
    offset: int

    def plan(self, seed: int, epoch: int, member: int, number: int) -> EpochPlan:
        """Return the order of one of its passes of an epoch, unlike that of any other pass, member and epoch."""
        key = key_of(epoch, member, number, _PASSES)
        return EpochPlan(self.selection.of_epoch(seed, key), self.settings, key)


@dataclass(frozen=True)
class MixedPlan:
    """The order of one epoch of a mixture: the row of each rank of a stream belongs to the dataset that the pattern says.

    Every stream begins at another place of the pattern. Were it the same, a global batch of one row a stream would have rows of
    one dataset alone.

    Attributes:
        parts: the datasets.
        pattern: which of them gives which rank's row.
        settings: of the whole.
        epoch: whose order, 0 …
        stop: `first` or `all`.
    """

    parts: tuple[MixedPart, ...]
    pattern: Pattern
    settings: OrderSettings
    epoch: int
    stop: Stop

    @cached_property
    def steps(self) -> int:
        """Number of steps, the same on every rank.

        Raises:
            ValueError: none at all, or a dataset with fewer rows than there are streams.
        """
        streams, size = self.settings.streams, self.settings.stream_batch
        counts = [self.pass_plan(member, 0).selection.total for member in range(len(self.parts))]
        for part, count in zip(self.parts, counts, strict=True):
            if count < streams:
                raise ValueError(
                    f"{part.name}: {count} selected rows are fewer than the {streams} streams that a mixture deals them to; "
                    "take fewer streams, or leave the dataset out"
                )
        ends = [min(self._ends(member)) if self.stop == "first" else max(self._ends(member)) for member in range(len(self.parts))]
        if self.stop == "all":
            return -(-max(ends) // size)
        steps = min(ends) // size
        if steps == 0:
            member = ends.index(min(ends))
            part, count = self.parts[member], counts[member]
            raise ValueError(
                f"a mixture with stop='first' makes no step of {self.settings.global_batch_size} rows; {part.name} has {count} "
                "selected rows: take a smaller batch, fewer streams or stop='all'"
            )
        return steps

    @property
    def rows(self) -> int:
        """Rows of the epoch, other passes counted."""
        return self.steps * self.settings.global_batch_size

    @property
    def usual_reach(self) -> int:
        """Ranks of a stream over which the rows of a row group leave."""
        return max(
            self.pass_plan(member, 0).usual_reach * self.pattern.period // len(places)
            for member, places in enumerate(self.pattern.places)
        )

    def taken(self, member: int) -> int:
        """Return how many rows of the epoch are a member's, those of further passes counted."""
        return sum(self.quota(member, index, self.steps) for index in range(self.settings.streams))

    def quota(self, member: int, index: int, steps: int) -> int:
        """Return how many rows the first `steps` steps have of a member's part of a stream."""
        shift = self._shift(index)
        end = steps * self.settings.stream_batch + shift
        return self.pattern.taken(member, end) - self.pattern.taken(member, shift)

    def pass_plan(self, member: int, number: int) -> EpochPlan:
        """Return the order of pass `number` (0 …) over a member's rows."""
        return self._plans(member, number)

    def courses(self, index: int, step: int) -> list[Iterator[Course]]:
        """Return, member by member, the passes over its part of a stream that have rows to come at `step`."""
        return [self._passes(member, index, step) for member in range(len(self.parts))]

    def repeats(self, index: int) -> np.ndarray:  # noqa: ARG002
        """Return nothing: every step is full."""
        return np.zeros(0, np.int64)

    def step_rows(self, step: int, streams: range) -> StepRows:
        """Return the rows that `streams` give to global batch `step`, stream by stream; groups are counted over all datasets."""
        entries = [self._row(rank, index) for index in streams for rank in self._ranks(step)]
        groups, rows, copies = (np.array(part, np.int64) for part in zip(*entries, strict=True))
        return StepRows(groups, rows, copies, np.zeros(len(entries), np.int64))

    def _shift(self, index: int) -> int:
        """Return the rank of the pattern that a stream begins at: all over it, so that a global batch has each member's share."""
        return index * self.pattern.period // self.settings.streams

    def _ends(self, member: int) -> list[int]:
        """Return, stream by stream, the rank at which a member lacks a row, or before which its last one has left."""
        ends, last = [], int(self.stop == "all")
        for index in range(self.settings.streams):
            shift, rows = self._shift(index), self._length(member, index)
            ends.append(self.pattern.rank(member, self.pattern.taken(member, shift) + rows - last) - shift + last)
        return ends

    def _ranks(self, step: int) -> range:
        return range(step * self.settings.stream_batch, (step + 1) * self.settings.stream_batch)

    def _row(self, rank: int, index: int) -> tuple[int, int, int]:
        """Return the group, the place in it and the copy of the row that leaves at a rank of a stream."""
        shift = self._shift(index)
        (member,) = (
            number_of_member
            for number_of_member, places in enumerate(self.pattern.places)
            if (rank + shift) % self.pattern.period in places
        )
        taken = self.pattern.taken(member, rank + shift) - self.pattern.taken(member, shift)
        number, own = divmod(taken, self._length(member, index))
        plan = self.pass_plan(member, number)
        (position,) = plan.stream(index).leaving(own, own + 1)
        (place,) = plan.layout.places(np.array([position])).tolist()
        group = int(plan.layout.groups[place])
        rows, copies = plan.group_rows(group)
        inside = int(position - plan.layout.starts[place])
        return self.parts[member].offset + group, int(rows[inside]), number if copies is None else int(copies[inside])

    def _length(self, member: int, index: int) -> int:
        """Return how many rows a stream has of a member's pass: in each as many; where weights draw them there is one pass."""
        rows, longer = divmod(self.pass_plan(member, 0).selection.total, self.settings.streams)
        return rows + (index < longer)

    def _passes(self, member: int, index: int, step: int) -> Iterator[Course]:
        size, length, shift = self.settings.stream_batch, self._length(member, index), self._shift(index)
        number = self.quota(member, index, step) // length
        while True:
            before = self.pattern.taken(member, shift) + number * length
            pace = Pace(size, self.steps, self.pattern, member, before, shift)
            if pace.step(0) >= self.steps:
                return
            yield Course(self.pass_plan(member, number), pace, self.parts[member].offset, number)
            number += 1

    @cached_property
    def _plans(self) -> Callable[[int, int], EpochPlan]:
        # A pass or two of each member are under way at any time.
        seed = self.settings.seed
        return lru_cache(3 * len(self.parts))(lambda member, number: self.parts[member].plan(seed, self.epoch, member, number))
