"""An incremental image job reads what is new or changed, and publishes what a full one would."""

import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bigdata_ml.dataset import Dataset, Manifest, collect_garbage, validate
from bigdata_ml.dataset.layout import LEDGER, MANIFEST, QUALITY, QUALITY_NUMBERS
from bigdata_ml.dataset.publishing.ledger import ledger_batches
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import ImageJob, prepare_images
from bigdata_ml.prepare.images.checks import ImageChecks
from bigdata_ml.prepare.images.incremental.stored_bytes import stored_bytes
from bigdata_ml.prepare.images.inspect import Inspection, inspect_images
from bigdata_ml.prepare.images.steps import bring_together, with_stored
from bigdata_ml.prepare.sources import images
from prepare.histories import History
from prepare.pictures import save

pytestmark = pytest.mark.spark

SMALL: tuple[tuple[int, ...], ...] = ((8, 9), (8, 9, 3))
MANY: tuple[tuple[int, ...], ...] = ((40, 48, 3), (56, 40), (34, 34, 3))
SPLIT = "train=0.6,validation=0.2,test=0.2"
# Each kind of content there is: pixels of files, pixels, files' own bytes, files written anew.
KINDS: tuple[tuple[tuple[tuple[int, ...], ...], dict[str, Any]], ...] = (
    (SMALL, {"label_conflict": "first"}),
    (MANY, {"label_from": "labels.csv", "near_duplicates": "refuse", "label_conflict": "warn"}),
    (SMALL, {"encoding": "raw", "label_from": "none"}),
    (MANY, {"encoding": "jpeg", "shorter_side": 36, "near_duplicates": "refuse", "split_key": "folder"}),
)


def prepared(spark: SparkSession, source: Path, target: Path, **options: Any) -> Manifest:
    return prepare_images(spark, ImageJob(source=str(source), dataset=str(target), **{"split": SPLIT, **options}))


def facts_of(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """What the ledger says of each file."""
    assert dataset.manifest is not None
    batches = [batch for one in dataset.manifest.ledger for batch in ledger_batches(dataset.location, one)]
    return {row["path"]: row for batch in batches for row in batch.to_pylist()}


def in_quarantine(dataset: Dataset) -> list[dict[str, Any]]:
    return sorted(dataset.quarantine().to_pylist(), key=lambda row: str(row["source"]))


def known_by(dataset: Dataset, history: History) -> list[Path]:
    """Files that have the size and time of the ledger, and are refused by themselves or of whose content there is a row."""
    facts = facts_of(dataset)
    stored = {row["sha256"] for row in facts.values() if row["stored"]}
    known = []
    for path in history.files():
        row = facts.get(str(path.relative_to(history.root)))
        if row is not None and (row["size"], row["modified"]) == (path.stat().st_size, path.stat().st_mtime_ns):
            known += [path] if row["reason"] is not None or row["sha256"] in stored else []
    return known


def write_labels(history: History, place: Path, step: int) -> None:
    """A label file that says something else of some files at every step, and nothing of others."""
    paths = [str(path.relative_to(history.root)) for path in history.files()]
    lines = [f"{path},{('one', 'two')[(number + step) % 5 < 2]}" for number, path in enumerate(paths) if (number + step) % 7]
    place.write_text("\n".join(["path,label", *lines]) + "\n")


def same_as_full_runs(spark: SparkSession, tmp_path: Path, *, seed: int, steps: int) -> None:
    shapes, options = KINDS[seed % len(KINDS)]
    history = History(tmp_path / "raw", seed, shapes)
    if options.get("label_from") == "labels.csv":
        options = {**options, "label_from": str(tmp_path / "labels.csv")}
    said: list[str] = []
    for step in range(steps + 1):
        write_labels(history, tmp_path / "labels.csv", step)
        known = [] if step == 0 else known_by(Dataset.open(tmp_path / "d"), history)
        with history.unreadable(known):
            manifest = prepared(spark, history.root, tmp_path / "d", replace=True, incremental=True, **options)
        counts = manifest.provenance["incremental"]
        assert counts["read"] == len(history.files()) - len(known), said
        assert step == 0 or counts["unchanged"] + counts["new"] + counts["changed"] == len(history.files()), said
        if step:
            full = prepared(spark, history.root, tmp_path / f"full-{step}", **options)
            assert manifest.content == full.content, said
            assert manifest.cleaning == full.cleaning
            assert (manifest.splits.keys(), manifest.split_rule) == (full.splits.keys(), full.split_rule)
            mine, others = Dataset.open(tmp_path / "d"), Dataset.open(tmp_path / f"full-{step}")
            assert in_quarantine(mine) == in_quarantine(others)
            assert facts_of(mine) == facts_of(others)
            assert validate(tmp_path / "d") == []
        said += history.step()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2, 3))])
def test_the_content_is_a_full_runs_whatever_happened_to_the_files(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    same_as_full_runs(spark, tmp_path, seed=seed, steps=1)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(4, 12))
def test_the_content_is_a_full_runs_through_long_histories(spark: SparkSession, tmp_path: Path, seed: int) -> None:
    same_as_full_runs(spark, tmp_path, seed=seed, steps=4)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    return History(tmp_path_factory.mktemp("incremental") / "raw", 99, SMALL)


@pytest.fixture(scope="module")
def first(spark: SparkSession, history: History) -> Path:
    """A dataset of the history as it is."""
    prepared(spark, history.root, history.root.parent / "first")
    return history.root.parent / "first"


@pytest.fixture
def dataset(first: Path, tmp_path: Path) -> Path:
    """A copy of it, to be replaced."""
    shutil.copytree(first, tmp_path / "d")
    return tmp_path / "d"


def incremental(spark: SparkSession, history: History, dataset: Path, **options: Any) -> dict[str, Any]:
    """What an incremental job over the dataset says of the files."""
    found = prepared(spark, history.root, dataset, replace=True, incremental=True, **options).provenance["incremental"]
    assert isinstance(found, dict)
    return found


def test_where_nothing_changed_nothing_is_read_and_the_content_stays(
    spark: SparkSession, history: History, dataset: Path, first: Path
) -> None:
    before, files = Dataset.open(first).manifest, len(history.files())
    # Of what lost against another label no bytes are stored.
    unheld = files - len(known_by(Dataset.open(dataset), history))
    counts = incremental(spark, history, dataset)
    assert counts == {"unchanged": files, "new": 0, "changed": 0, "gone": 0, "read": unheld}
    after = Dataset.open(dataset).manifest
    assert before is not None
    assert after is not None
    assert (after.content, after.cleaning) == (before.content, before.cleaning)
    assert json.loads((dataset / QUALITY_NUMBERS).read_bytes())["provenance"]["incremental"] == counts
    assert "incremental" in (dataset / QUALITY).read_text()
    collect_garbage(dataset)
    assert {f"{LEDGER}/{path.name}" for path in (dataset / LEDGER).iterdir()} == {one.path for one in after.ledger}
    assert validate(dataset) == []


@pytest.mark.long
def test_a_file_that_changed_as_it_was_listed_is_read_again(spark: SparkSession, tmp_path: Path) -> None:
    """Its size and time say nothing: the time is that of the listing, and a clock's grain later there would be other bytes."""
    for index in range(6):
        save(tmp_path / "raw" / ("a", "b")[index % 2] / f"{index}.bmp", index, 4, 4, 3)
        os.utime(tmp_path / "raw" / ("a", "b")[index % 2] / f"{index}.bmp", (1e9, 1e9))
    young = tmp_path / "raw/a/0.bmp"
    os.utime(young)
    prepared(spark, tmp_path / "raw", tmp_path / "d")
    when = young.stat().st_mtime_ns
    save(young, 100, 4, 4, 3)
    os.utime(young, ns=(when, when))
    manifest = prepared(spark, tmp_path / "raw", tmp_path / "d", replace=True, incremental=True)
    assert manifest.provenance["incremental"] == {"unchanged": 6, "new": 0, "changed": 0, "gone": 0, "read": 1}
    assert manifest.content == prepared(spark, tmp_path / "raw", tmp_path / "full").content


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"checks": ImageChecks(min_side=3)}, "checks.min_side is 3, it was 0"),
        ({"encoding": "png"}, "storage.encoding is 'png', it was 'auto'"),
    ],
)
def test_other_rules_have_all_files_read_and_say_which(
    spark: SparkSession, history: History, dataset: Path, options: dict[str, Any], text: str
) -> None:
    assert incremental(spark, history, dataset, **options) == {"all_read_because": text, "read": len(history.files())}


def test_a_version_without_a_ledger_has_all_files_read(spark: SparkSession, history: History, dataset: Path) -> None:
    written = json.loads((dataset / MANIFEST).read_bytes())
    del written["ledger"], written["checksum"]
    (dataset / MANIFEST).write_text(json.dumps(written))
    shutil.rmtree(dataset / LEDGER)
    text = "the version that is there has no ledger of its source's files"
    assert incremental(spark, history, dataset) == {"all_read_because": text, "read": len(history.files())}
    assert facts_of(Dataset.open(dataset)).keys() == {str(path.relative_to(history.root)) for path in history.files()}


@pytest.mark.long
def test_pixels_that_would_be_files_now_have_all_files_read(
    spark: SparkSession, history: History, dataset: Path, tmp_path: Path
) -> None:
    large = history.root / "cats/large.png"
    save(large, 5, 20, 20, 3)
    try:
        counts = incremental(spark, history, dataset)
        full = prepared(spark, history.root, tmp_path / "full")
    finally:
        large.unlink()
    assert counts["all_read_because"] == "the version that is there stores pixels, and these images are kept as files"
    after = Dataset.open(dataset).manifest
    assert after is not None
    assert after.content == full.content


@pytest.mark.parametrize("what", ["row group", "ledger", "quarantine"])
def test_damage_does_not_creep_into_the_new_version(
    spark: SparkSession, history: History, dataset: Path, change_bytes: Callable[[Path, int], None], what: str
) -> None:
    manifest = Dataset.open(dataset).manifest
    assert manifest is not None
    damaged = {
        "row group": Dataset.open(dataset).row_groups.files[0],
        "ledger": manifest.ledger[0].path,
        "quarantine": manifest.quarantine[0].path,
    }[what]
    change_bytes(dataset / damaged, 300)
    with pytest.raises(JobRefused, match=rf"{damaged}.*run without --incremental"):
        incremental(spark, history, dataset)
    assert Dataset.open(dataset).manifest == manifest


def test_the_bytes_that_are_there_are_sent_once(spark: SparkSession, history: History, first: Path) -> None:
    inspected = inspect_images(images(spark, str(history.root)).rows, Inspection())
    # As where some rows are known: Spark leaves out a join that no row can need.
    inspected = inspected.withColumn("content", F.when(F.col("reason").isNotNull(), F.col("content")))
    together = bring_together(inspected, seed=0, partitions=5)
    stored = stored_bytes(spark, Dataset.open(first), as_files=True, way_out="")
    plan = with_stored(together, stored, partitions=5)._jdf.queryExecution().executedPlan().toString()
    # One for the files that are read, one for the rows that are there.
    assert plan.count("Exchange") == plan.count("Exchange hashpartitioning(sha256") == 2


def test_members_of_an_archive_are_refused(spark: SparkSession, history: History, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(history.root, arcname=".")
    with pytest.raises(JobRefused, match=r"all\.tar: --incremental tells a changed file.*unpack them and name the folder"):
        prepared(spark, tmp_path / "all.tar", tmp_path / "d", replace=True, incremental=True)


def test_it_makes_sense_for_a_new_version_alone() -> None:
    with pytest.raises(ValueError, match="so replace must be given"):
        ImageJob(source="in", dataset="out", incremental=True)
