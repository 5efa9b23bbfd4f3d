"""A source that changes between its listing and its reading: the job ends naming the file, and publishes nothing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import ImageJob, TableJob, prepare_images, prepare_table
from bigdata_ml.prepare.images import job as image_job
from bigdata_ml.prepare.tables import read as table_read
from bigdata_ml.prepare.tables import steps as table_steps
from prepare.pictures import save

pytestmark = pytest.mark.spark


def _grow(file: Path) -> None:
    # Of a table the rows again, without the names of the columns.
    file.write_bytes(file.read_bytes() + file.read_bytes().split(b"\n", 1)[1])


def _shrink(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _other_bytes(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2] + b"9\n")
    os.utime(file, ns=(1, 1))


# By the listing after the job's passes, or by our own client, which knows how many bytes were listed.
SIZE = r"it changed while the job read it \(had \d+ bytes, has \d+\)|it has \d+ bytes, \d+ were listed: it changes while"
CHANGES = {
    "grows": (_grow, SIZE),
    "shrinks": (_shrink, SIZE),
    "becomes empty": (lambda file: file.write_bytes(b""), SIZE),
    "is replaced by one of its size": (_other_bytes, r"it changed while the job read it \(has another time of change\)"),
    "is deleted": (Path.unlink, r"does not exist|it is gone|No such file"),
}
by_change = pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)


def change_before(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, change: Callable[[], object]) -> None:
    """Have the change made when the job comes to that step: it has listed its files, and read no row yet."""
    step = getattr(module, name)

    def changed(*arguments: Any, **options: Any) -> Any:
        change()
        return step(*arguments, **options)

    monkeypatch.setattr(module, name, changed)


def refused(run: Callable[[], object], out: str, file: Path, said: str) -> None:
    with pytest.raises(JobRefused, match=said) as caught:
        run()
    assert str(file) in str(caught.value)
    assert not Path(out).parent.exists() or list(Path(out).parent.iterdir()) == []


@by_change
def test_an_image_that_changes_ends_the_job(
    spark: SparkSession, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], said: str
) -> None:
    for index in range(6):
        save(tmp_path / "in" / ("ant" if index % 2 else "bee") / f"{index}.png", index, 8, 8, 3)
    file = tmp_path / "in/ant/3.png"
    change_before(monkeypatch, image_job, "bring_together", lambda: change(file))
    job = ImageJob(source=str(tmp_path / "in"), dataset=out)
    refused(lambda: prepare_images(spark, job), out, file, said)


@by_change
def test_a_table_that_changes_ends_the_job(
    spark: SparkSession, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object], said: str
) -> None:
    (tmp_path / "in").mkdir()
    for part in range(3):
        (tmp_path / f"in/{part}.csv").write_text("a,y\n" + "".join(f"{part * 100 + row},{row % 2}\n" for row in range(40)))
    file = tmp_path / "in/1.csv"
    change_before(monkeypatch, table_steps, "with_source", lambda: change(file))
    job = TableJob(source=str(tmp_path / "in"), dataset=out, label="y")
    refused(lambda: prepare_table(spark, job), out, file, said)


def test_a_table_that_is_joined_and_changes_ends_the_job(
    spark: SparkSession, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("k,y\n" + "".join(f"{row},{row % 2}\n" for row in range(40)))
    other = tmp_path / "b.csv"
    other.write_text("k,b\n" + "".join(f"{row},{row * row}\n" for row in range(40)))
    change_before(monkeypatch, table_read, "refuse_shared_keys", lambda: _shrink(other))
    job = TableJob(source=str(tmp_path / "a.csv"), dataset=out, label="y", join=(f"{other}:k=k",))
    refused(lambda: prepare_table(spark, job), out, other, SIZE)


@pytest.mark.long
def test_a_file_that_comes_later_is_not_looked_at(
    spark: SparkSession, tmp_path: Path, out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(6):
        save(tmp_path / "in" / ("ant" if index % 2 else "bee") / f"{index}.png", index, 8, 8, 3)
    change_before(monkeypatch, image_job, "bring_together", lambda: save(tmp_path / "in/ant/late.png", 9, 8, 8, 3))
    assert prepare_images(spark, ImageJob(source=str(tmp_path / "in"), dataset=out)).rows == 6
