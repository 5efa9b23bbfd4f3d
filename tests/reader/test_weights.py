"""Weights: rows come as often as drawn, counted before step 1, the same at every world size and after a stop."""

from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from contracts import assert_resumes_elsewhere, assert_resumes_exactly, ids_of
from counting import counted
from plans import make_plan, weighted
from tiny import make_rows, publish_dataset, write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid, ResumeMismatch
from bigdata_ml.reader import Reader, ReadOptions, RowWeights, open_reader, summarise_plan
from bigdata_ml.reader.select.selection import Selection, select
from bigdata_ml.reader.select.weights import weigh


@pytest.fixture
def classes(tmp_path: Path) -> Dataset:
    """300 ids, 10 a row group: `kind` is a, b or c for 200, 90 and 10 of them, `w` is id / 100, `none` is null at id 7."""
    kinds = ["a"] * 200 + ["b"] * 90 + ["c"] * 10
    kinds = [kinds[one] for one in np.random.default_rng(0).permutation(300)]
    none = [None if one == 7 else 1.0 for one in range(300)]
    rows = pa.table({"id": range(300), "kind": kinds, "w": [one / 100 for one in range(300)], "none": none})
    return Dataset.open(write_plain(tmp_path / "classes", {"a.parquet": rows}, row_group_size=10))


def reader(dataset: Dataset, rank: int = 0, world_size: int = 1, *, size: int = 12, **read: Any) -> Reader:
    return open_reader(dataset, ReadOptions(**read), global_batch_size=size, rank=rank, world_size=world_size)


def times(one: Reader, *, epochs: int, field: str = "id") -> Counter[Any]:
    """How often each value of a field comes, marked repetitions left out."""
    found: Counter[Any] = Counter()
    for _ in range(epochs):
        for batch in one:
            values = zip(batch[field].to_pylist(), batch["repeated"].to_pylist(), strict=True)
            found.update(value for value, repeated in values if not repeated)
    return found


def test_a_row_comes_as_often_as_its_weight_says_on_average_over_a_thousand_epochs() -> None:
    weights = [0, 0.1, 0.5, 1, 1.75, 3]
    selection = weighted(Selection(np.array([60, 6]), {}, "all"), weights)
    found = np.zeros((2, 60))
    for epoch in range(1000):
        drawn = selection.of_epoch(3, epoch)
        for group in (0, 1):
            rows, copies = drawn.entries(group)
            found[group] += np.bincount(rows, minlength=60)
            assert copies.max() <= 2
        assert drawn.total == sum(len(drawn.entries(group)[0]) for group in (0, 1))
    # A row's copies are ⌊w⌋ or one more: their standard deviation is at most 1/2, the mean's of 1,000 epochs at most 0.016.
    wanted = np.array([weights[row % 6] for row in range(60)])
    assert np.abs(found[0] / 1000 - wanted).max() < 5 * 0.016
    assert np.abs(found[1, :6] / 1000 - wanted[:6]).max() < 5 * 0.016
    assert found[:, [0, 3, 5]].tolist() == [[0, 1000, 3000]] * 2


def test_draws_of_rows_and_of_epochs_are_independent() -> None:
    selection = weighted(Selection(np.array([5000]), {}, "all"), [0.5])
    drawn = [np.bincount(selection.of_epoch(0, epoch).entries(0)[0], minlength=5000) for epoch in range(2)]
    assert abs(np.corrcoef(drawn[0], drawn[1])[0, 1]) < 0.07
    assert abs(np.corrcoef(drawn[0][1:], drawn[0][:-1])[0, 1]) < 0.07


def test_the_draws_are_pinned() -> None:
    plan = make_plan([4, 3], size=2, streams=1, weights=[0.5, 2.25], remainder="pad", epoch=1)
    rows = [plan.step_rows(step, range(1)) for step in range(plan.steps)]
    found = [list(zip(one.groups.tolist(), one.rows.tolist(), one.copies.tolist(), strict=True)) for one in rows]
    assert found == [[(1, 1, 1), (1, 1, 0)], [(0, 3, 1), (0, 1, 0)], [(0, 1, 1), (0, 3, 0)]]


def test_copies_of_a_row_do_not_come_together() -> None:
    plan = make_plan([1000], size=1000, streams=1, weights=[4])
    rows = plan.group_rows(0)[0]
    # 4,000 places of which any two neighbours are the same row with probability 3 / 3,999.
    assert int((np.diff(rows) == 0).sum()) < 15


@pytest.mark.parametrize(("remainder", "shuffle"), list(product(("drop", "pad", "exact"), (True, False, "groups"))))
def test_it_resumes_exactly_and_its_steps_are_each_epochs_own(classes: Dataset, remainder: str, shuffle: Any) -> None:
    read = {"weights": RowWeights("w"), "remainder": remainder, "shuffle": shuffle, "columns": ("id",)}
    assert_resumes_exactly(lambda: reader(classes, size=40, **read))


def test_any_world_size_goes_on_with_the_same_global_batches(classes: Dataset) -> None:
    read = {
        "weights": RowWeights("kind", {"c": 5, "a": 0.25}),
        "remainder": "exact",
        "window": 40,
        "predicate": pc.field("w") < 2,
    }
    assert_resumes_elsewhere(lambda rank, world_size: reader(classes, rank, world_size, size=24, streams=12, **read), (2, 3, 12))


def test_the_number_of_steps_is_that_of_the_current_epoch(classes: Dataset) -> None:
    one = reader(classes, size=1, weights=RowWeights("w"))
    lengths = []
    for epoch in range(5):
        one.set_epoch(epoch)
        lengths.append(len(one))
        assert one.state_at(epoch, len(one)) == one.state_at(epoch + 1, 0)
        assert len([batch["id"] for batch in one]) == lengths[-1]
    assert len(set(lengths)) > 1
    assert all(abs(length - 448.5) < 60 for length in lengths)


def test_classes_come_as_often_as_they_are_weighted_and_others_by_default(classes: Dataset) -> None:
    weights = RowWeights("kind", {"c": 6, "a": 0.5}, default=1)
    found = times(reader(classes, weights=weights, remainder="pad"), epochs=40, field="kind")
    assert (found["b"], found["c"]) == (40 * 90, 40 * 60)
    # 200 draws of 1/2 each in 40 epochs: the standard deviation is 45.
    assert abs(found["a"] - 40 * 100) < 225


def test_balanced_classes_come_equally_often_and_an_epoch_stays_as_long(classes: Dataset) -> None:
    weights = RowWeights("kind", "balanced")
    selection = weigh(classes, select(classes, None), weights)
    assert selection.usual == 300
    found = times(reader(classes, weights=weights, remainder="pad"), epochs=50, field="kind")
    assert all(abs(found[kind] - 50 * 100) < 200 for kind in "abc")


def test_what_a_predicate_leaves_out_is_not_weighed_or_counted(classes: Dataset) -> None:
    predicate = pc.field("id") != 7
    balanced = weigh(classes, select(classes, pc.field("kind") != "a"), RowWeights("kind", "balanced"))
    assert balanced.usual == 100
    one = reader(classes, predicate=predicate, weights=RowWeights("none"), remainder="pad")
    assert times(one, epochs=1) == Counter(set(range(300)) - {7})
    with pytest.raises(DatasetInvalid, match=r"a\.parquet row group 0 row 7 field 'none': is None, a weight must be a number in"):
        reader(classes, weights=RowWeights("none"))


def test_a_weight_of_one_is_no_weight_but_in_name(classes: Dataset) -> None:
    read = {"seed": 4, "window": 30, "remainder": "exact"}
    plain, ones = (reader(classes, weights=weights, **read) for weights in (None, RowWeights("kind", {"a": 1})))
    assert [ids_of(batch) for batch in plain] == [ids_of(batch) for batch in ones]


@pytest.mark.parametrize("value", [-0.5, float("nan"), float("inf"), 2.0**21])
def test_weights_that_are_none_are_named_with_their_row(tmp_path: Path, value: float) -> None:
    rows = pa.table({"id": range(9), "w": [1.0] * 6 + [value] + [1.0] * 2})
    dataset = Dataset.open(write_plain(tmp_path, {"x.parquet": rows}, row_group_size=5))
    with pytest.raises(DatasetInvalid, match=r"x\.parquet row group 1 row 1 field 'w': .*leave such rows out by predicate="):
        reader(dataset, size=1, weights=RowWeights("w"))


def test_a_null_is_no_class_to_balance_and_has_the_default_or_its_own_weight_otherwise(tmp_path: Path) -> None:
    rows = pa.table({"id": range(6), "k": ["a", None, "a", "b", None, "b"]})
    dataset = Dataset.open(write_plain(tmp_path, {"x.parquet": rows}))
    with pytest.raises(DatasetInvalid, match="row group 0 row 1 field 'k': is None, which is no class"):
        reader(dataset, size=1, weights=RowWeights("k", "balanced"))
    for classes, nulls in (({"a": 2}, 1), ({"a": 2, None: 3}, 3)):
        found = times(reader(dataset, size=1, weights=RowWeights("k", classes), remainder="pad"), epochs=1)
        assert found == {0: 2, 1: nulls, 2: 2, 3: 1, 4: nulls, 5: 1}


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        (RowWeights("nope"), "has no field 'nope' to take weights from; it has id, kind, w, none"),
        (RowWeights("kind"), r"field 'kind' is string, no number, and cannot hold weights; give RowWeights\(column, \{value"),
        (RowWeights("id", {"x": 1}), "classes 'x' are no values of field 'id' as it is stored, which is int64"),
        (RowWeights("kind", {}, default=0), "0 selected rows make no step"),
    ],
)
def test_weights_that_do_not_fit_are_refused(classes: Dataset, weights: RowWeights, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        reader(classes, weights=weights)


def test_classes_that_no_row_has_are_said(classes: Dataset) -> None:
    with pytest.warns(UserWarning, match="no selected row has the field 'kind' at 'z'"):
        assert len(reader(classes, size=1, weights=RowWeights("kind", {"z": 2}))) == 300


@pytest.mark.parametrize("settings", [{"classes": "equal"}, {"classes": {"a": -1}}, {"default": float("nan")}, {"default": "1"}])
def test_weights_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be a (mapping of value to weight|number in \[0, 1048576\])"):
        RowWeights("x", **settings)


def test_a_state_of_other_weights_is_refused(classes: Dataset) -> None:
    state = reader(classes, weights=RowWeights("kind", {"a": 2})).state_dict()
    assert len(state) == len(reader(classes).state_dict())
    for other in (None, RowWeights("kind", {"a": 3}), RowWeights("kind", {"a": 2}, default=2), RowWeights("w")):
        with pytest.raises(ResumeMismatch, match="selection differs"):
            reader(classes, weights=other).load_state_dict(state)


def test_weights_are_kept_in_a_directory_for_other_processes(tiny: Dataset, tmp_path: Path) -> None:
    read = ReadOptions(predicate=pc.field("id") > 3, weights=RowWeights("label", {"bee": 2.5}))
    first = open_reader(tiny, read, global_batch_size=4, selection_cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    dataset, opened = counted(Dataset.open(tiny.url))
    second = open_reader(dataset, read, global_batch_size=4, selection_cache=tmp_path / "cache")
    assert not opened
    assert [one["id"].to_pylist() for one in first] == [one["id"].to_pylist() for one in second]


def test_many_different_weights_of_a_row_group_are_kept_as_they_are(tmp_path: Path) -> None:
    rows = 70_000
    table = pa.table({"id": range(rows), "w": np.arange(rows) % 69_000})
    dataset = Dataset.open(write_plain(tmp_path, {"x.parquet": table}, row_group_size=rows))
    one = reader(dataset, weights=RowWeights("w"), predicate=pc.field("w") < 2, size=1, remainder="pad")
    assert times(one, epochs=1) == {1: 1, 69_001: 1}
    assert weigh(dataset, select(dataset, None), RowWeights("w")).usual == sum(one % 69_000 for one in range(rows))


def test_a_plan_says_the_rows_of_its_epoch_and_what_is_held_at_most_in_any(classes: Dataset) -> None:
    read = ReadOptions(weights=RowWeights("w"), remainder="pad", window=50)
    found = [summarise_plan(classes, read, global_batch_size=10, epoch=epoch) for epoch in range(4)]
    for epoch, one in enumerate(found):
        again = reader(classes, size=10, weights=RowWeights("w"), remainder="pad", window=50)
        again.set_epoch(epoch)
        assert (one.steps, one.rows) == (len(again), sum(len(ids_of(batch)) for batch in again))
    assert len({one.rows for one in found}) > 1
    assert len({one.held_bytes_bound for one in found}) == 1


def test_hive_keys_may_be_classes(tmp_path: Path) -> None:
    files = {f"k={key}/x.parquet": pa.table({"id": [key, key + 1]}) for key in (10, 20)}
    dataset = Dataset.open(write_plain(tmp_path, files))
    found = times(reader(dataset, size=1, columns=("id",), weights=RowWeights("k", {20: 2}), remainder="pad"), epochs=1)
    assert found == {10: 1, 11: 1, 20: 2, 21: 2}


def test_published_datasets_are_weighed_split_by_split(tmp_path: Path) -> None:
    dataset = publish_dataset(tmp_path / "p", splits={"train": make_rows(30), "test": make_rows(9)})
    weights = RowWeights("label", "balanced")
    assert [weigh(one, select(one, None), weights).usual for one in (dataset, dataset.split("test"))] == [39, 9]
