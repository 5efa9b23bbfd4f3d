"""Memory follows what is held, in bytes: the window and the row groups, never the file or the epoch."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import ReadOptions, open_reader

BYTES = 1000


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """4,000 rows of 1,000 bytes that do not compress, in one file of row groups of 50."""
    noise = np.random.default_rng(0).integers(0, 255, (4000, BYTES), np.uint8)
    rows = pa.table({"id": range(4000), "noise": [bytes(one) for one in noise]})
    return Dataset.open(write_plain(tmp_path_factory.mktemp("heavy"), {"x.parquet": rows}, row_group_size=50))


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same bytes in row groups of 1 to 400 rows."""
    numbers, files, first = np.random.default_rng(1), {}, 0
    for number, rows in enumerate(numbers.integers(1, 400, 20).tolist()):
        noise = [numbers.bytes(BYTES) for _ in range(rows)]
        files[f"{number:02}.parquet"] = pa.table({"id": range(first, first + rows), "noise": noise})
        first += rows
    return Dataset.open(write_plain(tmp_path_factory.mktemp("uneven"), files, row_group_size=1000))


def peak(dataset: Dataset, size: int, **read: Any) -> int:
    """The most bytes that Arrow holds after a step, the batch included."""
    before, most = pa.total_allocated_bytes(), 0
    for _ in open_reader(dataset, ReadOptions(**read), global_batch_size=size):
        most = max(most, pa.total_allocated_bytes() - before)
    return most


def test_without_a_window_only_the_row_groups_of_a_batch_are_held(heavy: Dataset) -> None:
    # Two groups and a batch, 50 KB each, of 4 MB in all.
    assert peak(heavy, 50, streams=1, window=0) < 250_000
    assert peak(heavy, 50, shuffle=False) < 250_000


@pytest.mark.parametrize(("streams", "window"), [(1, 500), (2, 500), (5, 1000)])
def test_with_a_window_at_most_its_rows_and_a_group_a_stream_at_both_ends_are_held(
    heavy: Dataset, streams: int, window: int
) -> None:
    assert window * BYTES / 2 < peak(heavy, 50, streams=streams, window=window) < (window + 2 * 50 * streams + 100) * BYTES * 1.1


@pytest.mark.parametrize(("streams", "window"), [(1, 300), (3, 600)])
def test_uneven_row_groups_hold_no_more_than_the_largest_would(uneven: Dataset, streams: int, window: int) -> None:
    largest = int(uneven.row_groups.rows.max())
    assert peak(uneven, 30, streams=streams, window=window) < (window + 2 * largest * streams + 60) * BYTES * 1.1


def test_a_second_epoch_holds_no_more_than_the_first(heavy: Dataset) -> None:
    one, most = open_reader(heavy, ReadOptions(window=400, streams=1), global_batch_size=50), []
    before = pa.total_allocated_bytes()
    for _ in range(4):
        most.append(max(pa.total_allocated_bytes() - before for _ in one))
    assert max(most) < 1.2 * most[0]
    assert pa.total_allocated_bytes() - before < 100_000


def test_an_iteration_that_is_left_early_lets_go_of_everything(heavy: Dataset) -> None:
    before = pa.total_allocated_bytes()
    batches = iter(open_reader(heavy, ReadOptions(window=2000), global_batch_size=50))
    next(batches)
    assert pa.total_allocated_bytes() - before > 500_000
    del batches
    assert pa.total_allocated_bytes() - before < 100_000


def test_of_row_groups_with_few_selected_rows_only_those_are_held(heavy: Dataset) -> None:
    chosen = pc.field("id").isin(range(0, 4000, 50))
    assert peak(heavy, 10, predicate=chosen, streams=1, window=60) < 70 * 2 * BYTES + 50 * BYTES


def test_text_that_is_small_on_disk_is_counted_as_it_is_in_memory(tmp_path: Path) -> None:
    text = pa.array(["the same text again and again " * 20] * 8000)
    rows = pa.table({"id": range(8000), "text": text})
    dataset = Dataset.open(write_plain(tmp_path / "text", {"x.parquet": rows}, row_group_size=200))
    assert sum(dataset.row_groups.table["memory_bytes"].to_pylist()) == pytest.approx(rows.nbytes, rel=0.05)
    assert dataset.row_groups.table["length"][0].as_py() < 20_000
    with pytest.raises(ValueError, match="memory_budget=1048576"):
        open_reader(dataset, ReadOptions(), global_batch_size=32, memory_budget=1 << 20)
    budget = 3 << 20
    held = open_reader(dataset, ReadOptions(streams=2, window=2000), global_batch_size=32, memory_budget=budget)
    before, most = pa.total_allocated_bytes(), 0
    for _ in held:
        most = max(most, pa.total_allocated_bytes() - before)
    assert budget / 4 < most < budget
