"""The plan, over row groups of any shape: every row as often as promised, the same at every world size, mixed as measured."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from plans import every_step, is_repeated, listed, make_plan, plans, shares, sizes_of, worlds
from thoroughness import examples

from bigdata_ml.reader.order.plan import EpochPlan
from bigdata_ml.reader.order.settings import OrderSettings


@settings(max_examples=examples(150))
@given(plans())
def test_each_selected_row_comes_as_often_as_the_remainder_says(plan: EpochPlan) -> None:
    size, rows = plan.settings.global_batch_size, plan.layout.rows
    steps = rows // size if plan.settings.remainder == "drop" else -(-rows // size)
    whole = every_step(plan)
    assert plan.steps == len(whole) == steps
    assert all(len(step) == size for step in whole)
    once = Counter(one for step in whole for one in step if not is_repeated(one[2]))
    assert set(once.values()) == {1}
    assert len(once) == (steps * size if plan.settings.remainder == "drop" else rows)
    assert all(row < sizes_of(plan)[group] for group, row, _ in once)


@settings(max_examples=examples(100))
@given(plans())
def test_the_shares_of_all_ranks_laid_side_by_side_are_the_global_batch_at_every_world_size(plan: EpochPlan) -> None:
    whole = every_step(plan)
    for world_size in worlds(plan):
        for step in range(plan.steps):
            parts = [listed(plan.step_rows(step, streams)) for streams in shares(plan, world_size)]
            assert {len(part) for part in parts} == {plan.settings.global_batch_size // world_size}
            assert [one for part in parts for one in part] == whole[step]


@settings(max_examples=examples(100))
@given(plans("exact"))
def test_repetitions_are_only_in_the_last_step_and_repeat_rows_of_the_last_two(plan: EpochPlan) -> None:
    *before, last = every_step(plan)
    assert not any(is_repeated(number) for step in before for _, _, number in step)
    nearby = {one for step in [*before[-1:], last] for one in step if not is_repeated(one[2])}
    assert {(group, row, number >> 32 << 32) for group, row, number in last if is_repeated(number)} <= nearby


@pytest.mark.parametrize("remainder", ["drop", "pad", "exact"])
def test_no_rows_make_no_plan(remainder: str) -> None:
    with pytest.raises(ValueError, match="0 selected rows make no step of 4 rows"):
        _ = make_plan([0, 0], size=4, streams=2, remainder=remainder).steps


def test_a_plan_depends_on_seed_epoch_streams_window_and_batch() -> None:
    counts = [40] * 12
    base = {"size": 24, "streams": 4, "window": 100, "seed": 1, "epoch": 1}
    changes = [{}, {"seed": 2}, {"epoch": 2}, {"streams": 2}, {"window": 60}, {"size": 48}]
    orders = [[one for step in every_step(make_plan(counts, **{**base, **change})) for one in step] for change in changes]
    assert len({tuple(order) for order in orders}) == len(changes)


def test_epochs_lay_groups_in_unrelated_orders_cut_elsewhere_and_drop_other_rows() -> None:
    counts = np.random.default_rng(0).integers(20, 60, 200)
    plans_ = [make_plan(counts, size=512, streams=8, window=800, remainder="drop", epoch=epoch) for epoch in (0, 1)]
    places = [np.argsort(plan.layout.groups) for plan in plans_]
    assert abs(np.corrcoef(*places)[0, 1]) < 0.25
    cuts = [set(plan.layout.groups[plan.layout.places(plan.layout.bounds[1:-1])].tolist()) for plan in plans_]
    assert cuts[0] != cuts[1]
    rows = {(group, row) for group, count in enumerate(counts.tolist()) for row in range(count)}
    dropped = [rows - {one[:2] for step in every_step(plan) for one in step} for plan in plans_]
    assert len(dropped[0]) == len(dropped[1]) == len(rows) % 512
    assert dropped[0] != dropped[1]


def test_neighbours_in_a_file_are_neighbours_in_the_order_no_more_often_than_by_chance() -> None:
    rows = make_plan([1000], size=1000, streams=1).group_rows(0)[0]
    neighbours = int((np.abs(np.diff(rows)) == 1).sum())
    # Two expected: of 999 pairs each is one with probability 2/1000. Ten or more have a probability of some 5e-5.
    assert neighbours < 10


def test_the_mixing_of_label_sorted_data_is_what_the_effective_groups_promise() -> None:
    counts, batch = [512] * 256, 256
    plan = make_plan(counts, size=batch, streams=1, window=8192)
    groups = np.array([[group for group, _, _ in listed(plan.step_rows(step, range(1)))] for step in range(40, 472, 4)])
    labels = groups * 10 // 256
    spread = np.mean([(labels == label).mean(1).std() for label in range(10)])
    pairs = [np.bincount(step) @ (np.bincount(step) - 1) for step in groups]
    effective = len(groups) * batch * (batch - 1) / sum(pairs)
    assert effective == pytest.approx((8192 + 512) / 512, rel=0.1)
    assert spread == pytest.approx((0.1 * 0.9 / effective) ** 0.5, rel=0.25)


@pytest.mark.parametrize(("counts", "steps"), [([10**6] * 1000, 5), ([1000] * 10**6, 5)])
def test_a_step_of_a_thousand_million_rows_needs_no_list_of_rows(counts: list[int], steps: int) -> None:
    import tracemalloc

    plan = make_plan(counts, size=1024, streams=16, window=16 * 24_576)
    tracemalloc.start()
    assert plan.steps == -(-(10**9) // 1024)
    for step in np.linspace(0, plan.steps - 1, steps).astype(int).tolist():
        rows = listed(plan.step_rows(step, range(16)))
        assert len(set(rows)) == 1024
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()


def test_settings_say_how_many_steps_there_are() -> None:
    order = OrderSettings(seed=0, global_batch_size=8, streams=4, window=40, remainder="drop", shuffle=True)
    assert (order.stream_batch, order.delay, order.steps(23)) == (2, 10, 2)
