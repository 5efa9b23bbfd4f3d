"""Readers held more than they needed: row groups in memory, footers parsed again, a cache's files after it was removed."""

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet.core
import pytest
from fault_datasets import ids_of, plain_dataset


@pytest.mark.solved_by("bridge", "native")
def test_a_footer_is_not_parsed_for_each_row_group(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = []

    class Counting(pyarrow.parquet.core.ParquetReader):  # type: ignore[misc]
        def open(self, *arguments: Any, metadata: Any = None, **options: Any) -> Any:
            if metadata is None:
                parsed.append(arguments)
            return super().open(*arguments, metadata=metadata, **options)

    url = plain_dataset(tmp_path / "many", row_groups=10)
    monkeypatch.setattr(pyarrow.parquet.core, "ParquetReader", Counting)
    with api.make_batch_reader(url, reader_pool_type="dummy") as reader:
        assert len(ids_of(reader)) == 1000
    assert 1 <= len(parsed) <= 2


@pytest.mark.solved_by("bridge")
def test_a_cache_removed_while_it_is_filled_stays_away(api: Any, tmp_path: Path) -> None:
    from petastorm.local_disk_cache import LocalDiskCache

    cache = LocalDiskCache(str(tmp_path / "cache"), 10**9, 1000, shards=1, cleanup=True)
    removed = threading.Event()

    def remove() -> None:
        cache.cleanup()
        removed.set()

    remover = threading.Thread(target=remove)

    def fill() -> bytes:
        remover.start()
        removed.wait(1)  # in vain if the removal waits for this to end
        return bytes(100_000)

    assert cache.get("key", fill) == bytes(100_000)
    remover.join()
    assert not (tmp_path / "cache").exists()


@pytest.mark.solved_by("native")
def test_threads_do_not_fill_the_memory_with_row_groups(api: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (5000, 1000), np.uint8)
    url = plain_dataset(tmp_path / "many", row_groups=100, rows=50, noise=lambda _: [bytes(one) for one in noise])
    before = pa.total_allocated_bytes()
    with api.make_batch_reader(url, workers_count=10, seed=1) as reader:
        next(reader)
        held, last = pa.total_allocated_bytes() - before, -1
        while held != last:  # the threads read on until nothing more fits
            time.sleep(0.5)
            held, last = pa.total_allocated_bytes() - before, held
    assert 1 < held / (50 * 1000) < 8
