"""A disk that is full in the middle of a job: one error that names the place, nothing published, the old version intact."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_disk import SmallDisk, small_disk
from tiny import publish_dataset, replace_dataset

from bigdata_ml.dataset import Dataset, validate

ROOT = Path(__file__).parents[2]
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
PAGE, AMPLE = 4096, 256 << 20

pytestmark = pytest.mark.timeout(600)

# Arguments: the dataset, and the pages that are left free, from the most to the fewest. Prints a line of JSON for each.
REPLACES_ON_A_FULL_DISK = """
import json, os, sys
from pathlib import Path
import pyarrow.parquet as pq
from tiny import replace_dataset
from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.errors import BigDataMLError
dataset, ballast = Path(sys.argv[1]), Path(sys.argv[1]).parent / "ballast"
def free():
    there = os.statvfs(dataset.parent)
    return there.f_bavail * there.f_frsize
for number, pages in enumerate(range(int(sys.argv[2]), -1, -1)):
    before = sorted(str(path) for path in dataset.parent.rglob("*") if path.is_file())
    with ballast.open("wb") as file:
        file.write(bytes(free() - pages * 4096))
    try:
        replace_dataset(dataset, 30, first=1000 * number)
        error = None
    except BigDataMLError as found:
        error = f"{type(found).__name__}: {found}"
    ballast.unlink()
    after = sorted(str(path) for path in dataset.parent.rglob("*") if path.is_file())
    ids = [one for path in Dataset.open(dataset).row_groups.files for one in pq.read_table(dataset / path)["id"].to_pylist()]
    findings = [str(one) for one in validate(dataset)]
    is_new, changed = min(ids) // 1000 == number, sorted({*before} ^ {*after})
    print(json.dumps({"pages": pages, "error": error, "changed": changed, "is_new": is_new, "findings": findings}), flush=True)
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", AMPLE) as mounted:
        yield mounted


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 30 pictures each of some 49 KB: noise, which nothing compresses."""
    place = tmp_path_factory.mktemp("pictures")
    for index in range(60):
        file = place / ("ant" if index % 2 else "bee") / f"{index}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(index).integers(0, 256, (128, 128, 3), np.uint8)).save(file)
    return place


def prepare(disk: SmallDisk, source: Path, *settings: str) -> "subprocess.CompletedProcess[str]":
    """Prepare the pictures as a new version of the dataset on the disk."""
    confs = ["spark.ui.enabled=false", "spark.sql.shuffle.partitions=2", *settings]
    local = ["--master", "local[2]", "--driver-java-options", "-XX:TieredStopAtLevel=1"]
    local += [word for conf in confs for word in ("--conf", conf)]
    submit = Path(sys.executable).with_name("spark-submit")
    job = [ROOT / "jobs/prepare_images.py", "--source", source, "--dataset", disk.place / "pets", "--encoding", "source"]
    environment = {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(ROOT)}
    return disk.run(submit, *local, *job, "--near-duplicates", "ignore", "--replace", environment=environment)


def assert_refused(done: "subprocess.CompletedProcess[str]", error: str) -> None:
    """Hold a job that ended against the pattern of its one error."""
    assert done.returncode == 2, done.stdout[-6000:]
    lines = done.stdout.splitlines()
    said = [line for line in lines if re.match(r"\w+: .*No space left on device", line)]
    assert len(said) == 1, done.stdout[-6000:]
    assert re.match(error, said[0]), said[0]
    # Before it come Spark's own words on the tasks that failed; after it, at most those of a worker whose task it ended.
    after = "\n".join(lines[lines.index(said[0]) + 1 :])
    assert not after or "pyspark/daemon.py" in after, after


def old_version(disk: SmallDisk) -> set[str]:
    """Publish a small dataset on the disk, in two versions; returns the paths of its files."""
    publish_dataset(disk.seen / "pets")
    replace_dataset(disk.seen / "pets", 9)
    return disk.files()


@pytest.mark.spark
def test_a_disk_that_is_full_while_tasks_write_ends_the_job(disk: SmallDisk, pictures: Path) -> None:
    before = old_version(disk)
    disk.resize(disk.used() + (1 << 20))
    assert_refused(
        prepare(disk, pictures), r"StorageUnavailable: \S+/\.pets\.publishing-\S+/part-\S+\.parquet cannot be written: "
    )
    assert disk.files() == before
    assert validate(disk.seen / "pets") == []


@pytest.mark.spark
def test_a_disk_that_is_full_when_the_metadata_are_written_ends_the_job(disk: SmallDisk, pictures: Path) -> None:
    old_version(disk)
    assert prepare(disk, pictures).returncode == 0
    dataset = Dataset.open(disk.seen / "pets")
    data = sum(-(-(disk.seen / "pets" / path).stat().st_size // PAGE) * PAGE for path in dataset.row_groups.files)
    # The page of quality alone shows samples of the pictures.
    assert (disk.seen / "pets/_bigdata_ml/quality.html").stat().st_size > 16 * PAGE
    disk.run("rm", "-r", disk.place / "pets")
    before = old_version(disk)
    disk.resize(disk.used() + data + 12 * PAGE)
    assert_refused(prepare(disk, pictures), r"StorageUnavailable: \S+/pets/\S+ cannot be written: ")
    assert disk.files() == before
    assert validate(disk.seen / "pets") == []


@pytest.mark.spark
def test_a_full_local_directory_of_sparks_ends_the_job(disk: SmallDisk, pictures: Path) -> None:
    before = old_version(disk)
    (disk.seen / "scratch").mkdir()
    disk.resize(disk.used() + (1 << 20))
    done = prepare(disk, pictures, f"spark.local.dir={disk.place / 'scratch'}")
    named = re.escape(f"{pictures}: Spark's local directory on an executor (spark.local.dir is {disk.place / 'scratch'})")
    assert_refused(done, f"JobRefused: {named}: No space left on device, nothing was published; ")
    assert disk.files() == before
    assert validate(disk.seen / "pets") == []


def test_with_any_room_a_version_is_published_whole_or_not_at_all(disk: SmallDisk) -> None:
    publish_dataset(disk.seen / "pets")
    command = [sys.executable, "-c", REPLACES_ON_A_FULL_DISK, disk.place / "pets", "14"]
    done = disk.run(*command, environment={"PYTHONPATH": PYTHONPATH})
    assert done.returncode == 0, done.stdout
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["findings"] for one in found] == [[]] * 15
    # With 14 pages there is room for all, with none for nothing, and no job that failed has changed anything.
    assert (found[0]["error"], found[-1]["changed"]) == (None, [])
    refused = [one for one in found if one["error"] is not None]
    assert [one["pages"] for one in refused] == list(range(len(refused) - 1, -1, -1))
    for one in refused:
        assert re.match(r"StorageUnavailable: \S+ cannot be written: .*No space left on device", one["error"]), one
        assert (one["changed"], one["is_new"]) == ([], False), one
    assert all(one["is_new"] for one in found if one["error"] is None)
