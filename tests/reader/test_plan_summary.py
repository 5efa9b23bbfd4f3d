"""What a plan promises is what reading it does."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import assembler, every_step, make_plan, plans, shares, sizes_of, worlds
from thoroughness import examples
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import ReadOptions, open_reader, summarise_plan
from bigdata_ml.reader.order.plan import EpochPlan
from bigdata_ml.reader.plan_summary import Reads, measure_mixing, measure_reads


@settings(max_examples=examples(150))
@given(plans(), st.data())
def test_reads_are_those_that_the_ranks_make(plan: EpochPlan, data: st.DataObject) -> None:
    world_size = data.draw(st.sampled_from(worlds(plan)))
    groups, counts = [], sizes_of(plan)
    for streams in shares(plan, world_size):
        one, source = assembler(plan, streams)
        for _ in one.steps:
            one.next()
        groups += source.read_groups
    assert measure_reads(plan, counts, world_size) == Reads(len(groups), int(counts[groups].sum()))


@settings(max_examples=examples(100))
@given(plans(), st.data())
def test_rows_held_are_those_that_the_ranks_hold(plan: EpochPlan, data: st.DataObject) -> None:
    world_size = data.draw(st.sampled_from(worlds(plan)))
    held = []
    for streams in shares(plan, world_size):
        one, _ = assembler(plan, streams)
        held.append([one.open.held_rows for _ in one.steps if one.next()])
    # The engine holds besides what it repeats in the last step, and never counts rows that are dropped.
    found = measure_mixing(plan, world_size).held_peak
    slack = plan.settings.global_batch_size // world_size
    assert max(map(max, held)) - slack <= found <= max(map(max, held)) + slack


@pytest.mark.parametrize(
    ("groups", "rows", "streams", "window"), [(256, 512, 1, 16_384), (512, 256, 8, 16_384), (300, 400, 4, 12_800)]
)
def test_mixing_is_at_least_1_6_times_the_rows_held_and_the_peak_is_near_the_mean(
    groups: int, rows: int, streams: int, window: int
) -> None:
    """order.md: where the window is at least 8 groups a stream."""
    found = measure_mixing(make_plan([rows] * groups, size=256, streams=streams, window=window))
    assert window / streams / rows >= 8
    assert found.effective_groups >= 1.6 * found.held_peak / rows
    assert found.held_peak <= 1.2 * found.held_mean
    assert found.effective_groups < found.distinct_groups * 1.1


def test_stretches_of_a_long_epoch_give_what_all_of_it_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.random.default_rng(0).integers(100, 300, 1500)
    plan = make_plan(counts, size=512, streams=8, window=8000, remainder="drop")
    whole = measure_mixing(plan, 2)
    monkeypatch.setattr("bigdata_ml.reader.plan_summary._SAMPLE", 100_000)
    part = measure_mixing(plan, 2)
    assert part.steps < plan.steps / 2 < whole.steps == plan.steps
    assert part.effective_groups == pytest.approx(whole.effective_groups, rel=0.05)
    assert part.distinct_groups == pytest.approx(whole.distinct_groups, rel=0.05)
    assert part.held_mean == pytest.approx(whole.held_mean, rel=0.05)
    assert part.held_peak == pytest.approx(whole.held_peak, rel=0.05)


def test_the_effective_groups_are_the_inverse_chance_that_two_rows_of_a_batch_share_one() -> None:
    plan = make_plan([30] * 40, size=60, streams=4, window=200, remainder="drop")
    steps = every_step(plan)[plan.steps // 8 : plan.steps - plan.steps // 8]
    shared = [sum(a[0] == b[0] for a in step for b in step) - 60 for step in steps]
    assert measure_mixing(plan).effective_groups == pytest.approx(len(steps) * 60 * 59 / sum(shared))


@pytest.fixture
def sorted_rows(tmp_path: Path) -> Dataset:
    """20,000 rows in files of 10 row groups of 50; `x` is the row group, so the data are sorted by it."""
    rows = pa.table({"id": range(20_000), "x": np.arange(20_000) // 50})
    files = {f"{number:02}.parquet": rows.slice(500 * number, 500) for number in range(40)}
    return Dataset.open(write_plain(tmp_path / "sorted", files, row_group_size=50))


def test_real_batches_are_mixed_as_promised_within_a_tenth(sorted_rows: Dataset) -> None:
    read = ReadOptions(seed=2, window=4000, streams=4)
    promised = summarise_plan(sorted_rows, read, global_batch_size=64, world_size=2)
    ranks = [open_reader(sorted_rows, read, global_batch_size=64, rank=rank, world_size=2) for rank in (0, 1)]
    groups = [np.concatenate([part["x"].to_numpy() for part in parts]) for parts in zip(*ranks, strict=True)]
    assert promised.steps == len(groups)
    middle = groups[len(groups) // 8 : -(len(groups) // 8)]
    shared = sum(int((np.bincount(step) * (np.bincount(step) - 1)).sum()) for step in middle)
    assert promised.mixing.effective_groups == pytest.approx(len(middle) * 64 * 63 / shared, rel=0.1)
    assert promised.mixing.distinct_groups == pytest.approx(np.mean([len(set(step.tolist())) for step in middle]), rel=0.1)


def test_a_summary_says_what_becomes_of_every_row(sorted_rows: Dataset) -> None:
    few = ReadOptions(predicate=pc.field("id") < 1003, window=0)
    found = {
        end: summarise_plan(sorted_rows, ReadOptions(predicate=few.predicate, remainder=end), global_batch_size=48)
        for end in ("drop", "pad", "exact")
    }  # type: ignore[arg-type]
    assert [(one.steps, one.dropped, one.repeated) for one in found.values()] == [(20, 43, 0), (21, 0, 5), (21, 0, 5)]
    one = found["drop"]
    assert (one.rows, one.row_groups, one.streams, one.world_sizes) == (1003, 21, 16, (1, 2, 4, 8, 16))
    assert one.reads >= 20
    # Cut groups are read again, and of the 21st group three rows are wanted.
    assert 1 <= one.read_amplification < 2
    assert one.held_bytes <= one.held_bytes_bound


def test_processes_of_a_dataloader_multiply_the_reads(sorted_rows: Dataset) -> None:
    one = summarise_plan(sorted_rows, ReadOptions(), global_batch_size=64, dataloader_workers=3)
    assert one.dataloader_reads == 3 * one.reads


@pytest.mark.parametrize("settings", [{"epoch": -1}, {"dataloader_workers": -1}])
def test_figures_that_make_no_sense_are_refused(sorted_rows: Dataset, settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        summarise_plan(sorted_rows, ReadOptions(), global_batch_size=64, **settings)


def test_a_plan_of_ten_million_rows_is_summed_up_without_a_list_of_them() -> None:
    found = measure_mixing(make_plan([1000] * 10_000, size=1024, streams=16, window=16 * 2000))
    assert found.steps < 3000
    assert found.effective_groups == pytest.approx((32_000 + 16_000) / 1000, rel=0.21)
