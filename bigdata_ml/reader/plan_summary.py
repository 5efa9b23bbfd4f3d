"""What a plan promises, before anything is read: steps, rows, reads, rows held, mixing."""

from dataclasses import dataclass

import numpy as np

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader.contents import DatasetContents
from bigdata_ml.reader.options import ReadOptions, Shuffle
from bigdata_ml.reader.order.plan import ORDER, EpochPlan
from bigdata_ml.reader.order.streams import Layout
from bigdata_ml.reader.rank import Rank, divisors

__all__ = ["Mixing", "PlanSummary", "Reads", "measure_mixing", "measure_reads", "summarise_plan"]

# Rows whose order is worked out to measure mixing; of more, stretches are taken.
_SAMPLE = 1 << 21
_STRETCHES = 8


@dataclass(frozen=True, slots=True)
class Reads:
    """What all ranks read in an epoch.

    Attributes:
        row_groups: readings of row groups.
        rows: rows in them, selected or not.
    """

    row_groups: int
    rows: int


@dataclass(frozen=True, slots=True)
class Mixing:
    """How well rows are mixed, and what it costs; measured on `steps` steps of the plan.

    Attributes:
        effective_groups: 1 / P(two rows of a global batch share a row group), the inverse Simpson index, over the middle three
            quarters of the epoch; infinite where no two of those looked at do.
        distinct_groups: mean number of row groups that a global batch there has rows of.
        held_mean: mean number of rows that a rank has read and not handed out after a step, there.
        held_peak: largest number of them on any rank.
        steps: how many steps were looked at; all of them where the epoch is short.
    """

    effective_groups: float
    distinct_groups: float
    held_mean: float
    held_peak: int
    steps: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanSummary:
    """A plan in figures; rows are selected rows unless said otherwise.

    Attributes:
        order: name of the order's version.
        seed, epoch: whose order.
        shuffle: True, False or `groups`.
        rows: how many there are in this epoch, copies counted.
        row_groups: row groups, or spans of them where samples are sequences, that have any.
        weighted_by: the field that rows' weights come from, if they have any.
        global_batch_size, world_size: as asked for.
        rank_batch_size: rows of a step on each rank.
        steps: of an epoch, on every rank.
        remainder: what becomes of the last rows.
        dropped: rows left out, others each epoch.
        repeated: places of the last step that are filled with rows repeated; with `exact` they are not valid.
        streams, window: of the order.
        world_sizes: that have the same global batches.
        reads: row groups read by all ranks together.
        read_amplification: rows in them, selected or not, to the rows of the row groups.
        dataloader_reads: the same with `dataloader_workers` processes, at most.
        mixing: effective and distinct row groups a batch, rows held.
        held_bytes: of `mixing.held_peak` rows, estimated from the bytes on disk and the widths of fields.
        held_bytes_bound: what a rank holds at most, by the same estimate.
    """

    order: str
    seed: int
    epoch: int
    shuffle: Shuffle
    rows: int
    row_groups: int
    weighted_by: str | None
    global_batch_size: int
    world_size: int
    rank_batch_size: int
    steps: int
    remainder: str
    dropped: int
    repeated: int
    streams: int
    window: int
    world_sizes: tuple[int, ...]
    reads: int
    read_amplification: float
    dataloader_workers: int
    dataloader_reads: int
    mixing: Mixing
    held_bytes: int
    held_bytes_bound: int


def summarise_plan(
    dataset: Dataset,
    read: ReadOptions,
    *,
    global_batch_size: int,
    world_size: int = 1,
    epoch: int = 0,
    dataloader_workers: int = 0,
) -> PlanSummary:
    """Return what a plan of a dataset, or a split of it, promises; nothing but a predicate's columns is read.

    Args:
        dataset: what would be read.
        read: columns, predicate, order.
        global_batch_size: rows of a step over all ranks.
        world_size: how many ranks.
        epoch: whose order, 0 …
        dataloader_workers: processes of a torch DataLoader around the loader, 0 or more.

    Raises:
        ValueError, WorldSizeNotAllowed, DatasetInvalid: as `open_reader`.
    """
    if dataloader_workers < 0 or epoch < 0:
        raise ValueError(f"dataloader_workers and epoch must be 0 or more, got {dataloader_workers} and {epoch}")
    if read.engine != "arrow":
        raise ValueError(
            f"a plan is the native engine's; engine={read.engine!r} draws its order while it reads: len(reader) are its steps"
        )
    rank = Rank(world_size=world_size)
    contents = DatasetContents(dataset, read, rank, global_batch_size)
    part, settings, plan = contents.part, contents.settings, contents.plan(epoch)
    steps, rows, size = plan.steps, plan.selection.total, settings.global_batch_size
    reads = measure_reads(plan, part.read_rows, world_size)
    groups = measure_reads(plan, part.read_groups, world_size).rows
    mixing = measure_mixing(plan, world_size)
    used = int(part.sizes[plan.selection.counts > 0].sum())
    return PlanSummary(
        order=ORDER,
        seed=settings.seed,
        epoch=epoch,
        shuffle=settings.shuffle,
        rows=rows,
        row_groups=len(plan.layout.groups),
        weighted_by=read.weights.column if read.weights else None,
        global_batch_size=size,
        world_size=world_size,
        rank_batch_size=size // world_size,
        steps=steps,
        remainder=settings.remainder,
        dropped=max(0, rows - steps * size),
        repeated=max(0, steps * size - rows),
        streams=settings.streams,
        window=settings.window,
        world_sizes=tuple(divisors(settings.streams)),
        reads=groups,
        read_amplification=reads.rows / used,
        dataloader_workers=dataloader_workers,
        dataloader_reads=groups * max(1, dataloader_workers),
        mixing=mixing,
        held_bytes=mixing.held_peak * part.row_bytes,
        held_bytes_bound=part.held_bytes(settings, world_size),
    )


def measure_reads(plan: EpochPlan, rows: np.ndarray, world_size: int) -> Reads:
    """Return what all ranks read in an epoch: each stream its row groups once, those needed in the same step of a rank together.

    Args:
        plan: of the epoch.
        rows: rows of each row group, selected or not, int64 [groups].
        world_size: how many ranks.
    """
    layout, streams, total = plan.layout, plan.settings.streams, Reads(0, 0)
    sums = np.concatenate([[0], np.cumsum(rows[layout.groups])])
    for rank in range(world_size):
        # Of the groups that more than one stream has rows of, those that are read in the first step, shared or not.
        begun: set[int] = set()
        for index in Rank(rank=rank, world_size=world_size).streams(streams):
            stream = plan.stream(index)
            if stream.rows == 0:
                if plan.settings.remainder != "drop" and 0 not in begun:
                    begun.add(0)
                    total = Reads(total.row_groups + 1, total.rows + int(sums[1]))
                continue
            first, last = layout.places(np.array([stream.begin, stream.begin + stream.rows - 1])).tolist()
            read = Reads(last - first + 1, int(sums[last + 1] - sums[first]))
            opening = stream.leaving(0, min(plan.settings.stream_batch, stream.rows)).max()
            unread = _never_needed(plan, layout, index)
            for place in {first, last}:
                early = place not in unread and (place == first or opening >= layout.starts[place])
                if early and place in begun:
                    read = Reads(read.row_groups - 1, read.rows - int(sums[place + 1] - sums[place]))
                elif early:
                    begun.add(place)
            for place in unread:
                read = Reads(read.row_groups - 1, read.rows - int(sums[place + 1] - sums[place]))
            total = Reads(total.row_groups + read.row_groups, total.rows + read.rows)
    return total


def _never_needed(plan: EpochPlan, layout: Layout, index: int) -> set[int]:
    """Return the places of the groups all of whose rows in a stream are dropped."""
    stream, end = plan.stream(index), plan.steps * plan.settings.stream_batch
    if stream.rows <= end:
        return set()
    places, dropped = np.unique(layout.places(stream.leaving(end, stream.rows)), return_counts=True)
    begins = np.maximum(layout.starts[places], stream.begin)
    ends = np.minimum(layout.starts[places + 1], stream.begin + stream.rows)
    return set(places[dropped == ends - begins].tolist())


def measure_mixing(plan: EpochPlan, world_size: int = 1) -> Mixing:
    """Measure the mixing of a plan, on all of its steps or on stretches of them."""
    size, steps = plan.settings.global_batch_size, plan.steps
    lower, upper = steps // 8, max(steps // 8 + 1, steps - steps // 8)
    if steps * size <= _SAMPLE:
        stretches = [range(steps)]
    else:
        # Working out a stretch costs its own rows and twice the window before it.
        count = min(_STRETCHES, max(1, 8 * _SAMPLE // (2 * plan.settings.window + _SAMPLE // _STRETCHES)))
        length = max(1, _SAMPLE // _STRETCHES // size)
        stretches = [range(begin, begin + length) for begin in np.linspace(lower, upper - length, count).astype(int).tolist()]
    collisions = pairs = distinct = looked = peak = 0
    held_sum = held_count = 0.0
    for stretch in stretches:
        groups, held = _stretch(plan, stretch)
        ranks = held.reshape(len(stretch), world_size, -1).sum(2)
        peak = max(peak, int(ranks.max()))
        middle = [number for number, step in enumerate(stretch) if lower <= step < upper]
        held_sum, held_count = held_sum + float(ranks[middle].mean(1).sum()), held_count + len(middle)
        for number in middle:
            counts = np.unique(groups[number], return_counts=True)[1]
            collisions, distinct = collisions + int((counts * (counts - 1)).sum()), distinct + len(counts)
            pairs, looked = pairs + size * (size - 1), looked + 1
    return Mixing(
        effective_groups=pairs / collisions if collisions else float("inf"),
        distinct_groups=distinct / looked,
        held_mean=held_sum / held_count,
        held_peak=peak,
        steps=sum(map(len, stretches)),
    )


def _stretch(plan: EpochPlan, steps: range) -> tuple[np.ndarray, np.ndarray]:
    """Return the groups of each step's rows, int64 [steps, global batch], and rows held after it by stream, [steps, streams]."""
    size, layout = plan.settings.stream_batch, plan.layout
    groups, held = [], []
    for index in range(plan.settings.streams):
        stream = plan.stream(index)
        begin, end = min(steps.start * size, stream.rows), min(steps.stop * size, stream.rows)
        # What left further back than twice the window reaches no further than what leaves now.
        back = max(0, begin - 2 * stream.delay)
        leaving = stream.leaving(back, end)
        ends = np.minimum(np.arange(1, len(steps) + 1) * size + begin, end)
        reach = np.maximum.accumulate(leaving)[np.maximum(ends - back - 1, 0)] if len(leaving) else np.zeros(len(steps), np.int64)
        loaded = np.minimum(layout.starts[layout.places(reach) + 1], stream.begin + stream.rows) - stream.begin
        held.append(np.maximum(loaded - ends, 0) if stream.rows else np.zeros(len(steps), np.int64))
        own = layout.places(leaving[begin - back :])
        if len(own) < len(steps) * size:
            own = np.concatenate([own, layout.places(plan.filling(index)[0])])
        groups.append(own.reshape(len(steps), size))
    return np.concatenate(groups, axis=1), np.stack(held, axis=1)
