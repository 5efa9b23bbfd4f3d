"""Loaders over readers: lengths, positions, nulls, text, ranks, memory."""

import itertools
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from bigdata_ml.compat.petastorm import (
    BatchedDataLoader,
    DataLoader,
    InMemBatchedDataLoader,
    TransformSpec,
    make_batch_reader,
    make_reader,
)
from bigdata_ml.errors import ResumeMismatch

pytestmark = pytest.mark.filterwarnings("ignore:.* has no Petastorm schema:UserWarning")


def loader(table: str, **options: Any) -> BatchedDataLoader:
    reader = make_batch_reader(table, schema_fields=["id", "x"], seed=5, num_epochs=options.pop("num_epochs", 2))
    return BatchedDataLoader(reader, 100, **options)


def ids(batches: Any) -> list[list[int]]:
    return [batch["id"].tolist() for batch in batches]


def flat(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


@pytest.mark.parametrize("window", [0, 300])
def test_a_loader_goes_on_where_another_was_stopped(table: str, window: int) -> None:
    whole = ids(loader(table, shuffling_queue_capacity=window))
    assert sorted(flat(whole)) == sorted([*range(1028)] * 2)
    for taken in (0, 1, 10, 11, 12, 21, 22):
        first = loader(table, shuffling_queue_capacity=window)
        assert ids(itertools.islice(first, taken)) == whole[:taken]
        state = json.loads(json.dumps(first.state_dict()))
        second = loader(table, shuffling_queue_capacity=window)
        second.load_state_dict(state)
        assert ids(second) == whole[taken:], taken


def test_a_loader_knows_its_length_and_can_be_left_and_begun_again(table: str) -> None:
    batches = loader(table, shuffling_queue_capacity=200)
    assert len(batches) == 22
    left = ids(itertools.islice(batches, 3))
    whole = ids(batches)
    assert len(whole) == 22
    assert whole[:3] == left
    again = ids(batches)
    assert sorted(flat(again)) == sorted(flat(whole))
    assert again != whole


def test_the_queue_mixes_rows_across_row_groups(table: str) -> None:
    def groups(first: list[int]) -> int:
        return len({(row // 257, row % 257 // 25) for row in first})

    assert groups(ids(loader(table, shuffling_queue_capacity=500))[0]) > 10
    assert groups(ids(loader(table))[0]) <= 7


def test_without_shuffled_groups_the_queue_mixes_along_the_datasets_order(table: str) -> None:
    reader = make_batch_reader(table, schema_fields=["id"], shuffle_row_groups=False, seed=1)
    batches = ids(BatchedDataLoader(reader, 64, shuffling_queue_capacity=128))
    found = flat(batches)
    assert found != [*range(1028)]
    assert max(abs(place - row) for place, row in enumerate(found)) <= 128 + 25 + 64


@pytest.mark.parametrize(("last", "sizes"), [("short", [1028 - 960]), ("drop", [96]), ("pad", [96])])
def test_every_rank_makes_the_same_batches(table: str, last: Any, sizes: list[int]) -> None:
    ranks = [
        DataLoader(make_reader(table, schema_fields=["id"], cur_shard=rank, shard_count=3), 32, last_batch=last)
        for rank in range(3)
    ]
    batches = [ids(one) for one in ranks]
    assert {len(one) for one in batches} == {len(ranks[0])} == {10 if last == "drop" else 11}
    assert [sum(len(one[-1]) for one in batches)] == sizes
    rows = [row for one in batches for batch in one for row in batch]
    assert len(set(rows)) == (960 if last == "drop" else 1028)


def test_a_rank_without_a_last_row_is_told_of_beforehand(table: str) -> None:
    ranks = []
    for rank in range(3):
        reader = make_reader(table, schema_fields=["id", "x"], cur_shard=rank, shard_count=3)
        with pytest.warns(UserWarning, match="2 rows for 3 ranks"):
            ranks.append(list(DataLoader(reader, 19)))
    assert sorted(len(one[-1]["id"]) for one in ranks) == [0, 1, 1]
    assert all(one[-1]["x"].dtype == torch.float32 for one in ranks)


def test_unknown_values_and_text_reach_the_batch(table: str) -> None:
    reader = make_batch_reader(table, schema_fields=["id", "maybe", "count", "name", "when", "day"], shuffle_row_groups=False)
    batch = next(iter(BatchedDataLoader(reader, 8)))
    assert batch["maybe"] == [None, "t1", "t2", "t0", "t1", None, "t0", "t1"]
    assert batch["count"].isnan().tolist() == [True, False, False, False, False, False, False, True]
    assert batch["name"][:2] == ["row 0", "row 1"]
    assert batch["when"].tolist() == list(range(8))
    assert str(batch["day"][1]) == "1970-01-02"


def test_unknown_arrays_are_refused_by_name(everything: str) -> None:
    loader = DataLoader(make_reader(everything, schema_fields=["id", "deep"]), 40)
    with pytest.raises(TypeError, match=r"field 'deep' .*TransformSpec"):
        next(iter(loader))


def test_arrays_of_several_shapes_are_refused_by_name(everything: str) -> None:
    loader = DataLoader(make_reader(everything, schema_fields=["packed"]), 40)
    with pytest.raises(ValueError, match=r"field 'packed': the arrays of a batch have 4 shapes"):
        next(iter(loader))


def test_a_collate_function_is_told_of_unknown_values(everything: str) -> None:
    loader = DataLoader(make_reader(everything, schema_fields=["count"]), 40, collate_fn=list)
    with pytest.raises(TypeError, match="field 'count' "):
        next(iter(loader))


def test_a_loader_needs_a_reader_of_ours() -> None:
    with pytest.raises(TypeError, match="make_batch_reader"):
        DataLoader(iter([]))  # type: ignore[arg-type]


def test_a_loader_over_a_stopped_reader_says_so(table: str) -> None:
    with loader(table) as batches:
        next(iter(batches))
    with pytest.raises(RuntimeError, match="stopped"):
        next(iter(batches))


def test_a_state_of_a_reader_is_not_a_loaders(table: str) -> None:
    with pytest.raises(ResumeMismatch, match="taken from a reader"):
        loader(table).load_state_dict(make_batch_reader(table).state_dict())
    with pytest.raises(ResumeMismatch, match="window"):
        loader(table, shuffling_queue_capacity=65).load_state_dict(loader(table, shuffling_queue_capacity=64).state_dict())


def test_rows_held_in_memory_are_resumed_in_the_middle(table: str) -> None:
    def held() -> InMemBatchedDataLoader:
        reader = make_batch_reader(table, schema_fields=["id", "x"], seed=2)
        return InMemBatchedDataLoader(reader, batch_size=64, num_epochs=2, rows_capacity=300, shuffle=True, seed=9)

    whole = ids(held())
    assert sorted(flat(whole[:5])) == sorted(flat(whole[5:]))
    for taken in (0, 3, 5, 8):
        first = held()
        assert ids(itertools.islice(first, taken)) == whole[:taken]
        second = held()
        second.load_state_dict(first.state_dict())
        assert ids(second) == whole[taken:]


def test_a_batch_is_the_users_to_write_into(table: str) -> None:
    first, second = itertools.islice(loader(table, num_epochs=1), 2)
    before = second["id"].clone()
    first["id"] += 1
    assert torch.equal(second["id"], before)
    assert np.isfinite(first["x"].numpy()).all()


def held_bytes(folder: Path, **options: Any) -> list[int]:
    """Arrow's memory at each batch of 50 rows, of 4,000 rows of 1,000 bytes in row groups of 50, and a queue of 200."""
    noise = np.random.default_rng(0).integers(0, 255, (4000, 1000), np.uint8)
    rows = pa.table({"id": range(4000), "noise": [bytes(one) for one in noise]})
    pq.write_table(rows, folder / "0.parquet", row_group_size=50)
    del noise, rows
    reader = make_batch_reader(f"file://{folder}", num_epochs=2, seed=0, **options)
    before = pa.total_allocated_bytes()
    return [pa.total_allocated_bytes() - before for _ in BatchedDataLoader(reader, 50, shuffling_queue_capacity=200)]


def test_held_rows_stay_within_the_bound(tmp_path: Path) -> None:
    held = held_bytes(tmp_path, reader_pool_type="dummy")
    # The queue, a row group at both its ends, and a batch: of 4 MB in all.
    assert 100_000 < max(held) < (200 + 2 * 50 + 100) * 1000 * 1.1
    assert max(held[80:]) < 1.2 * max(held[:80])


def test_each_thread_holds_a_row_group_and_a_batch_more(tmp_path: Path) -> None:
    held = held_bytes(tmp_path, reader_pool_type="thread", workers_count=2)
    assert 100_000 < max(held) < (200 + 2 * 50 + 100 + 2 * (50 + 50)) * 1000 * 1.1


def test_lists_of_several_lengths_are_read(tmp_path: Path) -> None:
    lists = [list(range(row % 5)) for row in range(100)]
    pq.write_table(pa.table({"id": range(100), "list": lists}), tmp_path / "0.parquet", row_group_size=20)
    with make_batch_reader(f"file://{tmp_path}", shuffle_row_groups=False) as reader:
        found = [one.tolist() for batch in reader for one in batch.list]
    assert found == lists


def workers() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name.startswith(("read", "decode"))}


@pytest.mark.parametrize("stop", ["leave the with block", "stop the reader"])
def test_threads_end_with_the_reader_though_an_iteration_is_kept(table: str, stop: str) -> None:
    before = workers()
    batches = loader(table, shuffling_queue_capacity=300)
    kept = iter(batches)
    next(kept)
    assert workers() - before
    if stop == "stop the reader":
        batches.reader.stop()
    else:
        with batches:
            pass
    assert workers() <= before
    with pytest.raises(RuntimeError, match="stopped"):
        next(kept)


def test_held_rows_of_another_order_are_not_resumed(table: str) -> None:
    def held(seed: int, shuffle: bool) -> InMemBatchedDataLoader:
        reader = make_batch_reader(table, schema_fields=["id"], seed=seed)
        return InMemBatchedDataLoader(reader, batch_size=64, rows_capacity=300, shuffle=shuffle)

    state = json.loads(json.dumps(held(1, True).state_dict()))
    held(1, True).load_state_dict(state)
    with pytest.raises(ResumeMismatch, match="held differs"):
        held(2, True).load_state_dict(state)
    with pytest.raises(ResumeMismatch, match="shuffle differs"):
        held(1, False).load_state_dict(state)


def test_a_transform_that_leaves_rows_out_makes_smaller_batches_and_as_many(table: str) -> None:
    spec = TransformSpec(lambda frame: frame[frame["id"] % 2 == 0])
    batches = BatchedDataLoader(make_batch_reader(table, schema_fields=["id"], transform_spec=spec, seed=1), 100)
    found = ids(batches)
    assert len(found) == len(batches) == 11
    assert sorted(flat(found)) == [*range(0, 1028, 2)]


def test_a_loader_moved_before_its_first_batch_reads_from_there(table: str) -> None:
    whole, one = ids(loader(table)), loader(table)
    first = loader(table)
    assert ids(itertools.islice(first, 5)) == whole[:5]
    batches = iter(one)
    one.load_state_dict(first.state_dict())
    assert ids(batches) == whole[5:]
    batches = iter(one)
    one.load_state_dict({**one.state_dict(), "epochs_left": 0})
    assert list(batches) == []


def test_an_iteration_stops_once_a_newer_one_has_begun(table: str) -> None:
    one = loader(table)
    old = iter(one)
    next(old)
    next(iter(one))
    with pytest.raises(RuntimeError, match="newer iteration"):
        next(old)


@pytest.mark.parametrize("value", [True, 10**30, -1, float("nan"), "1", None])
def test_odd_positions_are_refused_by_loaders_readers_and_held_rows(table: str, value: Any) -> None:
    held = InMemBatchedDataLoader(make_batch_reader(table, schema_fields=["id"], seed=1), batch_size=64, rows_capacity=300)
    for one in (loader(table), make_reader(table, schema_fields=["id"], seed=1), held):
        for name in {"epoch", "step", "row", "epochs_left"} & one.state_dict().keys():
            if (name, value) != ("epochs_left", None):
                with pytest.raises(ResumeMismatch):
                    one.load_state_dict({**one.state_dict(), name: value})


def test_held_rows_are_not_read_from_two_places_at_once(table: str) -> None:
    held = InMemBatchedDataLoader(make_batch_reader(table, schema_fields=["id"], seed=1), batch_size=64, rows_capacity=300)
    old = iter(held)
    next(old)
    next(iter(held))
    with pytest.raises(RuntimeError, match="newer iteration"):
        next(old)
