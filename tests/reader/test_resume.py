"""Stopping and going on: bit for bit, at any world size, opening no more files than the window needs."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from contracts import assert_reads_each_row_once, assert_resumes_elsewhere, assert_resumes_exactly, ids_of
from counting import counted
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import Reader, ReadOptions, open_reader

# Every engine is put under the same contracts; `petastorm` comes with its own issue.
ENGINES = ("arrow",)
REMAINDERS = ("drop", "pad", "exact")


def reader(dataset: Dataset, rank: int = 0, world_size: int = 1, *, size: int = 12, **read: Any) -> Reader:
    return open_reader(dataset, ReadOptions(**read), global_batch_size=size, rank=rank, world_size=world_size)


@pytest.fixture
def many(tmp_path: Path) -> Dataset:
    """Plain Parquet of 60 files, each one row group of 3 to 17 rows; ids count on."""
    sizes = np.random.default_rng(0).integers(3, 18, 60)
    ends = np.cumsum(sizes)
    files = {
        f"{number:02}.parquet": pa.table(
            {"id": range(end - size, end), "text": [f"row {one} " * 3 for one in range(end - size, end)]}
        )
        for number, (size, end) in enumerate(zip(sizes.tolist(), ends.tolist(), strict=True))
    }
    return Dataset.open(write_plain(tmp_path / "many", files, row_group_size=100))


@pytest.mark.parametrize(("engine", "remainder", "window"), list(product(ENGINES, REMAINDERS, (0, 20, None))))
def test_it_resumes_exactly_after_every_batch(train: Dataset, engine: str, remainder: str, window: int | None) -> None:
    assert_resumes_exactly(lambda: reader(train, engine=engine, remainder=remainder, window=window, seed=3))


@pytest.mark.parametrize(("engine", "remainder"), list(product(ENGINES, REMAINDERS)))
def test_any_world_size_goes_on_with_the_same_global_batches(train: Dataset, engine: str, remainder: str) -> None:
    make = lambda rank, world_size: reader(train, rank, world_size, engine=engine, remainder=remainder, window=20)  # noqa: E731
    assert_resumes_elsewhere(make, (2, 3, 12))


def test_a_selection_is_resumed_as_well(train: Dataset) -> None:
    read = {"predicate": pc.field("weight") > 2, "columns": ("id", "note"), "remainder": "exact"}
    assert_resumes_elsewhere(lambda rank, world_size: reader(train, rank, world_size, **read), (1, 4))


@pytest.mark.parametrize(("engine", "remainder"), list(product(ENGINES, ("pad", "exact"))))
def test_every_row_is_read_once(many: Dataset, engine: str, remainder: str) -> None:
    for size, window in product((1, 16, 50, 1000), (0, 64, None)):
        read = {"engine": engine, "remainder": remainder, "window": window}
        assert_reads_each_row_once(lambda size=size, read=read: reader(many, size=size, **read), range(many.rows))  # type: ignore[misc]


def test_files_of_ids_are_the_same_at_every_world_size(many: Dataset, tmp_path: Path) -> None:
    def write(world_size: int, size: int) -> bytes:
        ranks = [reader(many, rank, world_size, size=size, seed=5, remainder="pad") for rank in range(world_size)]
        path = tmp_path / f"{world_size}.ids"
        with path.open("w") as file:
            for _ in range(2):
                for batches in zip(*ranks, strict=True):
                    print(*(one for batch in batches for one in batch["id"].to_pylist()), file=file)
        return path.read_bytes()

    alone = write(1, 48)
    assert len(alone.splitlines()) == 2 * -(-many.rows // 48)
    assert all(write(world_size, 48) == alone for world_size in (2, 4, 8, 16))


@pytest.mark.parametrize("world_size", [2, 3, 4, 6, 8, 12, 24])
def test_streams_that_are_asked_for_allow_their_own_world_sizes(many: Dataset, world_size: int) -> None:
    def ids(world_size: int) -> list[list[int]]:
        ranks = [reader(many, rank, world_size, size=48, streams=24) for rank in range(world_size)]
        return [[one for batch in batches for one in batch["id"].to_pylist()] for batches in zip(*ranks, strict=True)]

    assert ids(world_size) == ids(1)


@pytest.mark.parametrize("step", [0, 1, 20, 38])
def test_resuming_opens_only_the_windows_files(many: Dataset, step: int) -> None:
    dataset, opened = counted(many)
    one = reader(dataset, size=16, streams=2, window=60)
    one.load_state_dict(json.loads(json.dumps(one.state_at(1, min(step, len(one) - 1)))))
    batches = iter(one)
    next(batches)
    smallest = int(dataset.row_groups.rows.min())
    assert 0 < len(opened) <= 2 * (-(-(2 * 30 + 8) // smallest) + 2) < len(dataset.row_groups)
    # Of even groups it would be 2 × (⌈68 / 10⌉ + 2) = 18; the groups here have 3 to 17 rows.
    assert len(opened) <= 18


def test_a_state_costs_nothing_that_is_not_taken_and_little_that_is(many: Dataset) -> None:
    dataset, opened = counted(many)
    one = reader(dataset)
    states = [one.state_dict() for _ in range(100)]
    assert not opened
    assert len(json.dumps(states[0])) < 1024
    assert all(isinstance(value, (int, str, bool)) for value in states[0].values())


@pytest.mark.parametrize("position", [(0, 0), (0, 3), (5, 10)])
def test_a_position_can_be_named(many: Dataset, position: tuple[int, int]) -> None:
    one, other = reader(many, size=32), reader(many, size=32)
    one.load_state_dict(one.state_at(*position))
    other.set_epoch(position[0])
    assert [ids_of(batch) for batch in one] == [ids_of(batch) for batch in other][position[1] :]


def test_the_position_after_the_last_step_is_the_next_epochs_first(many: Dataset) -> None:
    one = reader(many)
    assert one.state_at(2, len(one)) == one.state_at(3, 0)
    with pytest.raises(ValueError, match=r"step lie in \[0, "):
        one.state_at(0, len(one) + 1)
