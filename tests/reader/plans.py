"""Plans over row groups of any sizes, without files; and row groups that say what they hold."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from bigdata_ml.reader.gather import Gatherer, Share
from bigdata_ml.reader.plan import EpochPlan, StepRows
from bigdata_ml.reader.selection import Selection
from bigdata_ml.reader.settings import OrderSettings

REMAINDERS = ("drop", "pad", "exact")


def make_plan(counts: Sequence[int], *, size: int, streams: int, epoch: int = 0, **settings: Any) -> EpochPlan:
    values = {"seed": 0, "window": 0, "remainder": "exact", "shuffle": True, **settings}
    order = OrderSettings(global_batch_size=size, streams=streams, **values)
    return EpochPlan(Selection(np.array(counts, np.int64), {}, "all"), order, epoch)


def shares(plan: EpochPlan, world_size: int) -> list[range]:
    each = plan.settings.streams // world_size
    return [range(rank * each, (rank + 1) * each) for rank in range(world_size)]


def worlds(plan: EpochPlan) -> list[int]:
    return [size for size in range(1, plan.settings.streams + 1) if plan.settings.streams % size == 0]


def listed(rows: StepRows) -> list[tuple[int, int, int]]:
    return list(zip(rows.groups.tolist(), rows.rows.tolist(), rows.copies.tolist(), strict=True))


def every_step(plan: EpochPlan) -> list[list[tuple[int, int, int]]]:
    return [listed(plan.step_rows(step, range(plan.settings.streams))) for step in range(plan.steps)]


class CountedGroups:
    """Stands for the row groups of a dataset: each row is its group and its place; says which groups were read."""

    schema = pa.schema([pa.field("group", pa.int64(), nullable=False), pa.field("row", pa.int64(), nullable=False)])

    def __init__(self, plan: EpochPlan) -> None:
        self._counts = plan.selection.counts
        self.read_groups: list[int] = []

    def read(self, group: int) -> dict[str, pa.Array]:
        self.read_groups.append(group)
        rows = int(self._counts[group])
        return {"group": pa.array(np.full(rows, group)), "row": pa.array(np.arange(rows))}


def gatherer(plan: EpochPlan, streams: range | None = None, *, first: int = 0, stride: int = 1) -> tuple[Gatherer, CountedGroups]:
    source = CountedGroups(plan)
    share = Share(range(plan.settings.streams) if streams is None else streams, first, stride)
    return Gatherer(plan, share, source), source  # type: ignore[arg-type]


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
    ends = [one for one in REMAINDERS if one != "drop" or sum(counts) >= size] if remainder is None else [remainder]
    return make_plan(
        counts,
        size=size,
        streams=streams,
        epoch=draw(st.integers(0, 2)),
        seed=draw(st.integers(0, 5)),
        window=0 if shuffle == "groups" else min(sum(counts), draw(st.sampled_from([0, 1, 5, 30, 1000]))),
        remainder=draw(st.sampled_from(ends)),
        shuffle=shuffle,
    )
