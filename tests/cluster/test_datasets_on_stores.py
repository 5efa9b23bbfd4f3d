"""Datasets on real stores: published, validated and read there as on a local disk."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from contracts import assert_reads_each_row_once, assert_resumes_exactly, content_of
from killed import REPLACES_AND_ENDS
from stores import STORES
from tiny import SPLITS, contract_of, make_rows, publish_dataset, replace_dataset, write_part

from bigdata_ml.dataset import Dataset, collect_garbage, publish, stage, validate
from bigdata_ml.errors import ChecksumMismatch, DatasetNotFound, JobRefused
from bigdata_ml.reader import Reader, ReadOptions, open_reader
from bigdata_ml.storage import Location, list_tree, locate
from bigdata_ml.storage.exchange import put_new, put_over

every_store = pytest.mark.parametrize("store", STORES)
every_remote_store = pytest.mark.parametrize("store", [one for one in STORES if one != "local"])
stores_with_rename = pytest.mark.parametrize("store", [one for one in STORES if one != "s3"])

STAGES_AND_WAITS = """
import sys, time
from bigdata_ml.dataset import stage
with stage(sys.argv[1]) as staging:
    (staging.root / "half.parquet").write_bytes(b"half")
    print(staging.root.url, flush=True)
    time.sleep(60)
"""


PYTHONPATH = f"{Path(__file__).parents[2]}{os.pathsep}{Path(__file__).parents[1]}"


@pytest.fixture
def published(store: str, place: str) -> Dataset:
    """A dataset of SPLITS, published at `place`."""
    return publish_dataset(place)


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
    with pytest.raises(ChecksumMismatch, match=r"part-0.*\.parquet"):
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


@every_store
def test_publishing_leaves_nothing_beside_the_dataset(published: Dataset) -> None:
    assert children(published.location.parent) == {published.location.name}


@every_store
def test_a_second_publication_to_the_same_place_is_refused(published: Dataset) -> None:
    with pytest.raises(JobRefused, match="exists already"):
        publish_dataset(published.location.url)
    assert validate(published.location.url) == []


@stores_with_rename
def test_of_two_publications_at_once_one_wins_and_the_other_says_so(place: str) -> None:
    with stage(place) as late:
        publish_dataset(place)
        (late.root / "a").write_bytes(b"x")
        with pytest.raises(OSError):  # noqa: PT011  each store says it in its own words
            late.root.move(late.destination)
    assert validate(place) == []
    assert children(locate(place).parent) == {locate(place).name}


@stores_with_rename
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


@every_store
def test_a_new_version_takes_the_place_of_the_old_one(published: Dataset) -> None:
    place = published.location
    for rows in (9, 8, 7):
        after = replace_dataset(place.url, rows)
        assert after.rows == rows
        assert validate(place.url) == []
        assert_reads_each_row_once(lambda after=after: reader(after), range(1000, 1000 + rows))  # type: ignore[misc]
    assert (place / "_bigdata_ml/quality.html").read_bytes() == b"7 rows"
    collect_garbage(place.url)
    assert [one.path for one in list_tree(place).visible if one.path.endswith(".parquet")] == after.row_groups.files
    assert children(place.parent) == {place.name}


@every_store
def test_of_two_new_versions_at_once_one_wins_and_the_other_says_so(published: Dataset) -> None:
    place = published.location
    with pytest.raises(JobRefused, match="another job has published there since this one began"):  # noqa: PT012, SIM117
        with stage(place.url, replace=True) as staging:
            part = write_part(staging.root, make_rows(3), split="train", name=f"x{staging.suffix}.parquet")
            replace_dataset(place.url, 9)
            publish(staging, [part], contract_of(3), quarantine=[], pages={})
    assert Dataset.open(place.url).rows == 9
    assert validate(place.url) == []
    assert not any("/x." in one.path for one in list_tree(place).visible)


# Of 16 calls on HDFS, and of all 8 on S3, which has no rename.
@pytest.mark.parametrize(
    ("store", "calls"),
    [*(("hdfs", calls) for calls in (1, 2, 4, 6, 7, 8, 10, 12, 15, 16)), *(("s3", calls) for calls in range(1, 9))],
)
def test_a_job_killed_at_any_moment_leaves_the_old_version_or_the_new(published: Dataset, calls: int) -> None:
    url = published.location.url
    command = [sys.executable, "-c", REPLACES_AND_ENDS, url, str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": PYTHONPATH})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert validate(url) == []
    assert Dataset.open(url).rows in (sum(SPLITS.values()), 9)
    assert replace_dataset(url, 4).rows == 4
    collect_garbage(url)
    assert validate(url) == []
    assert children(published.location.parent) == {published.location.name}


@every_store
def test_of_several_that_put_a_file_as_the_first_one_succeeds(place: str) -> None:
    file = locate(place) / "a/first"
    put_new(file, b"one")
    with pytest.raises(FileExistsError):
        put_new(file, b"two")
    assert file.read_bytes() == b"one"
    put_over(file, b"three")
    assert file.read_bytes() == b"three"
    put_over(locate(place) / "b/new", b"four")
    assert [one.path for one in list_tree(locate(place)).visible] == ["a/first", "b/new"]
    assert children(locate(place) / "a") == {"first"}


def children(directory: Location) -> set[str]:
    return {info.base_name for info in directory.filesystem.get_file_info(pafs.FileSelector(directory.path))}
