"""Quotas of HDFS: a job that exceeds one says so with the URL, publishes nothing, and works once the quota is raised."""

import getpass
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import numpy as np
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from native import Cluster
from PIL import Image
from tiny import publish_dataset, replace_dataset

from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage import Location, locate

ROOT = Path(__file__).parents[2]
NAMES, SPACE = "namespacequota", "storagespacequota"
UNLIMITED = -1


class Parent:
    """The directory that datasets are published in, and its quotas."""

    def __init__(self, cluster: Cluster, place: Location) -> None:
        self._page = f"{cluster.namenode_page}/webhdfs/v1{urlsplit(place.url).path}"
        self.place = place

    def set_quota(self, **quotas: int) -> None:
        """Set the number of names below it (itself counted), or the bytes, each counted once a replica."""
        asked = urlencode({"op": "SETQUOTA", "user.name": getpass.getuser(), **quotas})
        urllib.request.urlopen(urllib.request.Request(f"{self._page}?{asked}", method="PUT")).close()

    def used(self, what: str) -> int:
        """Return the names, or the bytes of all replicas."""
        with urllib.request.urlopen(f"{self._page}?op=GETQUOTAUSAGE") as answer:
            text = answer.read().decode()
        field = {NAMES: "fileAndDirectoryCount", SPACE: "spaceConsumed"}[what]
        return int(re.findall(rf'"{field}":(\d+)', text)[0])

    def files(self) -> set[str]:
        """Return the paths of all that is there, hidden or not."""
        below = pafs.FileSelector(self.place.path, recursive=True)
        return {info.path for info in self.place.filesystem.get_file_info(below)}


@pytest.fixture
def parent(hadoop: Cluster, place: str) -> Iterator[Parent]:
    there = locate(place)
    there.filesystem.create_dir(there.path, recursive=True)
    found = Parent(hadoop, there)
    yield found
    found.set_quota(**{NAMES: UNLIMITED, SPACE: UNLIMITED})


def ids_of(dataset: Location) -> set[int]:
    opened = Dataset.open(dataset.url)
    streams = [dataset.filesystem.open_input_file((dataset / path).path) for path in opened.row_groups.files]
    return {one for stream in streams for one in pq.read_table(stream, columns=["id"])["id"].to_pylist()}


@pytest.mark.parametrize("store", ["hdfs", "webhdfs"])
@pytest.mark.parametrize(("what", "word"), [(NAMES, "NameSpace"), (SPACE, "DiskSpace")], ids=["names", "space"])
def test_a_new_dataset_beyond_a_quota_is_not_published(parent: Parent, what: str, word: str) -> None:
    dataset = parent.place / "pets"
    parent.set_quota(**{what: parent.used(what) + 5})
    with pytest.raises(StorageUnavailable, match=rf"^{parent.place.url}/\S+ cannot be written: .*{word}.*quota"):
        publish_dataset(dataset.url)
    assert parent.files() == set()
    parent.set_quota(**{what: UNLIMITED})
    publish_dataset(dataset.url)
    assert validate(dataset.url) == []


@pytest.mark.parametrize("store", ["hdfs"])
def test_with_any_room_for_names_a_version_is_published_whole_or_not_at_all(parent: Parent) -> None:
    dataset = parent.place / "pets"
    publish_dataset(dataset.url)
    replace_dataset(dataset.url, 4, first=500)
    before, names = parent.files(), parent.used(NAMES)
    for room in range(13):
        parent.set_quota(**{NAMES: names + room})
        refused = replaced_or_error(dataset, first=1000)
        if refused is None:
            break
        assert re.match(rf"{parent.place.url}/\S+ cannot be written: .*NameSpace quota", refused)
        assert (parent.files(), min(ids_of(dataset)), validate(dataset.url)) == (before, 500, [])
    # The staging directory, its claim, the data, the metadata, each beside its place: a job takes more names than a few.
    assert 4 < room < 12
    assert (min(ids_of(dataset)), validate(dataset.url)) == (1000, [])


def replaced_or_error(dataset: Location, *, first: int) -> str | None:
    """Publish a version; returns the error of a store that does not take it."""
    try:
        replace_dataset(dataset.url, 4, first=first)
    except StorageUnavailable as error:
        return str(error)
    return None


@pytest.mark.spark
@pytest.mark.parametrize("store", ["hdfs"])
def test_a_job_beyond_a_quota_ends_with_one_error_and_works_when_it_is_raised(
    hadoop: Cluster, parent: Parent, tmp_path: Path
) -> None:
    for index in range(24):
        file = tmp_path / "in" / ("ant" if index % 2 else "bee") / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)).save(file)
    dataset = parent.place / "pets"
    publish_dataset(dataset.url)
    parent.set_quota(**{SPACE: parent.used(SPACE) + 1000})
    first = run(hadoop, tmp_path / "in", dataset.url)
    said = [line for line in first.stdout.splitlines() if re.match(r"\w+: .*DiskSpace quota", line)]
    assert first.returncode == 2, first.stdout[-4000:]
    assert len(said) == 1, first.stdout[-4000:]
    assert re.match(rf"StorageUnavailable: {parent.place.url}/\S+ cannot be written: ", said[0])
    assert "Traceback" not in first.stdout
    assert (Dataset.open(dataset.url).rows, validate(dataset.url)) == (71, [])
    parent.set_quota(**{SPACE: UNLIMITED})
    second = run(hadoop, tmp_path / "in", dataset.url)
    assert second.returncode == 0, second.stdout[-4000:]
    assert (Dataset.open(dataset.url).rows, validate(dataset.url)) == (24, [])


def run(cluster: Cluster, source: Path, dataset: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "HADOOP_CONF_DIR": str(cluster.conf_dir),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
    }
    local = [
        "--master",
        "local[2]",
        "--driver-java-options",
        "-XX:TieredStopAtLevel=1",
        "--conf",
        "spark.sql.shuffle.partitions=2",
    ]
    submit = [Path(sys.executable).with_name("spark-submit"), *local, ROOT / "jobs/prepare_images.py"]
    command = [*submit, "--source", f"file://{source}", "--dataset", dataset, "--near-duplicates", "ignore", "--replace"]
    return subprocess.run(
        list(map(str, command)),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=250,
        check=False,
    )
