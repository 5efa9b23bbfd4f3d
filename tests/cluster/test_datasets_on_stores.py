"""Datasets on real stores: published, validated and read there as on a local disk."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from contracts import assert_reads_each_row_once, assert_resumes_exactly, content_of
from stores import STORES
from tiny import SPLITS, publish_dataset

from bigdata_ml.dataset import Dataset, stage, validate
from bigdata_ml.errors import ChecksumMismatch, DatasetNotFound, JobRefused
from bigdata_ml.reader import Reader, ReadOptions, open_reader
from bigdata_ml.storage import Location, locate

every_store = pytest.mark.parametrize("store", STORES)
every_remote_store = pytest.mark.parametrize("store", [one for one in STORES if one != "local"])
stores_that_publish = pytest.mark.parametrize("store", [one for one in STORES if one != "s3"])

STAGES_AND_WAITS = """
import sys, time
from bigdata_ml.dataset import stage
with stage(sys.argv[1]) as staging:
    (staging.root / "half.parquet").write_bytes(b"half")
    print(staging.root.url, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def published(store: str, place: str, tmp_path: Path) -> Dataset:
    """A dataset of SPLITS at `place`: published there or, on S3, copied."""
    if store != "s3":
        return publish_dataset(place)
    publish_dataset(tmp_path / "local")
    copy_files(locate(tmp_path / "local"), locate(place))
    return Dataset.open(place)


def copy_files(source: Location, target: Location) -> None:
    for info in source.filesystem.get_file_info(pafs.FileSelector(source.path, recursive=True)):
        if info.type == pafs.FileType.File:
            path = info.path[len(source.path) + 1 :]
            (target / path).write_bytes((source / path).read_bytes())


def reader(dataset: Dataset) -> Reader:
    return open_reader(dataset.split("train"), ReadOptions(seed=3, remainder="exact"), global_batch_size=8)


@every_store
def test_a_published_dataset_is_valid_and_has_all_its_rows(published: Dataset) -> None:
    assert validate(published.location.url) == []
    assert {name: published.split(name).rows for name in SPLITS} == SPLITS


@every_store
def test_every_row_is_read_once(published: Dataset) -> None:
    assert_reads_each_row_once(lambda: reader(published), range(SPLITS["train"]))


@every_store
def test_reading_resumes_exactly(published: Dataset) -> None:
    assert_resumes_exactly(lambda: reader(published))


@every_remote_store
def test_batches_are_those_of_a_local_disk(published: Dataset, tmp_path: Path) -> None:
    beside = publish_dataset(tmp_path / "beside")
    assert [content_of(batch) for batch in reader(published)] == [content_of(batch) for batch in reader(beside)]


@every_store
def test_a_changed_byte_is_found(published: Dataset) -> None:
    file = published.location / published.split("train").row_groups.files[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 0xFF
    file.write_bytes(bytes(data))
    assert [finding.place for finding in validate(published.location.url)] == [f"{file.url} row group 2"]
    with pytest.raises(ChecksumMismatch, match=r"part-0\.parquet"):
        list(reader(published))


@every_store
def test_a_missing_file_is_found(published: Dataset) -> None:
    file = published.location / published.split("test").row_groups.files[0]
    file.delete()
    assert [finding.place for finding in validate(published.location.url)] == [file.url]


@every_store
def test_no_dataset_is_where_there_is_nothing(place: str) -> None:
    with pytest.raises(DatasetNotFound):
        Dataset.open(place)


@stores_that_publish
def test_publishing_leaves_nothing_beside_the_dataset(published: Dataset) -> None:
    assert children(published.location.parent) == {published.location.name}


@stores_that_publish
def test_a_second_publication_to_the_same_place_is_refused(published: Dataset) -> None:
    with pytest.raises(JobRefused, match="exists already"):
        publish_dataset(published.location.url)
    assert validate(published.location.url) == []


@stores_that_publish
def test_of_two_publications_at_once_one_wins_and_the_other_says_so(place: str) -> None:
    with stage(place) as late:
        publish_dataset(place)
        (late.root / "a").write_bytes(b"x")
        with pytest.raises(OSError):  # noqa: PT011  each store says it in its own words
            late.root.move(late.destination)
    assert validate(place) == []
    assert children(locate(place).parent) == {locate(place).name}


@stores_that_publish
def test_debris_of_a_killed_job_is_named_and_deleted_by_the_next(place: str) -> None:
    command = [sys.executable, "-c", STAGES_AND_WAITS, place]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as job:
        debris = job.stdout.readline().strip()
        os.kill(job.pid, signal.SIGKILL)
    assert locate(debris).exists()
    with stage(place) as staging:
        assert staging.debris == (debris,)
    assert not locate(debris).exists()
    assert not locate(place).exists()


@pytest.mark.parametrize("store", ["s3"])
def test_publishing_to_s3_is_refused_by_name(place: str) -> None:
    with pytest.raises(JobRefused, match="S3 has no rename"):
        publish_dataset(place)


def children(directory: Location) -> set[str]:
    return {info.base_name for info in directory.filesystem.get_file_info(pafs.FileSelector(directory.path))}
