"""Publishing: the whole dataset or nothing, and debris of the dead is named and cleaned."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny import FIELDS, contract_of, make_rows, publish_dataset, write_part

from bigdata_ml.dataset import Dataset, PartFile, PartWriter, Staging, WriteOptions, publish, stage, validate
from bigdata_ml.errors import DatasetInvalid, JobRefused

STAGES_AND_WAITS = """
import sys, time
from bigdata_ml.dataset import stage
with stage(sys.argv[1]) as staging:
    print(staging.root.url, flush=True)
    time.sleep(60)
"""


def part_of(staging: Staging, *, rows: int = 9, name: str = "a.parquet") -> PartFile:
    return write_part(staging.root, make_rows(rows), split="train", name=name)


def publish_part(url: Path, meddle: Callable[[Staging, PartFile], None], *, kept: int = 9) -> None:
    """Write nine rows, let `meddle` happen, publish."""
    with stage(str(url)) as staging:
        part = part_of(staging)
        meddle(staging, part)
        publish(staging, [part], contract_of(kept), quarantine=[], pages={})


def names(directory: Path) -> list[str]:
    return sorted(one.name for one in directory.iterdir())


def other_stager(url: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that holds a staging directory for `url`."""
    process = subprocess.Popen([sys.executable, "-c", STAGES_AND_WAITS, str(url)], stdout=subprocess.PIPE, text=True)
    return process, Path(process.stdout.readline().strip())


def end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_only_the_dataset_is_there_afterwards(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    assert names(tmp_path) == ["d"]
    there = [name for name in names(tmp_path / "d") if name != "_common_metadata"]  # Petastorm's, where it is installed
    assert there == ["_bigdata_ml", "split=test", "split=train", "split=validation"]


def test_nothing_is_at_the_destination_until_it_is_published(tmp_path: Path) -> None:
    with stage(str(tmp_path / "d")) as staging:
        part = part_of(staging)
        assert not (tmp_path / "d").exists()
        publish(staging, [part], contract_of(9), quarantine=[], pages={"_bigdata_ml/quality.html": b"<html>"})
    assert Dataset.open(tmp_path / "d").rows == 9
    assert (tmp_path / "d/_bigdata_ml/quality.html").read_bytes() == b"<html>"


def test_a_destination_that_exists_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/mine.txt").write_text("mine")
    with pytest.raises(JobRefused, match=r"d exists already"), stage(str(tmp_path / "d")):
        raise AssertionError
    assert (names(tmp_path), names(tmp_path / "d")) == (["d"], ["mine.txt"])


@pytest.mark.parametrize("intruder", ["directory", "file"])
def test_what_came_to_be_at_the_destination_meanwhile_is_left_alone(tmp_path: Path, intruder: str) -> None:
    place = tmp_path / "d"
    with pytest.raises(JobRefused, match="exists already"):
        publish_part(place, lambda *_: place.mkdir() if intruder == "directory" else place.touch())
    assert names(tmp_path) == ["d"]
    assert place.is_file() if intruder == "file" else names(place) == []


def test_of_two_that_publish_to_one_place_one_wins_whole(tmp_path: Path) -> None:
    with stage(str(tmp_path / "d")) as one, stage(str(tmp_path / "d")) as other:
        publish(one, [part_of(one)], contract_of(9), quarantine=[], pages={})
        with pytest.raises(JobRefused):
            publish(other, [part_of(other, rows=4)], contract_of(4), quarantine=[], pages={})
    assert (names(tmp_path), Dataset.open(tmp_path / "d").rows, validate(tmp_path / "d")) == (["d"], 9, [])


def test_files_of_failed_attempts_are_deleted_before_publishing(tmp_path: Path) -> None:
    with stage(str(tmp_path / "d")) as staging:
        part_of(staging, name="failed-attempt.parquet")
        (Path(staging.root.path) / "split=train/torn.parquet").write_bytes(b"PAR1 torn")
        publish(staging, [part_of(staging)], contract_of(9), quarantine=[], pages={})
    assert names(tmp_path / "d/split=train") == ["a.parquet"]
    assert validate(tmp_path / "d") == []


def test_a_file_without_rows_is_not_published(tmp_path: Path) -> None:
    with stage(str(tmp_path / "d")) as staging:
        parts = [part_of(staging), part_of(staging, rows=0, name="empty.parquet")]
        publish(staging, parts, contract_of(9), quarantine=[], pages={})
    assert (Dataset.open(tmp_path / "d").rows, validate(tmp_path / "d")) == (9, [])


def test_a_file_that_differs_from_what_its_task_returned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match=r"a\.parquet: the footer differs"):
        publish_part(tmp_path / "d", lambda staging, _: part_of(staging, rows=8))
    assert names(tmp_path) == []


@pytest.mark.parametrize("bytes_left", [None, 0, -3])
def test_a_file_that_is_gone_or_torn_is_refused(tmp_path: Path, bytes_left: int | None) -> None:
    def damage(staging: Staging, part: PartFile) -> None:
        place = Path((staging.root / part.path).path)
        place.unlink() if bytes_left is None else place.write_bytes(place.read_bytes()[:bytes_left])

    with pytest.raises(DatasetInvalid, match=r"a\.parquet"):
        publish_part(tmp_path / "d", damage)
    assert names(tmp_path) == []


@pytest.mark.parametrize("kept", [8, 10])
def test_rows_that_are_not_those_meant_to_be_kept_are_refused(tmp_path: Path, kept: int) -> None:
    with pytest.raises(DatasetInvalid, match=f"9 rows were written, {kept} were meant"):
        publish_part(tmp_path / "d", lambda *_: None, kept=kept)
    assert names(tmp_path) == []


def test_another_schema_than_the_contract_says_is_refused(tmp_path: Path) -> None:
    schema = FIELDS.select(["id", "label"])
    with stage(str(tmp_path / "d")) as staging:
        part = write_part(staging.root, make_rows(9).select(schema.names), split="train", name="a.parquet", schema=schema)
        with pytest.raises(DatasetInvalid, match="the footer differs"):
            publish(staging, [part], contract_of(9), quarantine=[], pages={})


def test_after_an_exception_nothing_stays_and_the_next_job_succeeds(tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        publish_part(tmp_path / "d", stop)
    assert names(tmp_path) == []
    assert publish_dataset(tmp_path / "d").rows == 71


def test_no_thread_stays_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    publish_dataset(tmp_path / "d")
    assert threading.active_count() == before


def test_a_destination_whose_parent_is_not_there_is_made(tmp_path: Path) -> None:
    assert publish_dataset(tmp_path / "a/b/d").rows == 71


def test_debris_of_a_killed_process_is_deleted_and_named(tmp_path: Path) -> None:
    process, left = other_stager(tmp_path / "d")
    (left / "split=train").mkdir()
    end(process)
    assert left.exists()
    with stage(str(tmp_path / "d")) as staging:
        assert staging.debris == (str(left),)
        assert not left.exists()
    assert names(tmp_path) == []


def test_what_a_live_process_stages_is_left_alone(tmp_path: Path) -> None:
    process, held = other_stager(tmp_path / "d")
    try:
        with stage(str(tmp_path / "d")) as staging:
            assert staging.debris == ()
        assert held.exists()
    finally:
        end(process)


def test_debris_of_another_machine_goes_once_its_heartbeat_stopped(tmp_path: Path) -> None:
    for name, beat in (("old", 0.0), ("new", time.time())):
        (tmp_path / f".d.publishing-{name}").mkdir()
        (tmp_path / f".d.publishing-{name}.claim").write_text(f'{{"host": "elsewhere", "pid": 1, "beat": {beat}}}')
    with stage(str(tmp_path / "d")) as staging:
        assert staging.debris == (str(tmp_path / ".d.publishing-old"),)
    assert names(tmp_path) == [".d.publishing-new", ".d.publishing-new.claim"]


def test_a_claim_that_is_just_being_rewritten_is_no_sign_of_death(tmp_path: Path) -> None:
    # The heartbeat truncates the claim and writes it anew, while the directory itself does not change for hours.
    staging, claim = tmp_path / ".d.publishing-x", tmp_path / ".d.publishing-x.claim"
    staging.mkdir()
    os.utime(staging, (0, 0))
    claim.write_bytes(b"")
    with stage(str(tmp_path / "d")) as other:
        assert other.debris == ()
    assert staging.exists()


def test_debris_of_other_destinations_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".dd.publishing-x").mkdir()
    (tmp_path / ".dd.publishing-x.claim").write_text('{"host": "elsewhere", "pid": 1, "beat": 0}')
    with stage(str(tmp_path / "d")) as staging:
        assert staging.debris == ()
    assert ".dd.publishing-x" in names(tmp_path)


def test_a_part_file_returned_twice_is_refused(tmp_path: Path) -> None:
    with stage(str(tmp_path / "d")) as staging:
        part = part_of(staging)
        with pytest.raises(DatasetInvalid, match=r"a\.parquet: returned by two tasks"):
            publish(staging, [part, replace(part)], contract_of(18), quarantine=[], pages={})


def test_files_without_a_split_lie_at_the_top(tmp_path: Path) -> None:
    with stage(str(tmp_path / "d")) as staging:
        with PartWriter(staging.root, split=None, name="a.parquet", schema=FIELDS, options=WriteOptions()) as writer:
            writer.write(make_rows(3).to_batches()[0])
            part = writer.close()
        manifest = publish(staging, [part], contract_of(3), quarantine=[], pages={})
    assert (manifest.splits, Dataset.open(tmp_path / "d").splits) == ({}, ())
    assert [name for name in names(tmp_path / "d") if name != "_common_metadata"] == ["_bigdata_ml", "a.parquet"]


def test_refused_rows_that_are_not_in_quarantine_are_not_published(tmp_path: Path) -> None:
    with stage(str(tmp_path / "d")) as staging:
        part = write_part(staging.root, make_rows(4), split=None, name="part-0.parquet")
        with pytest.raises(DatasetInvalid, match="1 rows were refused, 0 lie in quarantine"):
            publish(staging, [part], contract_of(4, refused=1), quarantine=[], pages={})
    assert not (tmp_path / "d").exists()
