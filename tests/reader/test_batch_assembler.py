"""Batches step_batch from row groups are those of the plan, from any step on, holding and reading no more than promised."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import assembler, listed, make_plan, plans, shares, worlds
from thoroughness import examples

from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.order.plan import EpochPlan


@settings(max_examples=examples(250))
@given(plans(), st.data())
def test_what_is_gathered_is_what_was_planned_from_any_step_at_any_stride(plan: EpochPlan, data: st.DataObject) -> None:
    streams = data.draw(st.sampled_from(shares(plan, data.draw(st.sampled_from(worlds(plan))))))
    first, stride = data.draw(st.integers(0, plan.steps - 1)), data.draw(st.integers(1, 3))
    one, _ = assembler(plan, streams, first=first, stride=stride)
    for step in one.steps:
        step_batch, wanted = one.next(), listed(plan.step_rows(step, streams))
        assert listed(step_batch.rows) == wanted
        values = zip(step_batch.batch["group"].to_pylist(), step_batch.batch["row"].to_pylist(), strict=True)
        assert list(values) == [(group, row) for group, row, _ in wanted]
    assert (one.open.held_rows, one.open.held_groups) == (0, 0)


@settings(max_examples=examples(100))
@given(plans())
def test_a_rank_never_holds_more_than_its_streams_windows_and_largest_groups(plan: EpochPlan) -> None:
    for streams in shares(plan, worlds(plan)[-1]) + shares(plan, 1):
        one, _ = assembler(plan, streams)
        most = len(streams) * (plan.settings.delay + int(plan.selection.counts.max()))
        for _ in one.steps:
            one.next()
            # A short last batch holds its repetitions besides.
            assert one.open.held_rows <= most + len(streams) * plan.settings.stream_batch


@settings(max_examples=examples(100))
@given(plans(), st.data())
def test_a_resumed_rank_reads_only_groups_with_a_row_to_come(plan: EpochPlan, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, plan.steps - 1))
    one, source = assembler(plan, first=first)
    to_come = set()
    for step in one.steps:
        one.next()
        to_come |= set(plan.step_rows(step, range(plan.settings.streams)).groups.tolist())
    assert set(source.read_groups) == to_come


def test_resuming_reads_at_most_the_windows_groups_for_the_first_batch() -> None:
    rows, window, size = 50, 4000, 64
    plan = make_plan([rows] * 400, size=size, streams=4, window=window)
    for first in range(0, plan.steps, 20):
        one, source = assembler(plan, first=first)
        one.next()
        assert len(source.read_groups) <= 4 * (-(-(2 * window // 4 + size // 4) // rows) + 2)


def test_each_group_is_read_once_but_for_those_that_streams_share() -> None:
    plan = make_plan([37] * 100, size=32, streams=8, window=400)
    one, source = assembler(plan)
    for _ in one.steps:
        one.next()
    times = np.bincount(source.read_groups, minlength=100)
    cut = {plan.layout.groups[place] for place in plan.layout.places(plan.layout.bounds[1:-1]).tolist()}
    assert set(np.flatnonzero(times == 1)) | cut == set(range(100))
    assert times.max() <= 2
    assert one.reads == len(source.read_groups)


def test_a_group_that_many_streams_of_a_rank_lie_in_is_read_once_at_the_start() -> None:
    one, source = assembler(make_plan([4000], size=64, streams=8, window=100))
    for _ in one.steps:
        one.next()
    assert source.read_groups == [0]


def test_a_giant_group_beside_tiny_ones_is_let_go_when_its_last_row_leaves() -> None:
    counts = [20_000, *[1] * 1000]
    epochs = (make_plan(counts, size=100, streams=1, window=200, epoch=epoch) for epoch in range(9))
    plan = next(plan for plan in epochs if plan.layout.groups.tolist().index(0) < 500)
    one, _ = assembler(plan)
    last = max(step for step in range(plan.steps) if 0 in plan.step_rows(step, range(1)).groups)
    held = [one.open.held_rows for _ in one.steps if one.next()]
    assert max(held) > 10_000
    assert last < plan.steps - 3
    assert max(held[last:]) <= 1000


def test_groups_are_not_read_before_their_first_row_leaves() -> None:
    plan = make_plan([100] * 40, size=20, streams=1, window=500)
    one, source = assembler(plan)
    seen: set[int] = set()
    for step in one.steps:
        one.next()
        seen |= set(plan.step_rows(step, range(1)).groups.tolist())
        # In the order of the stream: a group may come with one behind it that is needed.
        last = max(plan.layout.groups.tolist().index(group) for group in seen)
        assert set(source.read_groups) == set(plan.layout.groups[: last + 1].tolist())


def test_the_slots_follow_the_rows_that_are_held_not_the_epoch() -> None:
    sizes = []
    for groups in (50, 500):
        one, _ = assembler(make_plan([200] * groups, size=64, streams=4, window=2000))
        for _ in one.steps:
            one.next()
        sizes.append(one.open.nbytes)
    assert sizes[1] < 1.5 * sizes[0]
    # At most twice the window, the groups and two batches; five columns and marks of 8 bytes a row.
    assert sizes[1] <= 2 * (2000 + 4 * 200 + 2 * 64) * 40


def test_after_a_group_that_could_not_be_read_nothing_more_is_handed_out() -> None:
    one, source = assembler(make_plan([10] * 30, size=20, streams=2, window=60))
    one.next()
    source.is_broken = True
    with pytest.raises(DatasetInvalid, match=r"group \d+") as first:
        list(iter(one.next, None))
    for _ in range(40):
        with pytest.raises(DatasetInvalid) as again:
            one.next()
        assert again.value is first.value
