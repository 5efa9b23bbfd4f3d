"""Ctrl-C and SIGTERM end a command with one line and its exit code, and leave nothing half made."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bigdata_ml.dataset import Dataset

pytestmark = pytest.mark.processes

JOBS = Path(__file__).parents[1] / "jobs"


def ended_by(number: int, command: list[str], is_under_way: Callable[[], bool]) -> tuple[int, str]:
    """Send the signal to the process once it is under way; its exit code and what it wrote to stderr."""
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not is_under_way() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(number)
        _, said = process.communicate(timeout=120)
    return process.returncode, said


@pytest.mark.parametrize(("number", "code", "line"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_a_training_ends_in_one_line_and_goes_on_later(number: int, code: int, line: str, tiny: Dataset, tmp_path: Path) -> None:
    run = tmp_path / "run"
    flags = [
        "--recipe",
        "first_network",
        "--dataset",
        tiny.url,
        "--run-dir",
        str(run),
        "--global-batch-size",
        "8",
        "--device",
        "cpu",
    ]
    command = [str(JOBS / "train.py"), *flags, "--epochs", "100000"]
    found, said = ended_by(number, command, (run / "checkpoint.pt").exists)
    assert (found, said.splitlines()[-1]) == (code, line)
    assert "Traceback" not in said
    assert sorted(one.name for one in run.iterdir() if one.suffix != ".new") == ["checkpoint.pt", "metrics.jsonl", "run.json"]


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize(("number", "code", "line"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_a_spark_job_ends_in_one_line_and_deletes_what_it_staged(number: int, code: int, line: str, tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text("a,y\n" + "".join(f"{one},{'ab'[one % 2]}\n" for one in range(20_000)))
    command = [str(JOBS / "prepare_table.py"), "--source", str(source), "--dataset", str(tmp_path / "out"), "--label", "y"]
    found, said = ended_by(number, command, lambda: any(one.name.startswith(".out.") for one in tmp_path.iterdir()))
    assert (found, said.splitlines()[-1]) == (code, line)
    assert "Traceback" not in said
    assert [one.name for one in tmp_path.iterdir()] == ["t.csv"]
