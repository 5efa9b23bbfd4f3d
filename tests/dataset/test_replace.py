"""A dataset is replaced in place: readers see one version or the other, jobs that race or die leave one of them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from killed import REPLACES_AND_ENDS
from tiny import contract_of, make_rows, publish_dataset, replace_dataset, write_part

from bigdata_ml.dataset import Dataset, adopt, collect_garbage, publish, stage, validate
from bigdata_ml.errors import DatasetInvalid, DatasetNotFound, JobRefused
from bigdata_ml.reader import ReadOptions, open_reader


def ids_of(dataset: Dataset) -> list[int]:
    read = ReadOptions(columns=("id",), shuffle=False, remainder="exact")
    batches = list(open_reader(dataset, read, global_batch_size=4))
    return sorted(row["id"] for batch in batches for row in batch.to_pylist() if not row["repeated"])


def files_below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_a_new_version_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    before = publish_dataset(tmp_path / "d")
    after = replace_dataset(tmp_path / "d", 9)
    assert ids_of(after) == list(range(1000, 1009))
    assert before.manifest is not None
    assert after.manifest is not None
    assert after.manifest.publication != before.manifest.publication
    assert (tmp_path / "d/_bigdata_ml/quality.html").read_text() == "9 rows"
    assert validate(tmp_path / "d") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d"]


def test_a_reader_of_the_old_version_reads_on_until_the_next_but_one(tmp_path: Path) -> None:
    old = publish_dataset(tmp_path / "d")
    batches = iter(open_reader(old, ReadOptions(columns=("id",), shuffle=False), global_batch_size=71))
    replace_dataset(tmp_path / "d", 9)
    assert sorted(next(batches)["id"].to_pylist()) == list(range(71))
    assert ids_of(old) == list(range(71))
    replace_dataset(tmp_path / "d", 8)
    with pytest.raises(DatasetInvalid):
        ids_of(old)
    assert validate(tmp_path / "d") == []


def test_where_nothing_is_a_version_is_published_as_any_dataset(tmp_path: Path) -> None:
    assert ids_of(replace_dataset(tmp_path / "d", 9)) == list(range(1000, 1009))
    assert not (tmp_path / "d/_bigdata_ml/manifests").exists()


def test_what_is_no_dataset_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/mine.txt").write_text("mine")
    with pytest.raises(JobRefused, match=r"d is not a dataset"):
        replace_dataset(tmp_path / "d", 9)
    assert files_below(tmp_path) == {"d/mine.txt"}


@pytest.mark.parametrize("versions", [1, 2, 4])
def test_an_error_leaves_the_old_version_and_nothing_else(tmp_path: Path, versions: int) -> None:
    publish_dataset(tmp_path / "d")
    for version in range(1, versions):
        replace_dataset(tmp_path / "d", 9 + version)
    with stage(str(tmp_path / "d"), replace=True):
        before = files_below(tmp_path / "d")
    with pytest.raises(RuntimeError, match="no more"), stage(str(tmp_path / "d"), replace=True) as staging:  # noqa: PT012
        part = write_part(staging.root, make_rows(3), split="train", name=f"x{staging.suffix}.parquet")
        (staging.root / part.path).move(staging.destination / part.path)
        raise RuntimeError("no more")
    assert files_below(tmp_path) == {f"d/{path}" for path in before}


def test_of_two_jobs_one_wins_and_the_other_says_so(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    with pytest.raises(JobRefused, match="another job has published there since this one began"):  # noqa: PT012, SIM117
        with stage(str(tmp_path / "d"), replace=True) as staging:
            part = write_part(staging.root, make_rows(3), split="train", name=f"x{staging.suffix}.parquet")
            replace_dataset(tmp_path / "d", 9)
            publish(staging, [part], contract_of(3), quarantine=[], pages={})
    assert ids_of(Dataset.open(tmp_path / "d")) == list(range(1000, 1009))
    assert validate(tmp_path / "d") == []
    assert len(list((tmp_path / "d/split=train").iterdir())) == 3


def _racer(url: str, rows: int, start: float, results: "multiprocessing.Queue[int]") -> None:
    time.sleep(max(0.0, start - time.time()))
    try:
        replace_dataset(url, rows, first=rows * 1000)
        results.put(rows)
    except JobRefused:
        results.put(0)
    except Exception as error:
        results.put(-1)
        raise error


def test_many_jobs_at_once_leave_the_version_of_the_last_that_won(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[int] = context.Queue()
    jobs = [context.Process(target=_racer, args=(str(tmp_path / "d"), 3 + n, time.time() + 1, results)) for n in range(6)]
    for job in jobs:
        job.start()
    winners = {results.get(timeout=60) for _ in jobs} - {0}
    for job in jobs:
        job.join()
        assert job.exitcode == 0
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.rows in winners
    assert ids_of(dataset) == list(range(dataset.rows * 1000, dataset.rows * 1001))
    assert validate(tmp_path / "d") == []
    numbers = [int(path.stem) for path in (tmp_path / "d/_bigdata_ml/manifests").iterdir()]
    assert max(numbers) == 1 + len(winners)


# Of 29, of which the ninth gives the new version its number.
@pytest.mark.parametrize("calls", [1, 3, 5, 7, 9, 10, 11, 14, 28, 29])
def test_a_job_killed_at_any_moment_leaves_the_old_version_or_the_new(tmp_path: Path, calls: int) -> None:
    """The job ends itself, without any clean-up, at its n-th call that changes a file's name or makes a directory."""
    publish_dataset(tmp_path / "d")
    replace_dataset(tmp_path / "d", 5, first=500)
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parents[1]}"}
    command = [sys.executable, "-c", REPLACES_AND_ENDS, str(tmp_path / "d"), str(calls)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert validate(tmp_path / "d") == []
    assert ids_of(Dataset.open(tmp_path / "d")) in (list(range(500, 505)), list(range(1000, 1009)))
    assert ids_of(replace_dataset(tmp_path / "d", 4, first=2000)) == list(range(2000, 2004))
    collect_garbage(tmp_path / "d")
    assert {path.name for path in tmp_path.iterdir()} == {"d"}
    assert len(list((tmp_path / "d/split=train").iterdir())) == 1
    assert validate(tmp_path / "d") == []


def test_a_version_whose_job_died_before_the_copy_is_completed_by_the_next(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    replace_dataset(tmp_path / "d", 9)
    manifest, older = tmp_path / "d/_bigdata_ml/manifest.json", tmp_path / "d/_bigdata_ml/manifests/00000001.json"
    manifest.write_bytes(older.read_bytes())
    assert Dataset.open(tmp_path / "d").rows == 71
    with stage(str(tmp_path / "d"), replace=True):
        assert Dataset.open(tmp_path / "d").rows == 9


def test_a_first_version_whose_job_died_before_the_copy_is_completed_too(tmp_path: Path) -> None:
    """As on S3, where a new dataset has a numbered manifest, too."""
    publish_dataset(tmp_path / "d")
    with stage(str(tmp_path / "d"), replace=True):
        pass
    (tmp_path / "d/_bigdata_ml/manifest.json").unlink()
    assert replace_dataset(tmp_path / "d", 4).rows == 4
    assert len(list((tmp_path / "d/_bigdata_ml/manifests").iterdir())) == 2


def test_a_job_that_began_many_versions_ago_publishes_nothing(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    with pytest.raises(JobRefused, match="another job has published there since this one began"):  # noqa: PT012, SIM117
        with stage(str(tmp_path / "d"), replace=True) as staging:
            part = write_part(staging.root, make_rows(3), split="train", name=f"x{staging.suffix}.parquet")
            for rows in (5, 6, 7, 8):
                replace_dataset(tmp_path / "d", rows)
            collect_garbage(tmp_path / "d")
            publish(staging, [part], contract_of(3), quarantine=[], pages={})
    assert Dataset.open(tmp_path / "d").rows == 8
    assert validate(tmp_path / "d") == []


def test_what_a_dead_job_was_about_to_put_in_place_is_swept_once_it_is_old(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    old, fresh = (tmp_path / f"d/_bigdata_ml/.manifest.json.0123abc{number}" for number in (1, 2))
    for place in (old, fresh):
        place.write_bytes(b"half")
    os.utime(old, (time.time() - 3600, time.time() - 3600))
    replace_dataset(tmp_path / "d", 4)
    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_job_taken_for_dead_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_dataset(tmp_path / "d")
    with pytest.raises(JobRefused, match="another job took this one for dead"):  # noqa: PT012, SIM117
        with stage(str(tmp_path / "d"), replace=True) as staging:
            part = write_part(staging.root, make_rows(3), split="train", name=f"x{staging.suffix}.parquet")
            monkeypatch.setattr(type(staging.root), "move", lambda *_: None)
            publish(staging, [part], contract_of(3), quarantine=[], pages={})
    assert Dataset.open(tmp_path / "d").rows == 71


def test_garbage_is_what_no_reader_of_the_manifest_needs(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    (tmp_path / "d/notes.parquet.txt").write_text("mine")
    replace_dataset(tmp_path / "d", 9)
    gone = collect_garbage(tmp_path / "d")
    assert len([path for path in gone if path.endswith(".parquet")]) == 6
    assert collect_garbage(tmp_path / "d") == []
    assert (tmp_path / "d/notes.parquet.txt").exists()
    assert ids_of(Dataset.open(tmp_path / "d")) == list(range(1000, 1009))
    assert validate(tmp_path / "d") == []
    with pytest.raises(DatasetNotFound):
        collect_garbage(tmp_path)


def test_files_of_a_job_under_way_are_no_garbage(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    with stage(str(tmp_path / "d"), replace=True) as staging:
        place = tmp_path / "d/split=train" / f"x{staging.suffix}.parquet"
        place.write_bytes(b"half")
        collect_garbage(tmp_path / "d")
        assert place.exists()
        assert validate(tmp_path / "d") == []
    assert not place.exists()


def test_files_adopted_anew_are_a_version_too(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    replace_dataset(tmp_path / "d", 9)
    with pytest.raises(JobRefused, match="belongs to an older version, whose rows would come twice; bigdata-ml gc first"):
        adopt(tmp_path / "d", replace=True)
    collect_garbage(tmp_path / "d")
    assert adopt(tmp_path / "d", replace=True).rows == 9
    assert ids_of(replace_dataset(tmp_path / "d", 4)) == list(np.arange(1000, 1004))
