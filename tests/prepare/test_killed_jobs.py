"""A job that replaces a dataset, killed at ten random moments: each time the old version is there, or the new one, and whole."""

import os
import random
import signal
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path
from threading import Timer

import pyarrow.dataset as pads
import pytest

from bigdata_ml.dataset import Dataset, collect_garbage, validate
from prepare.pictures import save
from prepare.submitted import hidden_beside, kill, started

pytestmark = [pytest.mark.spark, pytest.mark.long, pytest.mark.timeout(2400)]

KILLS, MOST_JOBS = 10, 20
# Of the time until a job says that it has published: in the second half it writes and publishes.
MOMENTS = ((0.1, 0.5), (0.5, 0.99), (0.8, 1.0))
SIZES = {"before": 600, "after": 800}
PAGES = {"_common_metadata", "_bigdata_ml/quality.html", "_bigdata_ml/quality.json", "_bigdata_ml/history.json"}


def seconds_to_publish(source: Path, dataset: Path, *, kill_after: float = 600) -> float | None:
    """Run a job; returns after how long it said that it had published, or None if it was killed before."""
    begun, seconds, said = time.monotonic(), None, ""
    with started("prepare_images.py", "--source", source, "--dataset", dataset, "--replace") as job:
        killer = Timer(kill_after, kill, [job])
        killer.start()
        for line in job.stdout or ():
            said += line
            if line.startswith("published"):
                seconds = time.monotonic() - begun
        killer.cancel()
        killer.join()
    assert job.returncode in (0, -signal.SIGKILL), said
    return seconds


def content_of(dataset: Dataset) -> tuple[set[str], str]:
    """Return the sources of the rows in the files that the manifest names, and the content's fingerprint."""
    files = [f"{dataset.location.path}/{path}" for path in dataset.row_groups.files]
    sources = pads.dataset(files, format="parquet").to_table(columns=["source"])["source"].to_pylist()
    assert len(sources) == dataset.rows
    assert dataset.manifest is not None
    return set(sources), dataset.manifest.content


def files_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_job_killed_at_any_moment_leaves_the_old_version_or_the_new(tmp_path: Path) -> None:
    dataset, versions, lengths = tmp_path / "published/pets", {}, []
    for name, size in SIZES.items():
        for index in range(size):
            save(tmp_path / name / ("cat" if index % 2 else "dog") / f"{name}{index}.png", 1000 * len(name) + index, 48, 48, 3)
        lengths.append(seconds_to_publish(tmp_path / name, dataset) or 0.0)
        versions[name] = content_of(Dataset.open(dataset))
        assert len(versions[name][0]) == size
    there, other = "after", "before"
    random_moments, spans, killed = random.Random(6), cycle(MOMENTS), 0
    for _ in range(MOST_JOBS):
        moment = random_moments.uniform(*next(spans))
        seconds = seconds_to_publish(tmp_path / other, dataset, kill_after=moment * min(lengths))
        killed += seconds is None
        lengths += [] if seconds is None else [seconds]
        assert validate(dataset) == []
        (there,) = (name for name, version in versions.items() if version == content_of(Dataset.open(dataset)))
        (other,) = versions.keys() - {there}
        if killed == KILLS:
            break
    assert killed == KILLS
    assert seconds_to_publish(tmp_path / other, dataset)
    assert content_of(Dataset.open(dataset)) == versions[other]
    assert hidden_beside(dataset) == []
    assert_gc_leaves_one_version(dataset)


def assert_gc_leaves_one_version(dataset: Path) -> None:
    # What a job was about to put in place is garbage once it is old.
    for path in dataset.rglob(".*"):
        os.utime(path, (0, 0))
    subprocess.run([sys.executable, "-m", "bigdata_ml.cli", "gc", str(dataset)], check=True)
    found = Dataset.open(dataset)
    assert found.manifest is not None
    sides = (found.manifest.row_groups, *found.manifest.quarantine, *found.manifest.ledger)
    version = {*found.row_groups.files, *(side.path for side in sides), "_bigdata_ml/manifest.json"}
    # Of older versions' manifests empty files stay.
    left = {path for path in files_below(dataset) - PAGES if not path.startswith("_bigdata_ml/manifests/")}
    assert left == version
    assert [path.stat().st_size > 0 for path in sorted((dataset / "_bigdata_ml/manifests").iterdir())][-2:] == [False, True]
    assert collect_garbage(dataset) == []
    assert validate(dataset) == []
