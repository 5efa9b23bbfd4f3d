"""The order of rows: pinned, the same at every world size, another one each epoch."""

import itertools
from pathlib import Path

import pyarrow as pa
import pytest
from contracts import ids_of
from hypothesis import given
from hypothesis import strategies as st
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import WorldSizeNotAllowed
from bigdata_ml.reader import Rank, ReadOptions, open_reader
from bigdata_ml.reader.order.hashing import key_of, permutation


def ids(dataset: Dataset, *, epoch: int = 0, size: int = 1, **read: object) -> list[int]:
    reader = open_reader(dataset, ReadOptions(**read), global_batch_size=size)
    reader.set_epoch(epoch)
    return [one for batch in reader for one in ids_of(batch)]


def steps(dataset: Dataset, world_size: int, size: int, **read: object) -> list[list[int]]:
    """Rows of each global batch, the ranks' shares laid side by side."""
    options = ReadOptions(**read)
    ranks = [
        open_reader(dataset, options, global_batch_size=size, rank=rank, world_size=world_size) for rank in range(world_size)
    ]
    assert len({len(reader) for reader in ranks}) == 1
    return [[one for batch in batches for one in batch["id"].to_pylist()] for batches in zip(*ranks, strict=True)]


@pytest.mark.parametrize(
    ("seed", "epoch", "first"),
    [(0, 0, [12, 5, 15, 19, 4, 7, 17, 6]), (0, 1, [4, 6, 5, 1, 0, 7, 10, 12]), (7, 0, [7, 22, 5, 10, 21, 15, 1, 4])],
)
def test_the_order_is_pinned(plain: Dataset, seed: int, epoch: int, first: list[int]) -> None:
    """A changed order makes every saved state read other rows: give ORDER a new name instead."""
    assert ids(plain, seed=seed, epoch=epoch)[:8] == first


def test_the_counter_based_draws_are_pinned() -> None:
    assert (key_of(1, 2, 3), permutation(5, 8).tolist()) == (7702586659592502839, [4, 5, 3, 6, 1, 0, 2, 7])


def test_without_shuffling_rows_come_in_the_datasets_order(plain: Dataset) -> None:
    assert ids(plain, shuffle=False, epoch=3) == list(range(23))


def test_rows_alone_are_shuffled_inside_their_groups_which_come_in_the_datasets_order(plain: Dataset) -> None:
    order = ids(plain, shuffle="rows", window=0)
    borders = [0, 4, 8, 9, 12, 16, 20, 23]
    assert [sorted(order[a:b]) for a, b in itertools.pairwise(borders)] == [
        list(range(a, b)) for a, b in itertools.pairwise(borders)
    ]
    assert order != list(range(23))
    assert ids(plain, shuffle="rows", window=0, epoch=1) != order
    assert sorted(ids(plain, shuffle="rows", window=8)[:4]) != [0, 1, 2, 3]


def test_groups_alone_are_shuffled_their_rows_come_as_they_lie_in_the_file(plain: Dataset) -> None:
    orders = [ids(plain, shuffle="groups", seed=seed, epoch=epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    groups = [[0, 1, 2, 3], [4, 5, 6, 7], [8], [9, 10, 11], [12, 13, 14, 15], [16, 17, 18, 19], [20, 21, 22]]
    for order in orders:
        places = sorted(groups, key=lambda rows: order.index(rows[0]))
        assert order == [one for rows in places for one in rows]
    assert len({tuple(order) for order in orders}) == 3
    assert orders[0][:8] == [12, 13, 14, 15, 4, 5, 6, 7]


def test_the_world_size_does_not_change_the_global_batches(plain: Dataset) -> None:
    wanted = steps(plain, 1, 8, seed=3)
    assert all(steps(plain, world_size, 8, seed=3) == wanted for world_size in (2, 4, 8))


@pytest.mark.parametrize("remainder", ["pad", "exact"])
def test_the_world_size_does_not_change_the_filling_either(plain: Dataset, remainder: str) -> None:
    wanted = steps(plain, 1, 8, remainder=remainder)
    assert len(wanted) == 3
    assert all(steps(plain, world_size, 8, remainder=remainder) == wanted for world_size in (2, 4, 8))


def test_each_epoch_and_each_seed_has_an_order_of_its_own(plain: Dataset) -> None:
    orders = {tuple(ids(plain, seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_files_mix_and_rows_of_a_group_mix(plain: Dataset) -> None:
    order = ids(plain, seed=1)
    assert order[:4] != sorted(order[:4]) or order[4:8] != sorted(order[4:8])
    assert [one // 4 for one in order] != sorted(one // 4 for one in order)


def test_a_world_size_that_does_not_divide_is_refused_with_those_that_do(plain: Dataset) -> None:
    with pytest.raises(
        WorldSizeNotAllowed, match="12 rows cannot be divided among 5 ranks; allowed world sizes are 1, 2, 3, 4, 6, 12"
    ):
        open_reader(plain, ReadOptions(), global_batch_size=12, world_size=5)


@pytest.mark.parametrize(("rank", "world_size"), [(-1, 1), (1, 1), (2, 2), (0, 0)])
def test_a_rank_outside_the_world_is_refused(rank: int, world_size: int) -> None:
    with pytest.raises(ValueError, match="rank must lie in"):
        Rank(rank=rank, world_size=world_size)


def test_the_position_in_the_dataset_counts_not_the_file_names_machine(tmp_path: Path) -> None:
    rows = pa.table({"id": range(9)})
    places = [write_plain(tmp_path / name, {"x.parquet": rows}) for name in ("a", "b")]
    assert ids(Dataset.open(places[0]), seed=5) == ids(Dataset.open(places[1]), seed=5)


@given(st.integers(-(2**70), 2**70), st.integers(0, 300))
def test_a_permutation_holds_each_place_once(key: int, size: int) -> None:
    assert sorted(permutation(key_of(key), size).tolist()) == list(range(size))
