"""Readers ended early, with rows missing and without an error; their order was the threads', and waiting took a processor."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fault_datasets import ids_of, plain_dataset

pytestmark = pytest.mark.processes

COUNT = int(os.environ.get("FAULT_READERS", "300"))


@pytest.mark.solved_by("bridge", "native")
@pytest.mark.parametrize("threads", [1, 4, 10])
def test_every_reader_of_a_small_dataset_gives_every_row(api: Any, tmp_path: Path, threads: int) -> None:
    url = plain_dataset(tmp_path / "small")
    given = []
    for _ in range(COUNT):
        with api.make_batch_reader(url, workers_count=threads) as reader:
            given.append(len(ids_of(reader)))
    assert [rows for rows in given if rows != 400] == []


class LastMoment:
    """A ventilator that hands out its item at the last moment it may: while it is asked whether it has finished."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._waiting = True
        self._stop_requested = False

    def start(self) -> None:
        """Nothing is handed out yet."""

    def processed_item(self) -> None:
        """Nobody waits for it."""

    def completed(self) -> bool:
        if self._waiting:
            self._waiting = False
            self._pool.ventilate(7)
        return True

    def stop(self) -> None:
        self._stop_requested = True


@pytest.mark.solved_by("bridge")
@pytest.mark.parametrize("kind", ["thread", "process", "dummy"])
def test_an_item_handed_out_at_the_last_moment_is_not_lost(api: Any, kind: str) -> None:
    pool, worker = pool_of(kind), worker_class()
    pool.start(worker, None, ventilator=LastMoment(pool))
    try:
        assert pool.get_results() == 14
    finally:
        pool.stop()
        pool.join()


def pool_of(kind: str) -> Any:
    from petastorm.workers_pool.dummy_pool import DummyPool
    from petastorm.workers_pool.process_pool import ProcessPool
    from petastorm.workers_pool.thread_pool import ThreadPool

    return {"thread": ThreadPool, "process": ProcessPool, "dummy": DummyPool}[kind](1)


def worker_class() -> Any:
    from petastorm.workers_pool.worker_base import WorkerBase

    class Doubling(WorkerBase):
        def process(self, number: int) -> None:
            self.publish_func(number * 2)

    return Doubling


@pytest.mark.solved_by("bridge", "native")
def test_the_same_seed_gives_the_same_order_with_threads(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "many", row_groups=20, rows=5)
    orders = set()
    for _ in range(30):
        with api.make_batch_reader(url, workers_count=3, seed=7) as reader:
            orders.add(tuple(ids_of(reader)))
    assert len(orders) == 1


@pytest.mark.solved_by("bridge", "native")
@pytest.mark.parametrize("pool", ["thread", "dummy"])
def test_each_epoch_has_an_order_of_its_own(api: Any, tmp_path: Path, pool: str) -> None:
    url = plain_dataset(tmp_path / "many", row_groups=20, rows=5)
    with api.make_batch_reader(url, workers_count=3, seed=7, num_epochs=3, reader_pool_type=pool) as reader:
        ids = ids_of(reader)
    epochs = [ids[:100], ids[100:200], ids[200:]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(100))] * 3
    assert len(set(map(tuple, epochs))) == 3


@pytest.mark.solved_by("bridge", "native")
def test_waiting_for_rows_takes_no_processor(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "slow", row_groups=2, rows=5)

    def slowly(frame: Any) -> Any:
        time.sleep(1)
        return frame

    with api.make_batch_reader(
        url, workers_count=2, shuffle_rows=True, transform_spec=api.TransformSpec(slowly, edit_fields=[])
    ) as reader:
        wall, busy = time.perf_counter(), time.thread_time()
        assert sorted(ids_of(reader)) == list(range(10))
        share = (time.thread_time() - busy) / (time.perf_counter() - wall)
    assert share < 0.1


class HandsOutLate:
    """A ventilator that has nothing to hand out for half a second, and counts how often it is asked whether it has finished."""

    def __init__(self, pool: Any) -> None:
        self.asked = 0
        self._handed_out = False
        self._pool = pool
        self._stop_requested = False

    def start(self) -> None:
        threading.Timer(0.5, self._hand_out).start()

    def _hand_out(self) -> None:
        self._pool.ventilate(7)
        self._handed_out = True

    def processed_item(self) -> None:
        """Nobody waits for it."""

    def completed(self) -> bool:
        self.asked += 1
        return self._handed_out

    def stop(self) -> None:
        self._stop_requested = True


@pytest.mark.solved_by("bridge")
def test_idle_threads_are_not_asked_without_a_pause(api: Any) -> None:
    pool = pool_of("thread")
    ventilator = HandsOutLate(pool)
    pool.start(worker_class(), None, ventilator=ventilator)
    try:
        assert pool.get_results() == 14
        assert ventilator.asked < 100
    finally:
        pool.stop()
        pool.join()


@pytest.mark.solved_by("native")
def test_the_same_seed_gives_the_same_order_with_processes(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "many", row_groups=40, rows=5)
    orders = set()
    for _ in range(3):
        with api.make_batch_reader(url, reader_pool_type="process", workers_count=3, seed=7) as reader:
            orders.add(tuple(ids_of(reader)))
    assert len(orders) == 1


@pytest.mark.solved_by("native")
def test_the_seed_decides_which_rows_a_rank_gets(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "many", row_groups=12, rows=5)
    shares = set()
    for seed in (1, 2, 3):
        with api.make_batch_reader(url, cur_shard=0, shard_count=3, seed=seed, reader_pool_type="dummy") as reader:
            shares.add(frozenset(ids_of(reader)))
    assert len(shares) == 3


@pytest.mark.solved_by("native")
def test_a_seed_of_zero_is_a_seed(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "many", row_groups=20, rows=5)
    orders = set()
    for _ in range(3):
        with api.make_batch_reader(url, seed=0, reader_pool_type="dummy") as reader:
            orders.add(tuple(ids_of(reader)))
    assert len(orders) == 1
