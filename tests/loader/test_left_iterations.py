"""Iterations that are left: their threads end, and whoever lets go of one waits for nothing."""

import gc
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pytest
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions
from bigdata_ml.reader.pipeline import DecodedBatches

pytestmark = pytest.mark.processes

SCRIPT = Path(__file__).parent / "collected_inside_a_submit.py"


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    files = {f"{number}.parquet": pa.table({"id": range(number * 400, number * 400 + 400)}) for number in range(4)}
    return write_plain(tmp_path / "numbers", files, row_group_size=20)


@pytest.mark.parametrize("how", ["shuffled", "straight", "petastorm", "compat"])
def test_the_collector_may_find_one_in_a_thread_that_holds_a_pools_lock(numbers: Path, how: str) -> None:
    done = subprocess.run([sys.executable, SCRIPT, f"file://{numbers}", how], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["left: []"]), done.stderr[-3000:]


@pytest.mark.parametrize("engine", ["arrow", "petastorm"])
def test_close_waits_for_the_threads_and_nothing_comes_any_more(numbers: Path, engine: str) -> None:
    before = set(threading.enumerate())
    read = ReadOptions(engine=engine)  # type: ignore[arg-type]
    batches = iter(make_loader(Dataset.open(numbers), read, global_batch_size=8, num_workers=2))
    next(batches)
    assert set(threading.enumerate()) - before
    batches.close()
    assert set(threading.enumerate()) <= before
    assert list(batches) == []


def test_one_that_is_let_go_of_soon_has_no_threads(numbers: Path) -> None:
    before = set(threading.enumerate())
    for _ in make_loader(Dataset.open(numbers), ReadOptions(), global_batch_size=8, num_workers=3):
        break
    until = time.monotonic() + 30
    while set(threading.enumerate()) - before and time.monotonic() < until:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_one_whose_constructor_was_interrupted_is_let_go_of_in_silence() -> None:
    DecodedBatches.__new__(DecodedBatches)
    gc.collect()
