"""The jobs as people start them, by spark-submit: exit codes, one-line errors, a job killed while it writes."""

import glob
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.dataset.layout import MANIFEST
from prepare.pictures import save
from prepare.submitted import hidden_beside, started

pytestmark = pytest.mark.spark


def staged(dataset: Path, pattern: str) -> list[str]:
    # By glob, which bears that the directory is renamed meanwhile.
    return glob.glob(f"{glob.escape(str(dataset.parent))}/.*/{pattern}", recursive=True)


def stop_at_the_first_part(job: subprocess.Popen[str], dataset: Path) -> None:
    """Stop the job, to be killed or continued, as soon as a data file is seen; it may have ended before."""
    deadline = time.monotonic() + 120
    while not staged(dataset, "**/*.parquet"):
        if os.waitid(os.P_PID, job.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(job.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, job.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("submitted") / "images"
    for index in range(800):
        save(place / ("cat" if index % 2 else "dog") / f"{index}.png", index, 48, 48, 3)
    return place


@pytest.fixture(scope="module")
def killed(folder: Path) -> tuple[Path, list[Path]]:
    """The destination of a job that was killed while it wrote, and what it left beside."""
    for attempt in range(3):
        dataset = folder.parent / f"published-{attempt}" / "pets"
        job = started("prepare_images.py", "--source", folder, "--dataset", dataset)
        try:
            stop_at_the_first_part(job, dataset)
            # The manifest is written last, before the rename; a starved test may see the data after that.
            writing = staged(dataset, "**/*.parquet") and not staged(dataset, MANIFEST)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            said, _ = job.communicate()
        if writing:
            assert job.returncode == -signal.SIGKILL
            return dataset, hidden_beside(dataset)
        assert job.returncode in (0, -signal.SIGKILL), said
    pytest.fail("three jobs had written everything before they could be stopped")


@pytest.fixture(scope="module")
def again(folder: Path, killed: tuple[Path, list[Path]]) -> tuple[int, str]:
    job = started("prepare_images.py", "--source", folder, "--dataset", killed[0])
    said, _ = job.communicate(timeout=200)
    return job.returncode, said


def test_a_job_killed_while_it_writes_publishes_nothing(killed: tuple[Path, list[Path]]) -> None:
    dataset, _ = killed
    assert staged(dataset, "**/*.parquet")
    assert not staged(dataset, MANIFEST)
    assert not dataset.exists()


def test_the_next_run_publishes_every_row(killed: tuple[Path, list[Path]], again: tuple[int, str]) -> None:
    dataset = killed[0]
    assert again[0] == 0, again[1]
    assert Dataset.open(dataset).rows == 800
    assert validate(dataset) == []


def test_the_next_run_names_the_debris_and_deletes_it(killed: tuple[Path, list[Path]], again: tuple[int, str]) -> None:
    dataset, debris = killed
    staging = next(place for place in debris if not place.name.endswith(".claim"))
    assert str(staging) in again[1]
    assert hidden_beside(dataset) == []


def test_what_a_job_has_to_say_is_no_traceback(again: tuple[int, str]) -> None:
    assert "Traceback" not in again[1]
    assert "published 800 rows" in again[1]


def test_a_refused_job_ends_with_two_and_one_line(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("a,y\n1,0\n2,1\n")
    job = started("prepare_table.py", "--source", table, "--dataset", tmp_path / "out", "--label", "nope")
    said, _ = job.communicate(timeout=120)
    assert job.returncode == 2
    (line,) = [line for line in said.splitlines() if "'nope'" in line]
    assert line.startswith("JobRefused: ")
    assert line.endswith("a, y")
    assert "Traceback" not in said
    assert "\tat " not in said
    assert not (tmp_path / "out").exists()
