"""Plans over row groups of any sizes, without files; and row groups that say what they hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import assume
from hypothesis import strategies as st

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.assemble.batch_assembler import BatchAssembler
from bigdata_ml.reader.order.mixed_plan import MixedPlan
from bigdata_ml.reader.order.plan import EpochPlan, StepRows
from bigdata_ml.reader.order.settings import OrderSettings
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.select.selection import Selection
from bigdata_ml.reader.select.weights import GroupWeights, WeightedSelection

REMAINDERS = ("drop", "pad", "exact")


def make_plan(
    counts: Sequence[int], *, size: int, streams: int, epoch: int = 0, weights: Sequence[float] | None = None, **settings: Any
) -> EpochPlan:
    """Make a plan of row groups of so many rows, row i of each with weight i modulo their number."""
    values = {"seed": 0, "window": 0, "remainder": "exact", "shuffle": True, **settings}
    order = OrderSettings(global_batch_size=size, streams=streams, **values)
    selection = Selection(np.array(counts, np.int64), {}, "all")
    if weights is None:
        return EpochPlan(selection, order, epoch)
    return EpochPlan(weighted(selection, weights).of_epoch(order.seed, epoch), order, epoch)


def weighted(selection: Selection, weights: Sequence[float]) -> WeightedSelection:
    values = np.array([round(one * 2**32) for one in weights], np.uint64)
    codes = {group: (np.arange(count) % len(values)).astype(np.uint8) for group, count in enumerate(selection.counts) if count}
    return WeightedSelection(selection, {group: GroupWeights(values, one) for group, one in codes.items()}, "weighted")


def shares(plan: EpochPlan | MixedPlan, world_size: int) -> list[range]:
    each = plan.settings.streams // world_size
    return [range(rank * each, (rank + 1) * each) for rank in range(world_size)]


def worlds(plan: EpochPlan | MixedPlan) -> list[int]:
    return [size for size in range(1, plan.settings.streams + 1) if plan.settings.streams % size == 0]


def listed(rows: StepRows) -> list[tuple[int, int, int]]:
    """Each row as its group, its place there and its number among the times that it comes."""
    return list(zip(rows.groups.tolist(), rows.rows.tolist(), rows.numbers.tolist(), strict=True))


def is_repeated(number: int) -> bool:
    """Whether a row of that number fills a short last batch."""
    return number % 2**32 > 0


def sizes_of(plan: EpochPlan | MixedPlan) -> np.ndarray:
    """Rows of each group, selected or not."""
    if isinstance(plan, MixedPlan):
        return np.concatenate([part.selection.of_epoch(0, 0).counts for part in plan.parts])
    drawn = plan.selection
    return drawn.counts if isinstance(drawn, Selection) else drawn._weighted.base.counts  # type: ignore[attr-defined]


def every_step(plan: EpochPlan) -> list[list[tuple[int, int, int]]]:
    return [listed(plan.step_rows(step, range(plan.settings.streams))) for step in range(plan.steps)]


class CountedGroups:
    """Stands for the row groups of a dataset: each row is its group and its place; says which groups were read."""

    schema = pa.schema([pa.field("group", pa.int64(), nullable=False), pa.field("row", pa.int64(), nullable=False)])

    def __init__(self, plan: EpochPlan | MixedPlan) -> None:
        self._counts = sizes_of(plan)
        self.read_groups: list[int] = []
        self.is_broken = False

    def read(self, group: int) -> dict[str, pa.Array]:
        if self.is_broken:
            raise DatasetInvalid(f"group {group}")
        self.read_groups.append(group)
        rows = int(self._counts[group])
        return {"group": pa.array(np.full(rows, group)), "row": pa.array(np.arange(rows))}


def assembler(
    plan: EpochPlan | MixedPlan, streams: range | None = None, *, first: int = 0, stride: int = 1
) -> tuple[BatchAssembler, CountedGroups]:
    source = CountedGroups(plan)
    share = Share(range(plan.settings.streams) if streams is None else streams, first, stride)
    return BatchAssembler(plan, share, source), source  # type: ignore[arg-type]


@st.composite
def plans(draw: st.DrawFn, remainder: str | None = None) -> EpochPlan:
    """Ragged row groups, empty ones among them; streams, windows and batches of all sorts; n often at a border."""
    streams, batch = draw(st.integers(1, 8)), draw(st.integers(1, 5))
    size = streams * batch
    border = max(1, draw(st.sampled_from([1, streams - 1, streams, streams + 1, size - 1, size, size + 1])))
    counts = draw(
        st.one_of(
            st.lists(st.sampled_from([0, 1, 2, 3, 7, 20, 60]), min_size=1, max_size=12).filter(any),
            st.just([border]),
            st.just([0, *[1] * border, 0]),
            st.just([100, *[1] * 30]),
        )
    )
    shuffle = draw(st.sampled_from([True, True, True, False, "groups"]))
    weights = draw(st.none() | st.lists(st.sampled_from([0, 0.3, 1, 2.5, 4]), min_size=1, max_size=3).filter(any))
    seed, epoch = draw(st.integers(0, 5)), draw(st.integers(0, 2))
    total = make_plan(counts, size=size, streams=streams, epoch=epoch, seed=seed, weights=weights).selection.total
    assume(total >= (size if remainder == "drop" else 1))
    ends = [one for one in REMAINDERS if one != "drop" or total >= size] if remainder is None else [remainder]
    return make_plan(
        counts,
        weights=weights,
        size=size,
        streams=streams,
        epoch=epoch,
        seed=seed,
        window=0 if shuffle == "groups" else min(total, draw(st.sampled_from([0, 1, 5, 30, 1000]))),
        remainder=draw(st.sampled_from(ends)),
        shuffle=shuffle,
    )
