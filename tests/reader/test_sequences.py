"""Sequences: exactly those that there are, over row groups and files, in the order of a plan that is resumed."""

from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from contracts import assert_resumes_elsewhere, assert_resumes_exactly, content_of
from counting import counted
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import examples
from tiny import make_rows, publish_dataset, write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid, ResumeMismatch
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import (
    Mixture,
    Reader,
    ReadOptions,
    RowWeights,
    Sequence,
    open_reader,
    summarise_mixture,
    summarise_plan,
)
from bigdata_ml.reader.select.sequences import select_starts

IDS = ("id",)


def reader(dataset: Any, sequence: Sequence, rank: int = 0, world_size: int = 1, *, size: int = 1, **read: Any) -> Reader:
    options = ReadOptions(**{"columns": IDS, **read}, sequence=sequence)
    return open_reader(dataset, options, global_batch_size=size, rank=rank, world_size=world_size)


def sequences(one: Reader) -> list[list[int]]:
    return [ids for batch in one for ids in batch["id"].to_pylist()]


@pytest.fixture
def sensors(tmp_path: Path) -> Dataset:
    """ids 0 … 99 in row groups of 7 and three files: sensors a (40 rows), b (25), c (35), a time each second; a gap of a
    minute after a's 30th row, b's third and fourth at the same time."""
    times: list[int] = []
    for rows in (40, 25, 35):
        times += [second + (60 if rows == 40 and second >= 30 else 0) for second in range(rows)]
    times[43] = times[42]
    table = pa.table(
        {
            "id": range(100),
            "sensor": ["a"] * 40 + ["b"] * 25 + ["c"] * 35,
            "at": [datetime(2026, 1, 1) + timedelta(seconds=one) for one in times],
            "tick": times,
            "text": [f"a text of more than twelve bytes, {one}" for one in range(100)],
        }
    )
    files = {"a.parquet": table.slice(0, 33), "b.parquet": table.slice(33, 30), "c.parquet": table.slice(63)}
    return Dataset.open(write_plain(tmp_path / "sensors", files, row_group_size=7))


def by_hand(
    order: list[float], entity: list[Any], kept: list[bool], length: int, gap: float | None, overlap: bool, stride: int
) -> list[int]:
    """The definition, row by row."""
    found, run, least = [], 0, None
    for row in range(len(order)):
        before = row - 1
        goes_on = row > 0 and kept[row] and kept[before] and entity[row] == entity[before]
        if not (goes_on and (gap is None or order[row] - order[before] <= gap)):
            run, least = row, None
        window = range(row, row + length)
        if window.stop > len(order) or not all(kept[one] for one in window):
            continue
        if any(entity[one] != entity[row] for one in window):
            continue
        if gap is not None and any(order[one] - order[one - 1] > gap for one in window[1:]):
            continue
        if (row - run) % stride or (least is not None and order[row] <= least):
            continue
        found.append(row)
        if not overlap:
            least = order[window[-1]]
    return found


@settings(max_examples=examples(150))
@given(data=st.data())
def test_exactly_the_sequences_that_there_are_begin(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = data.draw(st.integers(1, 60))
    entity = np.sort(data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))).tolist()
    steps = data.draw(st.lists(st.sampled_from([0, 1, 1, 1, 2, 9]), min_size=rows, max_size=rows))
    order = [int(one) for one in np.cumsum(steps)]
    kept = data.draw(st.lists(st.sampled_from([True] * 9 + [False]), min_size=rows, max_size=rows))
    overlap, group, cut = data.draw(st.booleans()), data.draw(st.sampled_from([1, 3, 8, 100])), rows // 3
    stride = data.draw(st.integers(1, 3)) if overlap else 1
    length, gap = data.draw(st.integers(1, 6)), data.draw(st.sampled_from([None, 0, 1, 5]))
    table = pa.table({"id": range(rows), "t": order, "e": entity, "kept": kept})
    files = {"a.parquet": table.slice(0, cut), "b.parquet": table.slice(cut)}
    dataset = Dataset.open(write_plain(tmp_path_factory.mktemp("sequences"), files, row_group_size=group))
    sequence = Sequence(length=length, order="t", entity="e", max_gap=gap, stride=stride, overlap=overlap)
    wanted = by_hand(order, entity, kept, length, gap, overlap, stride)
    selection = select_starts(dataset, pc.field("kept"), sequence)
    starts = np.cumsum([0, *dataset.row_groups.rows.tolist()]).tolist()
    assert [starts[at] + row for at in range(len(starts) - 1) for row in selection.rows(at).tolist()] == wanted
    if wanted:
        read = {"predicate": pc.field("kept"), "remainder": "pad", "window": 10}
        found = sequences(reader(dataset, sequence, **read))
        assert sorted(found) == [list(range(row, row + length)) for row in wanted]


def test_sequences_go_over_row_groups_and_files_but_not_over_entities_and_gaps(sensors: Dataset) -> None:
    sequence = Sequence(length=5, order="at", entity="sensor", max_gap=timedelta(seconds=2))
    found = sequences(reader(sensors, sequence, shuffle=False))
    runs = [(0, 30), (30, 40), (40, 65), (65, 100)]
    assert found == [list(range(row, row + 5)) for begin, end in runs for row in range(begin, end - 4)]


@pytest.mark.parametrize(
    ("settings", "starts"),
    [
        ({"stride": 4}, [65, 69, 73, 77, 81, 85, 89, 93]),
        ({"overlap": False}, [65, 70, 75, 80, 85, 90, 95]),
        ({"overlap": False, "length": 12}, [65, 77]),
    ],
)
def test_strides_and_sequences_that_do_not_overlap_count_from_where_an_entity_begins(
    sensors: Dataset, settings: dict[str, Any], starts: list[int]
) -> None:
    sequence = Sequence(**{"length": 5, "order": "tick", "entity": "sensor", **settings})
    found = sequences(reader(sensors, sequence, predicate=pc.field("sensor") == "c", shuffle=False))
    assert [one[0] for one in found] == starts


def test_sequences_that_do_not_overlap_share_no_value_of_the_order(sensors: Dataset) -> None:
    sequence = Sequence(length=3, order="tick", entity="sensor", overlap=False)
    found = sequences(reader(sensors, sequence, predicate=pc.field("sensor") == "b", shuffle=False))
    # b's rows 42 and 43 are at the same time.
    assert [one[0] for one in found][:3] == [40, 44, 47]


def test_a_predicate_holds_for_every_row_of_a_sequence(sensors: Dataset) -> None:
    sequence = Sequence(length=4, order="at", entity="sensor")
    found = sequences(reader(sensors, sequence, predicate=~pc.field("id").isin([70, 90]), shuffle=False))
    assert {row for one in found for row in one} & {70, 90} == set()
    assert all(one == list(range(one[0], one[0] + 4)) for one in found)
    assert [one[0] for one in found if one[0] >= 65] == [65, 66, *range(71, 87), *range(91, 97)]


@pytest.mark.parametrize(("remainder", "shuffle"), list(product(("drop", "pad", "exact"), (True, False, "groups"))))
def test_it_resumes_exactly(sensors: Dataset, remainder: str, shuffle: Any) -> None:
    sequence = Sequence(length=3, order="tick", entity="sensor", max_gap=30)
    read = {"remainder": remainder, "shuffle": shuffle, "columns": ("id", "text")}
    assert_resumes_exactly(lambda: reader(sensors, sequence, size=16, **read))


def test_any_world_size_goes_on_with_the_same_global_batches(sensors: Dataset) -> None:
    sequence = Sequence(length=9, order="tick", entity="sensor", span=2)
    read = {"remainder": "exact", "window": 30}
    assert_resumes_elsewhere(lambda rank, world: reader(sensors, sequence, rank, world, size=24, **read), (2, 3, 12))


def test_every_column_becomes_one_of_lists_with_the_values_of_its_rows(sensors: Dataset) -> None:
    one = reader(sensors, Sequence(length=4, order="at", entity="sensor"), size=7, columns=("text", "id", "at", "sensor"))
    for batch in one:
        batch.validate(full=True)
        assert batch.schema.field("text").type == pa.list_(pa.field("item", pa.string(), nullable=False), 4)
        for row in batch.to_pylist():
            assert row["text"] == [f"a text of more than twelve bytes, {one}" for one in row["id"]]
            assert len(set(row["sensor"])) == 1


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loaders_tensors_have_the_length_as_their_second_dimension(train: Dataset, num_workers: int) -> None:
    read = ReadOptions(sequence=Sequence(length=4, order="id"), remainder="exact", seed=1)
    seen = []
    for batch in make_loader(train, read, global_batch_size=8, num_workers=num_workers):
        assert {name: tuple(batch[name].shape) for name in ("id", "image", "label", "note_valid", "valid")} == {
            "id": (8, 4), "image": (8, 4, 8, 8, 1), "label": (8, 4), "note_valid": (8, 4), "valid": (8,),
        }  # fmt: skip
        assert (batch["label"] == batch["id"] % 3).all()
        assert all(len(one) == 4 for one in batch["note"])
        seen += [ids for ids, valid in zip(batch["id"].tolist(), batch["valid"].tolist(), strict=True) if valid]
    assert sorted(seen) == [list(range(row, row + 4)) for row in range(44)]


def test_a_loader_goes_on_after_any_batch(train: Dataset) -> None:
    read = ReadOptions(sequence=Sequence(length=4, order="id"), window=20)
    assert_resumes_exactly(lambda: make_loader(train, read, global_batch_size=8, num_workers=2))


def test_values_of_every_kind_are_those_of_single_rows(train: Dataset) -> None:
    single = {row["id"]: row for batch in open_reader(train, ReadOptions(), global_batch_size=1) for row in batch.to_pylist()}
    for batch in open_reader(train, ReadOptions(sequence=Sequence(length=6, order="id", span=1)), global_batch_size=1):
        for row in batch.to_pylist():
            for step, one in enumerate(row["id"]):
                assert {name: values[step] for name, values in row.items()} == single[one]


def test_weights_are_those_of_the_first_row(sensors: Dataset) -> None:
    sequence = Sequence(length=3, order="tick", entity="sensor")
    weights = RowWeights("sensor", {"b": 2}, default=0)
    found = sequences(reader(sensors, sequence, weights=weights, remainder="pad"))
    assert sorted(found) == sorted([list(range(row, row + 3)) for row in range(40, 63)] * 2)
    assert_resumes_exactly(lambda: reader(sensors, sequence, weights=RowWeights("tick"), size=64))


def test_sequences_are_mixed_like_rows(sensors: Dataset, train: Dataset) -> None:
    length = Sequence(length=3, order="id", max_gap=1)
    mixture = Mixture([(sensors, 1), (train, 1)], source="of", stop="all")
    one = open_reader(mixture, ReadOptions(columns=IDS, sequence=length), global_batch_size=4)
    rows = [row for batch in one for row in batch.to_pylist()]
    assert all(row["id"] == list(range(row["id"][0], row["id"][0] + 3)) and len(set(row["of"])) == 1 for row in rows)
    said = summarise_mixture(mixture, ReadOptions(columns=IDS, sequence=length), global_batch_size=4)
    assert [member.rows for member in said.members] == [98, 45]
    assert len({tuple(row["id"]) for row in rows if row["of"][0] == 0}) == 98


@pytest.mark.parametrize("span", [1, 2, 5, 100])
def test_rows_read_are_those_that_the_plan_promises(sensors: Dataset, span: int) -> None:
    dataset, opened = counted(sensors)
    read = ReadOptions(sequence=Sequence(length=4, order="tick", entity="sensor", span=span), window=10, columns=IDS)
    said = summarise_plan(dataset, read, global_batch_size=4, world_size=2)
    before = opened.total()
    batches = [
        content_of(batch) for rank in (0, 1) for batch in open_reader(dataset, read, global_batch_size=4, rank=rank, world_size=2)
    ]
    assert len(batches) == 2 * said.steps
    # The first opening of a file is for its footer, twice by each rank of three files.
    assert opened.total() - before == said.reads + 2 * 3
    assert said.read_amplification >= 1


def test_the_order_of_sequences_is_pinned(sensors: Dataset) -> None:
    sequence = Sequence(length=3, order="tick", entity="sensor", span=2)
    found = sequences(reader(sensors, sequence, size=4, seed=5))
    assert [one[0] for one in found[:8]] == [75, 46, 59, 32, 65, 51, 58, 29]


@pytest.mark.parametrize("groups", [10, 400])
def test_spans_are_four_times_the_row_groups_that_sequences_reach_into_where_there_are_many(tmp_path: Path, groups: int) -> None:
    rows = pa.table({"id": range(groups * 5)})
    dataset = Dataset.open(write_plain(tmp_path, {"a.parquet": rows}, row_group_size=5))
    said = summarise_plan(dataset, ReadOptions(sequence=Sequence(length=6, order="id"), shuffle=False), global_batch_size=1)
    assert said.read_amplification == pytest.approx(2 if groups == 10 else 1.25, abs=0.11)


def test_what_is_held_does_not_grow_with_the_length_of_sequences(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (2000, 1000), np.uint8)
    rows = pa.table({"id": range(2000), "noise": [bytes(one) for one in noise]})
    dataset, most = Dataset.open(write_plain(tmp_path, {"a.parquet": rows}, row_group_size=50)), []
    for length in (2, 40):
        before = pa.total_allocated_bytes()
        options = ReadOptions(sequence=Sequence(length=length, order="id", span=4), window=200, streams=1, columns=("noise",))
        held = []
        for batch in open_reader(dataset, options, global_batch_size=1):
            del batch
            held.append(pa.total_allocated_bytes() - before)
        most.append(max(held))
    # Three spans of 200 rows of 1,000 bytes and of the rows behind them: what 40 rows for each of 200 sequences are is tenfold.
    assert max(most) < 3 * 250 * 1000 * 1.1


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (
            [0, 1, 2, 3, 5, 4, 6, 7],
            r"x\.parquet row group 1 row 2 field 't': is 4 after 5 in the row before; sequences",
        ),
        ([0, 1, 9, 3, 5, 6, 6, 7], r"x\.parquet row group 1 row 0 field 't': is 3 after 9"),
        ([0, 1, None, 3, 5, 6, 6, 7], r"x\.parquet row group 0 row 2 field 't': is null or NaN"),
        ([0.5, 1, 2, 3, float("nan"), 6, 6, 7], r"x\.parquet row group 1 row 1 field 't': is null or NaN"),
    ],
)
def test_rows_that_do_not_ascend_are_named_unless_a_predicate_leaves_them_out(tmp_path: Path, column: Any, text: str) -> None:
    rows = pa.table({"id": range(8), "t": column})
    dataset = Dataset.open(write_plain(tmp_path, {"x.parquet": rows}, row_group_size=3))
    with pytest.raises(DatasetInvalid, match=text):
        reader(dataset, Sequence(length=2, order="t"))
    assert sequences(reader(dataset, Sequence(length=2, order="t"), predicate=pc.field("id") > 5)) == [[6, 7]]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"order": "nope"}, "has no field 'nope' to make sequences by; it has id, sensor, at, tick, text"),
        ({"order": "id", "entity": "who"}, "has no field 'who' to make sequences by"),
        ({"order": "text"}, "field 'text' is string, and sequences need numbers"),
        ({"order": "id", "max_gap": timedelta(seconds=1)}, "field 'id' is int64, no time; give max_gap as a number"),
        ({"order": "id", "length": 101}, "0 selected rows make no step"),
    ],
)
def test_sequences_that_do_not_fit_the_dataset_are_refused(sensors: Dataset, settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        reader(sensors, Sequence(**{"length": 3, **settings}))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"length": 0}, "length must be 1 or more, got 0"),
        ({"stride": 0}, "stride must be 1 or more, got 0"),
        ({"span": 0}, "span must be 1 or more, got 0"),
        ({"max_gap": -1}, "max_gap must be 0 or more, got -1"),
        ({"max_gap": timedelta(-1)}, "max_gap must be 0 or more"),
        ({"overlap": False, "stride": 2}, "overlap=False says itself where samples begin"),
    ],
)
def test_sequences_that_make_no_sense_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Sequence(**{"length": 3, "order": "t", **settings})


def test_a_state_of_other_sequences_is_refused(sensors: Dataset) -> None:
    one = Sequence(length=3, order="tick", entity="sensor")
    state = reader(sensors, one).state_dict()
    for other in (
        Sequence(length=4, order="tick", entity="sensor"),
        Sequence(length=3, order="tick", entity="sensor", max_gap=9),
        Sequence(length=3, order="tick", entity="sensor", span=3),
        Sequence(length=3, order="id"),
    ):
        with pytest.raises(ResumeMismatch, match="selection differs"):
            reader(sensors, other).load_state_dict(state)


def test_first_rows_are_kept_in_a_directory_for_other_processes(tmp_path: Path) -> None:
    rows = make_rows(40)
    train = publish_dataset(tmp_path / "p", splits={"train": rows}).split("train")
    options = ReadOptions(sequence=Sequence(length=3, order="id"), columns=IDS)
    first = sequences(open_reader(train, options, global_batch_size=1, selection_cache=tmp_path / "cache"))
    dataset, opened = counted(Dataset.open(train.url).split("train"))
    again = open_reader(dataset, options, global_batch_size=1, selection_cache=tmp_path / "cache")
    assert not opened
    assert sequences(again) == first


def test_more_than_the_budget_is_refused(sensors: Dataset) -> None:
    options = ReadOptions(sequence=Sequence(length=3, order="id"))
    with pytest.raises(ValueError, match=r"would hold .* of rows, more than memory_budget=100 .*or memory_budget=\d+$"):
        open_reader(sensors, options, global_batch_size=4, memory_budget=100)


def test_a_span_that_cannot_be_read_keeps_the_places_of_its_sequences(sensors: Dataset) -> None:
    options = {"columns": ("id", "text"), "shuffle": False, "max_skipped": 1}
    sequence = Sequence(length=3, order="id", span=1)
    one, other = (reader(sensors, sequence, on_error=on_error, **options) for on_error in ("raise", "skip"))
    whole = sequences(reader(sensors, sequence, shuffle=False))
    (Path(sensors.url) / "b.parquet").unlink()
    with pytest.raises(DatasetInvalid, match=r"b\.parquet row group 0"):
        list(one)
    rows = [row for batch in other for row in batch.to_pylist()]
    assert [row["id"] for row in rows if row["valid"]] == [ids for ids, row in zip(whole, rows, strict=True) if row["valid"]]
    # Of b, and of the span before it whose last sequences reach into it.
    assert [row["id"] for row in rows if not row["valid"]] == [[0, 0, 0]] * 35
