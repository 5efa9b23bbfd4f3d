"""jobs/train.py as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import publish_dataset

pytestmark = pytest.mark.processes

SECRET = "hunter2secret"
JOB = Path(__file__).parents[2] / "jobs/train.py"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    return publish_dataset(tmp_path_factory.mktemp("data") / "tiny").url


def run(dataset: str, run_dir: Path, *words: str, recipe: str = "first_network") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(JOB), "--recipe", recipe, "--dataset", dataset, "--run-dir", str(run_dir)]
    environment = {**os.environ, "JDBC_PASSWORD": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET}
    command += ["--global-batch-size", "4", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_a_run_is_told_resumed_and_not_written_over(dataset: str, tmp_path: Path) -> None:
    first = run(dataset, tmp_path / "run", "--epochs", "2")
    again = run(dataset, tmp_path / "run", "--epochs", "2")
    resumed = run(dataset, tmp_path / "run", "--epochs", "2", "--resume")
    assert (first.returncode, again.returncode, resumed.returncode) == (0, 2, 0)
    assert "--resume" in again.stderr
    assert resumed.stdout == first.stdout
    assert "epoch 2/2" in first.stderr
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert SECRET not in first.stdout + first.stderr + again.stderr


def test_repeat_makes_a_run_a_seed(dataset: str, tmp_path: Path) -> None:
    done = run(dataset, tmp_path, "--epochs", "1", "--repeat", "2", "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed-7", "seed-8"]


@pytest.mark.parametrize(
    ("recipe", "words", "text"),
    [("frist_network", (), "first_network, table_network"), ("first_network", ("--epochs", "0"), "epochs")],
)
def test_a_wrong_argument_is_one_line(dataset: str, tmp_path: Path, recipe: str, words: tuple[str, ...], text: str) -> None:
    done = run(dataset, tmp_path / "run", *words, recipe=recipe)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
