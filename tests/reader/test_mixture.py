"""Mixtures: each dataset has its share of every stretch, ends are as computed, orders are the same everywhere and resumed."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from contracts import assert_resumes_elsewhere, assert_resumes_exactly
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plans import assembler, listed, shares, worlds
from thoroughness import examples
from tiny import publish_columns, write_plain

from bigdata_ml.dataset import Dataset, Vocabulary
from bigdata_ml.errors import DatasetInvalid, ResumeMismatch, SchemaMismatch
from bigdata_ml.reader import Member, Mixture, Reader, ReadOptions, RowWeights, open_reader, summarise_mixture
from bigdata_ml.reader.order.mixed_plan import MixedPart, MixedPlan
from bigdata_ml.reader.order.pattern import make_pattern
from bigdata_ml.reader.order.settings import OrderSettings
from bigdata_ml.reader.select.selection import Selection
from bigdata_ml.schema import Field, Schema


def plan_of(counts: Sequence[Sequence[int]], weights: Sequence[int], *, stop: Any, epoch: int = 0, **values: int) -> MixedPlan:
    order = OrderSettings(**{"window": 0, **values}, seed=3, remainder="drop", shuffle=True)  # type: ignore[arg-type]
    own = replace(order, window=order.window // len(counts))
    offsets = np.cumsum([0] + [len(one) for one in counts]).tolist()
    parts = tuple(
        MixedPart(f"dataset {member}", Selection(np.array(one), {}, "all"), own, offset)
        for member, (one, offset) in enumerate(zip(counts, offsets, strict=False))
    )
    return MixedPlan(parts, make_pattern(weights), order, epoch, stop)


@st.composite
def mixtures(draw: st.DrawFn) -> MixedPlan:
    streams, batch, members = draw(st.integers(1, 6)), draw(st.integers(1, 4)), draw(st.integers(2, 4))
    groups = st.lists(st.sampled_from([0, 1, 3, 7, 20]), min_size=1, max_size=8)
    counts = [draw(groups) for _ in range(members)]
    weights = draw(st.lists(st.integers(1, 6), min_size=members, max_size=members))
    assume(all(sum(one) >= streams for one in counts))
    stop = draw(st.sampled_from(["first", "all"]))
    more = {"window": draw(st.sampled_from([0, 5, 30, 300])), "epoch": draw(st.integers(0, 2))}
    plan = plan_of(counts, weights, stop=stop, global_batch_size=streams * batch, streams=streams, **more)
    assume(stop == "all" or all(sum(one) // streams >= batch + 1 for one in counts))
    assume(plan.rows < 3000)
    return plan


def members_of(plan: MixedPlan, groups: np.ndarray) -> list[int]:
    return (np.searchsorted([part.offset for part in plan.parts], groups, side="right") - 1).tolist()


@settings(max_examples=examples(120))
@given(mixtures(), st.data())
def test_what_is_gathered_is_what_was_planned_from_any_step_at_any_stride(plan: MixedPlan, data: st.DataObject) -> None:
    streams = data.draw(st.sampled_from(shares(plan, data.draw(st.sampled_from(worlds(plan))))))
    first, stride = data.draw(st.integers(0, plan.steps - 1)), data.draw(st.integers(1, 3))
    one, _ = assembler(plan, streams, first=first, stride=stride)
    for step in one.steps:
        step_batch, wanted = one.next(), listed(plan.step_rows(step, streams))
        assert listed(step_batch.rows) == wanted
        values = zip(step_batch.batch["group"].to_pylist(), step_batch.batch["row"].to_pylist(), strict=True)
        assert list(values) == [(group, row) for group, row, _ in wanted]
    assert (one.open.held_rows, one.open.held_groups) == (0, 0)


@settings(max_examples=examples(60))
@given(mixtures())
def test_every_stretch_of_every_stream_has_each_datasets_share_to_within_two(plan: MixedPlan) -> None:
    weights = np.array([len(places) for places in plan.pattern.places])
    for index in range(plan.settings.streams):
        groups = np.concatenate([plan.step_rows(step, range(index, index + 1)).groups for step in range(plan.steps)])
        owners = np.array(members_of(plan, groups))
        for member, weight in enumerate(weights.tolist()):
            share = np.arange(1, len(owners) + 1) * weight / weights.sum()
            assert np.abs(np.cumsum(owners == member) - share).max() < 2


@pytest.mark.parametrize(("weights", "batch"), [((1, 1), 1), ((3, 1), 1), ((99, 1), 32), ((1, 8, 50, 13, 1, 1), 11)])
def test_a_global_batch_has_each_datasets_share_no_worse_than_by_chance(weights: tuple[int, ...], batch: int) -> None:
    streams, total = 16, sum(weights)
    plan = plan_of([[4000]] * len(weights), weights, stop="first", global_batch_size=streams * batch, streams=streams)
    for member, weight in enumerate(weights):
        ends = [sum(plan.quota(member, index, step) for index in range(streams)) for step in range(plan.steps + 1)]
        share = weight / total
        assert np.std(np.diff(ends) - streams * batch * share) <= (streams * batch * share * (1 - share)) ** 0.5


@settings(max_examples=examples(80))
@given(mixtures())
def test_it_ends_where_it_says_and_rows_come_again_only_in_further_passes(plan: MixedPlan) -> None:
    streams = range(plan.settings.streams)
    rows = Counter(one for step in range(plan.steps) for one in listed(plan.step_rows(step, streams)))
    assert set(rows.values()) == {1}
    members = range(len(plan.parts))
    totals = [int(part.selection.of_epoch(0, 0).counts.sum()) for part in plan.parts]
    lengths = {(one, index): plan.pass_plan(one, 0).stream(index).rows for one in members for index in streams}
    owners = Counter(members_of(plan, np.array([group for group, _, _ in rows])))
    assert [owners[member] for member in members] == [plan.taken(member) for member in members]
    firsts = Counter(members_of(plan, np.array([group for group, _, number in rows if number == 0])))
    # A step more would lack a row of some dataset's stream; a step less would leave one out.
    quota = {(one, index): [plan.quota(one, index, plan.steps + more) for more in (-1, 0, 1)] for one, index in lengths}
    if plan.stop == "first":
        assert all(number == 0 for _, _, number in rows)
        assert all(quota[one][1] <= lengths[one] for one in lengths)
        assert any(quota[one][2] > lengths[one] for one in lengths)
    else:
        assert [firsts[member] for member in members] == totals
        assert any(quota[one][0] < lengths[one] for one in lengths)


@settings(max_examples=examples(60))
@given(mixtures())
def test_the_shares_of_all_ranks_laid_side_by_side_are_the_global_batch_at_every_world_size(plan: MixedPlan) -> None:
    for step in range(0, plan.steps, 3):
        whole = listed(plan.step_rows(step, range(plan.settings.streams)))
        for world_size in worlds(plan):
            assert [one for streams in shares(plan, world_size) for one in listed(plan.step_rows(step, streams))] == whole


def test_the_order_is_pinned() -> None:
    plan = plan_of([[4, 4, 4], [5, 5]], [2, 1], stop="all", global_batch_size=6, streams=2, window=4)
    again = 2**32
    assert plan.steps == 5
    assert listed(plan.step_rows(0, range(2))) == [(2, 0, 0), (2, 3, 0), (4, 2, 0), (1, 0, 0), (3, 2, 0), (1, 2, 0)]
    assert listed(plan.step_rows(4, range(2)))[:4] == [(1, 3, again), (1, 0, again), (4, 1, 0), (0, 1, again)]


def numbers(root: Path, first: int, rows: int, group: int) -> Dataset:
    ids = range(first, first + rows)
    table = pa.table({"id": ids, "text": [f"row {one} " * 3 for one in ids], "even": [one % 2 == 0 for one in ids]})
    return Dataset.open(write_plain(root, {"a.parquet": table}, row_group_size=group))


@pytest.fixture
def datasets(tmp_path: Path) -> tuple[Dataset, Dataset]:
    """Ids 0 … 119 in row groups of 7, and 1000 … 1029 in row groups of 4."""
    return numbers(tmp_path / "many", 0, 120, 7), numbers(tmp_path / "few", 1000, 30, 4)


def reader(mixture: Mixture, rank: int = 0, world_size: int = 1, *, size: int = 12, **read: Any) -> Reader:
    return open_reader(mixture, ReadOptions(**read), global_batch_size=size, rank=rank, world_size=world_size)


@pytest.mark.parametrize("stop", ["first", "all"])
def test_it_resumes_exactly_after_every_batch(datasets: tuple[Dataset, Dataset], stop: Any) -> None:
    mixture = Mixture(zip(datasets, (3, 2), strict=True), stop=stop, source="of")
    assert_resumes_exactly(lambda: reader(mixture, window=30, seed=2))


@pytest.mark.parametrize(("stop", "weights"), [("first", (0.25, 0.75)), ("all", (0.75, 0.25))])
def test_any_world_size_goes_on_with_the_same_global_batches(
    datasets: tuple[Dataset, Dataset], stop: Any, weights: tuple[float, float]
) -> None:
    mixture = Mixture(zip(datasets, weights, strict=True), stop=stop)
    assert_resumes_elsewhere(lambda rank, world: reader(mixture, rank, world, window=30, columns=("id",)), (2, 3, 12))


def test_a_batch_has_rows_of_all_in_their_proportion_and_says_whose(datasets: tuple[Dataset, Dataset]) -> None:
    mixture = Mixture(zip(datasets, (3, 1), strict=True), source="of")
    for batch in reader(mixture, size=16, streams=4, columns=("text", "id")):
        assert batch.schema.names == ["text", "id", "of"]
        assert batch["of"].to_pylist() == [int(one >= 1000) for one in batch["id"].to_pylist()]
        assert Counter(batch["of"].to_pylist()) == {0: 12, 1: 4}
        assert batch["text"].to_pylist() == [f"row {one} " * 3 for one in batch["id"].to_pylist()]


def test_what_comes_of_each_dataset_is_counted_before_it_is_read(datasets: tuple[Dataset, Dataset]) -> None:
    for stop, weights in (("first", (3, 1)), ("all", (3, 1)), ("all", (1, 1))):
        mixture = Mixture(zip(datasets, weights, strict=True), stop=stop)  # type: ignore[arg-type]
        said = summarise_mixture(mixture, ReadOptions(), global_batch_size=12)
        ids = [one for batch in reader(mixture) for one in batch["id"].to_pylist()]
        found = [Counter(one for one in ids if (one >= 1000) == few) for few in (False, True)]
        assert said.steps == len(reader(mixture))
        assert [one.taken for one in said.members] == [count.total() for count in found]
        assert [one.repeated for one in said.members] == [count.total() - len(count) for count in found]
        rows = [len(count) for count in found]
        assert [one.rows - one.left_out for one in said.members] == rows
        assert any(one.repeated for one in said.members) == (stop == "all")


def test_further_passes_and_epochs_have_orders_of_their_own(datasets: tuple[Dataset, Dataset]) -> None:
    one = reader(Mixture(zip(datasets, (1, 1), strict=True), stop="all"), size=2, streams=1)
    epochs = [[row for batch in one for row in batch["id"].to_pylist() if row >= 1000] for _ in range(2)]
    passes = [epoch[begin : begin + 30] for epoch in epochs for begin in (0, 30, 60)]
    assert all(sorted(one) == list(range(1000, 1030)) for one in passes)
    assert len({tuple(one) for one in passes}) == 6


def test_the_same_dataset_may_be_mixed_by_predicates(datasets: tuple[Dataset, Dataset]) -> None:
    many, _ = datasets
    mixture = Mixture([Member(many, 1, pc.field("even")), Member(many, 3, ~pc.field("even"))], source="of")
    rows = [row for batch in reader(mixture, size=8, predicate=pc.field("id") >= 20) for row in batch.to_pylist()]
    assert all(row["even"] == (row["of"] == 0) and row["id"] >= 20 for row in rows)
    assert Counter(row["of"] for row in rows)[1] == 3 * Counter(row["of"] for row in rows)[0]


def test_rows_may_have_weights_where_no_dataset_begins_again(datasets: tuple[Dataset, Dataset]) -> None:
    weights = RowWeights("even", {True: 2.0}, default=0.5)
    mixture = Mixture(zip(datasets, (3, 1), strict=True))
    assert_resumes_exactly(lambda: reader(mixture, weights=weights, columns=("id", "even")))
    found = Counter(row for _ in range(10) for batch in reader(mixture, weights=weights) for row in batch["even"].to_pylist())
    assert found[True] > 3 * found[False]
    with pytest.raises(ValueError, match=r"weights draw another number of rows in each pass.*take stop='first'"):
        reader(Mixture(zip(datasets, (3, 1), strict=True), stop="all"), weights=weights)


def test_a_state_of_another_mixture_is_refused_naming_what_differs(datasets: tuple[Dataset, Dataset], tmp_path: Path) -> None:
    many, few = datasets
    state = reader(Mixture([(many, 3), (few, 1)])).state_dict()
    other = numbers(tmp_path / "other", 1000, 31, 4)
    for mixture, text in (
        (Mixture([(many, 2), (few, 1)]), "mixture differs"),
        (Mixture([(many, 3), (few, 1)], stop="all"), "mixture differs"),
        (Mixture([(many, 3), (other, 1)]), "fingerprint differs: .*; it is that of .*other$"),
        (Mixture([(many, 3), Member(few, 1, pc.field("even"))]), "selection differs: .*; it is that of .*few$"),
        (Mixture([(many, 3), (few, 1), (few, 1)]), "fingerprint differs"),
    ):
        with pytest.raises(ResumeMismatch, match=text):
            reader(mixture).load_state_dict(state)
    with pytest.raises(ResumeMismatch, match="fingerprint differs"):
        open_reader(many, ReadOptions(), global_batch_size=12).load_state_dict(state)


def test_fields_that_differ_are_named_with_both_datasets_unless_they_are_not_read(
    datasets: tuple[Dataset, Dataset], tmp_path: Path
) -> None:
    many, few = datasets
    rows = pa.table({"id": range(30), "text": range(30)})
    other = Dataset.open(write_plain(tmp_path / "other", {"a.parquet": rows}))
    with pytest.raises(
        SchemaMismatch, match=r"field 'text' is string, scalar in .*many and is int64, scalar in .*other; read others"
    ):
        reader(Mixture([(many, 1), (other, 1)]))
    with pytest.raises(ValueError, match=r"other has no fields even; it has id, text"):
        reader(Mixture([(many, 1), (other, 1)]), columns=("id", "even"))
    assert len(reader(Mixture([(many, 1), (other, 1)]), columns=("id",))) == 4
    with pytest.raises(ValueError, match="has a field 'id'; give Mixture another name for source="):
        reader(Mixture([(many, 1), (few, 1)], source="id"))


def test_a_field_that_is_null_in_one_dataset_may_be_null_in_all(tmp_path: Path) -> None:
    whole = Dataset.open(write_plain(tmp_path / "a", {"a.parquet": pa.table({"x": [1, 2, 3, 4]})}))
    holes = Dataset.open(write_plain(tmp_path / "b", {"a.parquet": pa.table({"x": [None, 20, 30, 40]})}))
    (batch,) = reader(Mixture([(whole, 1), (holes, 1)]), size=8, streams=1)
    assert sorted(batch["x"].drop_null().to_pylist()) == [1, 2, 3, 4, 20, 30, 40]


def test_vocabularies_that_differ_are_refused(tmp_path: Path) -> None:
    schema = Schema((Field(name="kind", type=pa.string(), vocabulary=True),))
    words = (("a", "b"), ("b", "a"))
    datasets = [
        publish_columns(
            tmp_path / "".join(values), schema, {"kind": ["a", "b"] * 4},
            vocabularies={"kind": Vocabulary(values=values, counts=(4, 4), unknown=False)},
        )
        for values in words
    ]  # fmt: skip
    with pytest.raises(SchemaMismatch, match=r"field 'kind' has other values in the vocabulary of .*ab than in that of .*ba"):
        reader(Mixture(zip(datasets, (1, 1), strict=True)), size=2)


@pytest.mark.parametrize(
    ("members", "settings", "text"),
    [
        (1, {}, "a mixture must have two members or more, got 1"),
        (2, {"stop": "last"}, "stop must be one of first, all, got 'last'"),
        ((1, 0), {}, "the weight of a mixture's member must be above 0, got 0"),
        ((1, float("nan")), {}, "the weight of a mixture's member must be above 0, got nan"),
    ],
)
def test_mixtures_that_make_no_sense_are_refused(
    datasets: tuple[Dataset, Dataset], members: Any, settings: Any, text: str
) -> None:
    weights = members if isinstance(members, tuple) else (1,) * members
    with pytest.raises(ValueError, match=text):
        Mixture(zip(datasets, weights, strict=False), **settings)


def test_what_a_mixture_cannot_end_with_is_refused(datasets: tuple[Dataset, Dataset]) -> None:
    mixture = Mixture(zip(datasets, (3, 1), strict=True))
    with pytest.raises(ValueError, match=r"a mixture has no last batch to fill: .*take remainder='drop', got 'exact'"):
        reader(mixture, remainder="exact")
    with pytest.raises(ValueError, match="few: 4 selected rows are fewer than the 12 streams"):
        reader(Mixture([(datasets[0], 3), Member(datasets[1], 1, pc.field("id") < 1004)]))
    with pytest.raises(ValueError, match=r"makes no step of 1200 rows; .*few has 30 selected rows"):
        reader(mixture, size=1200)


def test_more_than_the_budget_is_refused_with_a_way_that_fits(datasets: tuple[Dataset, Dataset]) -> None:
    mixture = Mixture(zip(datasets, (3, 1), strict=True))
    with pytest.raises(ValueError, match=r"would hold .* of rows, more than memory_budget=500 .*or memory_budget=\d+$"):
        open_reader(mixture, ReadOptions(), global_batch_size=12, memory_budget=500)


def test_a_row_group_that_cannot_be_read_is_named_or_skipped(datasets: tuple[Dataset, Dataset]) -> None:
    mixture = Mixture(zip(datasets, (3, 1), strict=True), source="of")
    one, other = (reader(mixture, on_error=on_error, max_skipped=1) for on_error in ("raise", "skip"))
    (Path(datasets[1].url) / "a.parquet").unlink()
    with pytest.raises(DatasetInvalid, match=r"few/a\.parquet row group \d"):
        list(one)
    found = [row for batch in other for row in batch.to_pylist()]
    assert [row["valid"] for row in found] == [row["text"] != "" for row in found]
    assert sum(not row["valid"] for row in found) == len(found) / 4
