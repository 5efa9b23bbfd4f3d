"""What is chosen where nothing is asked for: from the dataset and the global batch, never from the rank, or said."""

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import WorldSizeNotAllowed
from bigdata_ml.reader import Rank, ReadOptions, open_reader
from bigdata_ml.reader.order.settings import OrderSettings, order_settings, row_bytes


def settings(dataset: Dataset, *, size: int = 48, world_size: int = 1, rows: int | None = None, **read: Any) -> OrderSettings:
    rank = Rank(world_size=world_size)
    count = dataset.rows if rows is None else rows
    return order_settings(row_bytes(dataset), ReadOptions(**read), rows=count, global_batch_size=size, rank=rank)


@pytest.mark.parametrize(("size", "streams"), [(1, 1), (7, 7), (17, 1), (48, 16), (60, 15), (512, 16), (1000, 10)])
def test_streams_are_the_largest_divisor_of_the_batch_up_to_16(plain: Dataset, size: int, streams: int) -> None:
    assert settings(plain, size=size).streams == streams


@pytest.mark.parametrize(
    ("size", "world_size", "streams"),
    [(48, 12, 12), (48, 3, 12), (48, 24, 24), (512, 32, 32), (60, 6, 12), (6, 6, 6), (34, 17, 17)],
)
def test_a_world_size_that_does_not_divide_them_chooses_others_and_it_is_said(
    plain: Dataset, size: int, world_size: int, streams: int
) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert settings(plain, size=size, world_size=world_size).streams == streams
    texts = [str(one.message) for one in said]
    usual = settings(plain, size=size).streams
    assert texts == [] if streams == usual else f"ReadOptions(streams={streams})" in texts[0]


def test_without_shuffling_there_is_one_stream_a_rank_and_no_window(plain: Dataset) -> None:
    for shuffle in (False, "groups"):
        assert [settings(plain, world_size=one, shuffle=shuffle).streams for one in (1, 2, 16)] == [1, 2, 16]
        assert settings(plain, shuffle=shuffle).window == 0


@pytest.mark.parametrize(
    ("world_size", "allowed"), [(5, "1, 2, 3, 4, 6, 8, 12, 16, 24, 48"), (32, "1, 2, 3, 4, 6, 8, 12, 16, 24, 48")]
)
def test_a_world_size_that_does_not_divide_the_batch_is_refused(plain: Dataset, world_size: int, allowed: str) -> None:
    with pytest.raises(
        WorldSizeNotAllowed, match=f"48 rows cannot be divided among {world_size} ranks; allowed world sizes are {allowed}$"
    ):
        settings(plain, world_size=world_size)


def test_a_world_size_that_does_not_divide_the_streams_asked_for_is_refused(plain: Dataset) -> None:
    with pytest.raises(
        WorldSizeNotAllowed, match=r"16 streams cannot be divided among 6 ranks; allowed world sizes are 1, 2, 4, 8, 16$"
    ):
        settings(plain, world_size=6, streams=16)


def test_streams_that_do_not_divide_the_batch_are_refused(plain: Dataset) -> None:
    with pytest.raises(ValueError, match="streams=5 must divide the global batch of 48 rows; its divisors are 1, 2, 3"):
        settings(plain, streams=5)


def test_the_window_is_the_rows_of_256_mib_and_not_more_than_there_are(tmp_path: Path) -> None:
    rows = pa.table({"image": pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((64, 64, 1024), np.uint8))})
    dataset = Dataset.open(write_plain(tmp_path, {"a.parquet": rows}))
    assert row_bytes(dataset) == 64 * 1024
    assert settings(dataset, rows=10**6).window == 4096
    assert settings(dataset, rows=1000).window == 1000
    assert settings(dataset, rows=1000, window=70).window == 70
    small = Dataset.open(write_plain(tmp_path / "b", {"a.parquet": pa.table({"id": range(9)})}))
    assert settings(small, rows=10**9).window == 4_194_304


@pytest.fixture
def heavy(tmp_path: Path) -> Dataset:
    """800 rows of some 1,000 bytes in row groups of 100."""
    texts = [f"{one}".rjust(86) for one in range(800)]
    noise = [bytes(one) for one in np.random.default_rng(0).integers(0, 255, (800, 1000), np.uint8)]
    return Dataset.open(write_plain(tmp_path, {"a.parquet": pa.table({"text": texts, "noise": noise})}, row_group_size=100))


def test_an_order_that_holds_more_than_the_budget_is_refused_with_ways_that_fit(heavy: Dataset) -> None:
    def make(budget: int, **read: Any) -> Any:
        return open_reader(heavy, ReadOptions(**read), global_batch_size=8, memory_budget=budget)

    text = r"8 streams and a window of 400 rows each of 1 ranks would hold 1 MiB of rows, more than memory_budget=500000"
    with pytest.raises(ValueError, match=f"{text}.*take streams=4 and window=53, or memory_budget=881600$"):
        make(500_000, window=400)
    assert make(500_000, window=53, streams=4)
    with pytest.raises(ValueError, match=r"take row groups smaller than 100 rows, or memory_budget=\d+$"):
        make(1000, window=0)
    with pytest.raises(ValueError, match=r"take streams=2, or memory_budget=881600$"):
        make(700_000, window=400)


def test_the_ways_that_are_named_do_fit(heavy: Dataset) -> None:
    with pytest.raises(ValueError, match="memory_budget") as refused:
        open_reader(heavy, ReadOptions(window=780, streams=4), global_batch_size=8, memory_budget=700_000)
    for way in re.findall(r"(streams|window)=(\d+)", str(refused.value).split("take ")[1]):
        read = ReadOptions(**{"window": 780, "streams": 4, way[0]: int(way[1])})
        assert open_reader(heavy, read, global_batch_size=8, memory_budget=700_000)


def test_the_budget_does_not_change_the_order_or_what_a_state_goes_on_with(heavy: Dataset) -> None:
    one, other = (
        open_reader(heavy, ReadOptions(window=100), global_batch_size=8, memory_budget=budget) for budget in (2**30, 2**33)
    )
    other.load_state_dict(one.state_at(0, 5))
    assert [batch["text"].to_pylist() for batch in one][5:] == [batch["text"].to_pylist() for batch in other]
