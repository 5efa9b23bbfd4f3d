"""Readers raised, or gave other values than those in the files."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fault_datasets import ids_of, petastorm_dataset, plain_dataset


@pytest.mark.solved_by("bridge", "native")
def test_in_set_works_on_batches(api: Any, tmp_path: Path) -> None:
    assert ids_with(api, tmp_path, api.predicates.in_set([3, 250], "id")) == [3, 250]


@pytest.mark.solved_by("bridge", "native")
def test_in_negate_works_on_batches(api: Any, tmp_path: Path) -> None:
    small = api.predicates.in_lambda(["id"], lambda id: id < 398)  # noqa: A006
    assert ids_with(api, tmp_path, api.predicates.in_negate(small)) == [398, 399]


@pytest.mark.solved_by("bridge", "native")
def test_in_reduce_works_on_batches(api: Any, tmp_path: Path) -> None:
    either = api.predicates.in_reduce([api.predicates.in_set([one], "id") for one in (5, 6)], any)
    assert ids_with(api, tmp_path, either) == [5, 6]


@pytest.mark.solved_by("bridge", "native")
def test_in_intersection_works_on_batches(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "tagged", tags=lambda ids: [[one, one + 1] for one in ids.tolist()])
    tagged = api.predicates.in_intersection([5, 300], "tags")
    with api.make_batch_reader(url, predicate=tagged, reader_pool_type="dummy") as reader:
        assert sorted(ids_of(reader)) == [4, 5, 299, 300]


@pytest.mark.solved_by("bridge", "native")
def test_in_pseudorandom_split_works_on_batches(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small")
    halves = []
    for half in (0, 1):
        split = api.predicates.in_pseudorandom_split([0.5, 0.5], half, "id")
        with api.make_batch_reader(url, predicate=split, reader_pool_type="dummy") as reader:
            halves.append(ids_of(reader))
    assert sorted(halves[0] + halves[1]) == list(range(400))
    assert min(map(len, halves)) > 100


def ids_with(api: Any, tmp_path: Path, predicate: Any) -> list[int]:
    with api.make_batch_reader(plain_dataset(tmp_path / "small"), predicate=predicate, reader_pool_type="dummy") as reader:
        return sorted(ids_of(reader))


@pytest.mark.solved_by("bridge", "native")
def test_integers_stay_integers_under_a_predicate(api: Any, tmp_path: Path) -> None:
    big = 2**60 + 1  # which a float cannot hold
    url = plain_dataset(tmp_path / "small", big=lambda ids: ids + big)
    even = api.predicates.in_lambda(["id"], lambda id: id % 2 == 0)  # noqa: A006
    with api.make_batch_reader(url, predicate=even, reader_pool_type="dummy") as reader:
        rows = {int(one): int(value) for batch in reader for one, value in zip(batch.id, batch.big, strict=True)}
    assert rows == {one: one + big for one in range(0, 400, 2)}


@pytest.mark.solved_by("bridge", "native")
def test_weighted_sampling_reads_from_all_its_readers(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small")
    readers = [api.make_batch_reader(url, reader_pool_type="dummy", num_epochs=None) for _ in range(2)]
    with api.WeightedSamplingReader(readers, [0.5, 0.5]) as mixed:
        assert all(len(next(mixed).id) for _ in range(10))


@pytest.mark.solved_by("bridge", "native")
def test_an_empty_part_does_not_end_the_rows(api: Any, tmp_path: Path) -> None:
    ids = pa.table({"id": np.arange(10)})
    url = petastorm_dataset(tmp_path / "rows", [ids.slice(0, 5), ids.slice(0, 0), ids.slice(5)])
    with api.make_reader(url, shuffle_row_groups=False, workers_count=1) as reader:
        assert [int(row.id) for row in reader] == list(range(10))


@pytest.mark.solved_by("native")
def test_an_empty_part_gives_no_batch(api: Any, tmp_path: Path) -> None:
    ids = pa.table({"id": np.arange(10)})
    url = petastorm_dataset(tmp_path / "batches", [ids.slice(0, 5), ids.slice(0, 0), ids.slice(5)])
    with api.make_batch_reader(url, convert_early_to_numpy=True, shuffle_row_groups=False, workers_count=1) as reader:
        assert [len(batch.id) for batch in reader] == [5, 5]


@pytest.mark.solved_by("bridge", "native")
def test_leaving_a_reader_prints_nothing(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with api.make_batch_reader(plain_dataset(tmp_path / "small")) as reader:
        next(reader)
    assert capsys.readouterr().out == ""


class Attack:
    """Its pickle writes a file when it is loaded; by `eval`, which Petastorm's own unpickler lets pass."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return eval, (f"open({str(self.trace)!r}, 'w').close()",)


@pytest.mark.solved_by("bridge", "native")
def test_opening_a_dataset_runs_nothing_that_is_written_in_it(api: Any, tmp_path: Path) -> None:
    trace = tmp_path / "was here"
    ids = pa.table({"id": np.arange(10)})
    url = petastorm_dataset(tmp_path / "attack", [ids], pickled_schema=pickle.dumps(Attack(trace)))
    with pytest.raises(Exception, match="metadata"), api.make_reader(url) as reader:
        list(reader)
    assert not trace.exists()


@pytest.mark.solved_by("native")
def test_a_null_is_not_the_word_none(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small", word=lambda ids: [None if one % 2 else "even" for one in ids])
    with api.make_batch_reader(url, reader_pool_type="dummy") as reader:
        words = {str(word) for batch in reader for word in batch.word if word is not None}
    assert words == {"even"}


@pytest.mark.solved_by("bridge", "native")
def test_an_unknown_time_does_not_end_the_rows(api: Any, tmp_path: Path) -> None:
    rows = pa.table({"id": [0, 1], "seen": pa.array([None, 5], pa.timestamp("us"))})
    url = petastorm_dataset(tmp_path / "rows", [rows], seen=np.datetime64)
    with api.make_reader(url, shuffle_row_groups=False, reader_pool_type="dummy") as reader:
        assert [row.seen for row in reader] == [None, np.datetime64(5, "us")]


@pytest.mark.solved_by("bridge", "native")
def test_an_unknown_value_of_a_dictionary_is_not_the_word_nan(api: Any, tmp_path: Path) -> None:
    rows = pa.table({"id": [0, 1], "word": pa.array([None, "a"]).dictionary_encode()})
    url = petastorm_dataset(tmp_path / "rows", [rows], word=np.str_)
    with api.make_reader(url, shuffle_row_groups=False, reader_pool_type="dummy") as reader:
        assert [row.word for row in reader] == [None, "a"]


@pytest.mark.solved_by("native")
def test_ranks_get_equally_many_rows(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "uneven", row_groups=7, rows=10)
    counts = set()
    for rank in range(3):
        with (
            api.make_batch_reader(url, cur_shard=rank, shard_count=3) as reader,
            api.BatchedDataLoader(reader, batch_size=5) as loader,
        ):
            counts.add(sum(1 for _ in loader))
    assert len(counts) == 1


@pytest.mark.solved_by("native")
def test_a_loop_that_was_left_can_begin_again(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small")
    with api.make_batch_reader(url, reader_pool_type="dummy") as reader, api.BatchedDataLoader(reader, batch_size=10) as loader:
        for _ in loader:
            break
        assert sum(len(batch["id"]) for batch in loader) == 400


@pytest.mark.solved_by("native")
def test_a_loader_knows_how_many_batches_it_has(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small")
    with api.make_batch_reader(url, reader_pool_type="dummy") as reader, api.BatchedDataLoader(reader, batch_size=10) as loader:
        assert len(loader) == 40


@pytest.mark.solved_by("native")
def test_a_reader_goes_on_where_another_was_left(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small", row_groups=10, rows=10)
    with api.make_batch_reader(url, seed=3) as whole:
        batches = [batch.id.tolist() for batch in whole]
    with api.make_batch_reader(url, seed=3) as left:
        for _ in range(4):
            next(left)
        state = left.state_dict()
    with api.make_batch_reader(url, seed=3) as resumed:
        resumed.load_state_dict(state)
        assert [batch.id.tolist() for batch in resumed] == batches[4:]
