"""Images of 50 MB: what a Python worker and the JVM hold is bounded by one image, not by how many there are."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bigdata_ml.dataset import Dataset, validate
from prepare.pictures import save

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

REPOSITORY = Path(__file__).parents[2]
SIDE = 4096
# The pixels of one image, and, since noise does not compress, nearly its file.
IMAGE = SIDE * SIDE * 3
MIB = 1 << 20
# Measured were 512 MB and 2,174 to 2,817 MB with eight images (docs/images.md).
WORKER_BYTES, JVM_BYTES = 14 * IMAGE, 2800 * MIB


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that processes held: the largest Python worker's bytes, and the JVM's."""

    worker: int
    jvm: int


def make_images(place: Path, large: int, *, small: int = 0) -> Path:
    for index in range(large):
        file = place / ("ant" if index % 2 else "bee") / f"large{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(index).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(file, compress_level=0)
    for index in range(small):
        save(place / ("ant" if index % 2 else "bee") / f"small{index}.png", 1000 + index, 64, 64, 3)
    return place


def prepare(source: Path, dataset: Path, *options: str) -> Peak:
    """Run the job with one core and a heap of 2 GiB; returns what its processes held at most."""
    settings = {"spark.ui.enabled": "false", "spark.driver.memory": "2g", "spark.sql.shuffle.partitions": "2"}
    confs = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    submit = [Path(sys.executable).with_name("spark-submit"), "--master", "local[1]", *confs]
    job = [REPOSITORY / "jobs/prepare_images.py", "--source", source, "--dataset", dataset, "--encoding", "source", *options]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    log = dataset.with_suffix(".log")
    peaks: dict[int, tuple[bool, int]] = {}
    with log.open("w") as output:
        process = subprocess.Popen(list(map(str, [*submit, *job])), env=environment, stdout=output, stderr=output)
        # The kernel keeps the peak, so it is enough to look before a process ends; workers live until the job does.
        while process.poll() is None:
            peaks.update(_peaks(process.pid))
            time.sleep(0.05)
    assert process.returncode == 0, log.read_text()[-6000:]
    return Peak(
        worker=max(peak for is_worker, peak in peaks.values() if is_worker),
        jvm=max(peak for is_worker, peak in peaks.values() if not is_worker),
    )


def _peaks(pid: int) -> dict[int, tuple[bool, int]]:
    """Return of each process that belongs to the job whether it is a Python worker, and the most it has held in bytes."""
    found = {}
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        for one in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error, OSError, StopIteration):
                lines = Path(f"/proc/{one.pid}/status").read_text().splitlines()
                peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
                found[one.pid] = ("pyspark.daemon" in one.cmdline(), peak)
    return found


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Peak]:
    """A dataset of two large images and of small ones, and what its job held."""
    place = tmp_path_factory.mktemp("few")
    source = make_images(place / "in", 2, small=30)
    return place / "out", prepare(source, place / "out")


@pytest.mark.slow
def test_what_a_job_holds_follows_from_one_image(few: tuple[Path, Peak]) -> None:
    _, peak = few
    assert peak.worker < WORKER_BYTES
    assert peak.jvm < JVM_BYTES


@pytest.mark.slow
def test_row_groups_are_cut_by_bytes_among_rows_of_very_different_sizes(few: tuple[Path, Peak]) -> None:
    dataset = Dataset.open(few[0])
    assert validate(few[0]) == []
    assert dataset.rows == 32
    sizes = []
    for path in dataset.row_groups.files:
        with pq.ParquetFile(few[0] / path) as file:
            for group in range(file.num_row_groups):
                rows = file.read_row_group(group, columns=["image"])["image"].to_pylist()
                sizes.append([len(one) for one in rows])
    # A row group is full when it has 8 MiB: it has less without its last row.
    assert all(sum(group[:-1]) < 8 * MIB for group in sizes)
    assert sum(len(group) for group in sizes) == 32
    assert sum(max(group) > IMAGE for group in sizes) == 2


@pytest.mark.long
def test_what_a_job_holds_does_not_grow_with_the_number_of_images(few: tuple[Path, Peak], tmp_path: Path) -> None:
    many = prepare(make_images(tmp_path / "in", 8), tmp_path / "out")
    assert many.worker < few[1].worker + 2 * IMAGE
    assert many.worker < WORKER_BYTES
    assert many.jvm < JVM_BYTES
