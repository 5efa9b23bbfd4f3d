"""Readers waited for ever for what could not come any more; each test has a limit of its own, which the old stack runs into."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from fault_datasets import ids_of, plain_dataset

pytestmark = [pytest.mark.processes, pytest.mark.timeout(60)]


@pytest.fixture(autouse=True)
def ended_workers() -> Any:
    yield
    for process in worker_processes():
        process.kill()


def worker_processes() -> list[psutil.Process]:
    running = [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in running if "exec_in_new_process_entrypoint" in " ".join(one.cmdline())]


@pytest.mark.solved_by("bridge")
def test_a_killed_worker_process_is_named(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "many", row_groups=50)
    with api.make_batch_reader(url, reader_pool_type="process", workers_count=1) as reader:
        next(reader)
        (worker,) = worker_processes()
        worker.kill()
        with pytest.raises(RuntimeError, match=f"pid {worker.pid}.*signal 9"):
            ids_of(reader)


@pytest.mark.solved_by("bridge")
def test_one_of_two_killed_worker_processes_is_named_in_an_endless_reader(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "many", row_groups=50)
    with api.make_batch_reader(url, reader_pool_type="process", workers_count=2, num_epochs=None) as reader:
        next(reader)
        worker, _ = worker_processes()
        worker.kill()
        with pytest.raises(RuntimeError, match=f"pid {worker.pid}.*signal 9"):
            ids_of(reader)


@pytest.mark.solved_by("bridge")
def test_a_worker_process_that_cannot_start_is_named(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = plain_dataset(tmp_path / "small")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match=r"pid \d+\) ended with code 1"):
        api.make_batch_reader(url, reader_pool_type="process", workers_count=2)


@pytest.mark.solved_by("bridge")
@pytest.mark.upstream
@pytest.mark.timeout(300)
def test_worker_processes_may_take_their_time_to_start(api: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = plain_dataset(tmp_path / "small")
    slow_python = tmp_path / "python"
    slow_python.write_text(f'#!/bin/sh\nsleep 25\nexec {sys.executable} "$@"\n')
    slow_python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow_python))
    with api.make_batch_reader(url, reader_pool_type="process", workers_count=1) as reader:
        assert sorted(ids_of(reader)) == list(range(400))


@pytest.mark.solved_by("bridge", "native")
def test_a_lambda_reaches_worker_processes(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small")
    even = api.predicates.in_lambda(["id"], lambda id: id % 2 == 0)  # noqa: A006 - the field's name
    with api.make_batch_reader(url, reader_pool_type="process", workers_count=1, predicate=even) as reader:
        assert sorted(ids_of(reader)) == list(range(0, 400, 2))


@pytest.mark.solved_by("bridge")
def test_a_predicate_that_cannot_be_sent_to_worker_processes_is_an_error(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small")
    drawn = api.predicates.in_lambda(["id"], lambda id, draws: next(draws), (one for one in "ab"))  # noqa: A006
    with (
        api.make_batch_reader(url, reader_pool_type="process", workers_count=1, predicate=drawn) as reader,
        pytest.raises(RuntimeError, match="could not be handed to the workers: cannot pickle 'generator'"),
    ):
        next(reader)


@pytest.mark.solved_by("bridge", "native")
def test_an_error_while_the_results_wait_does_not_keep_one_from_leaving(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "many", row_groups=20)
    calls = []

    def failing(frame: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise OSError("this row group cannot be transformed")
        return frame

    spec = api.TransformSpec(failing, edit_fields=[])
    with api.make_batch_reader(url, workers_count=1, results_queue_size=1, transform_spec=spec) as reader:
        next(reader)
        time.sleep(1)  # the worker goes on until its queue is full, and fails


@pytest.mark.solved_by("bridge")
def test_a_worker_thread_that_ends_itself_is_named(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small")

    def leaving(frame: Any) -> Any:
        sys.exit("a transform calls this")

    spec = api.TransformSpec(leaving, edit_fields=[])
    with (
        api.make_batch_reader(url, workers_count=1, transform_spec=spec) as reader,
        pytest.raises(RuntimeError, match="worker thread 0 ended"),
    ):
        next(reader)


@pytest.mark.solved_by("bridge", "native")
def test_a_reader_that_failed_does_not_wait_when_it_is_asked_again(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small")

    def failing(frame: Any) -> Any:
        raise OSError("this row group cannot be transformed")

    spec = api.TransformSpec(failing, edit_fields=[])
    with api.make_batch_reader(url, workers_count=2, transform_spec=spec) as reader:
        with pytest.raises(Exception, match="cannot be transformed"):
            next(reader)
        with pytest.raises((RuntimeError, OSError, StopIteration)):
            next(reader)


@pytest.mark.solved_by("bridge")
def test_worker_processes_know_what_the_main_program_imported(api: Any, tmp_path: Path) -> None:
    url = plain_dataset(tmp_path / "small")
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import math

from petastorm import TransformSpec, make_batch_reader

LIMIT = 3


def half(frame):
    frame["id"] = [math.floor(one / 2) + LIMIT for one in frame["id"]]
    return frame


if __name__ == "__main__":
    with make_batch_reader({url!r}, reader_pool_type="process", workers_count=1, transform_spec=TransformSpec(half)) as reader:
        print("sum", sum(int(batch.id.sum()) for batch in reader))
"""
    )
    done = subprocess.run([*api.run_script, str(program)], capture_output=True, text=True, check=False, timeout=50)
    assert f"sum {sum(one // 2 + 3 for one in range(400))}" in done.stdout, done.stderr
