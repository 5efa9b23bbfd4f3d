"""The image job's options: near duplicates, labels that contradict each other, groups, sizes, encodings."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as pads
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset, Manifest, validate
from bigdata_ml.dataset.layout import QUALITY, QUALITY_NUMBERS
from bigdata_ml.prepare import ImageJob, prepare_images
from bigdata_ml.prepare.images.checks import ImageChecks
from bigdata_ml.prepare.images.inspect import inspect_images
from bigdata_ml.prepare.images.steps import bring_together, with_verdicts
from bigdata_ml.prepare.sources import images
from bigdata_ml.schema import Codec
from prepare.pictures import picture

pytestmark = pytest.mark.spark

SPLIT = "train=0.5,validation=0.25,test=0.25"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures of 8 patients; the first 8 with a smaller copy of the same label, two more with one of another label."""
    place = tmp_path_factory.mktemp("alike") / "scans"
    for label in ("sick", "well"):
        (place / label).mkdir(parents=True)
    for index in range(24):
        label = "sick" if index % 2 else "well"
        picture(index).save(place / label / f"patient{index // 3}-{index:02d}.png")
        if index < 8:
            picture(index).resize((64, 48)).save(place / label / f"small-{index:02d}.jpg", quality=90)
    for index in (20, 21):
        picture(index).resize((100, 75)).save(place / ("well" if index % 2 else "sick") / f"other-{index}.png")
    shutil.copy(place / "sick/patient3-11.png", place / "well/patient3-11.png")
    return place


def prepared(spark: SparkSession, folder: Path, **options: Any) -> tuple[Dataset, Manifest, dict[str, dict[str, Any]]]:
    """The dataset of a job with these options, its manifest, and its rows by source."""
    target = folder.parent / f"dataset-{len(list(folder.parent.iterdir()))}"
    manifest = prepare_images(spark, ImageJob(source=str(folder), dataset=str(target), split=SPLIT, **options))
    assert validate(str(target)) == []
    dataset = Dataset.open(str(target))
    rows = pads.dataset(dataset.url, format="parquet", partitioning="hive").to_table().to_pylist()
    return dataset, manifest, {row["source"]: row for row in rows}


def noticed(manifest: Manifest) -> tuple[dict[str, int], dict[str, int]]:
    assert manifest.cleaning is not None
    both = (manifest.cleaning.refused, manifest.cleaning.warned)
    refused, warned = ({name: count for name, count in one.items() if count} for one in both)
    return refused, warned


@pytest.fixture(scope="module")
def grouped(spark: SparkSession, folder: Path) -> tuple[Dataset, Manifest, dict[str, dict[str, Any]]]:
    return prepared(spark, folder)


def test_pictures_that_look_alike_are_kept_in_one_split_and_warned_of(grouped: Any) -> None:
    _, manifest, rows = grouped
    refused, warned = noticed(manifest)
    assert refused == {"label_conflict": 2}
    assert (warned["near_duplicate"], warned["near_label_conflict"]) == (20, 4)
    for index in range(8):
        alike = [row["split"] for source, row in rows.items() if source.split("-")[-1][:2] == f"{index:02d}"]
        assert len(alike) == 2
        assert len(set(alike)) == 1
    # Some of the pairs would have straddled by their own hashes.
    assert warned["moved_with_group"] > 0


def test_the_groups_are_listed_with_their_members(grouped: Any) -> None:
    dataset, _, _ = grouped
    groups = json.loads((dataset.location / QUALITY_NUMBERS).read_bytes())["near_duplicates"]
    assert len(groups) == 10
    assert ["sick/patient0-01.png", "sick/small-01.jpg"] in groups
    assert ["sick/other-20.png", "well/patient6-20.png"] in groups
    assert "Near duplicates: the largest of 10 groups" in (dataset.location / QUALITY).read_bytes().decode()


@pytest.mark.long
def test_of_pictures_that_look_alike_the_one_with_the_most_pixels_is_kept(spark: SparkSession, folder: Path) -> None:
    dataset, manifest, rows = prepared(spark, folder, near_duplicates="refuse")
    details = {row["source"]: (row["reason"], row["detail"]) for row in dataset.quarantine().to_pylist()}
    assert noticed(manifest)[0] == {"near_duplicate": 8, "label_conflict": 6}
    assert details["sick/small-01.jpg"][1].startswith("looks like sick/patient0-01.png (differs in ")
    assert details["sick/other-20.png"][0] == details["well/patient6-20.png"][0] == "label_conflict"
    assert len(rows) == 21
    assert not any("small" in source for source in rows)


@pytest.mark.parametrize(
    ("policy", "refused", "warned"),
    [
        ("first", {"label_conflict": 3, "near_duplicate": 8}, {"near_label_conflict": 2}),
        ("warn", {"near_duplicate": 8}, {"label_conflict": 2, "near_label_conflict": 6}),
    ],
)
def test_one_picture_under_two_labels_can_be_kept_once_or_twice(
    spark: SparkSession, folder: Path, policy: str, refused: dict[str, int], warned: dict[str, int]
) -> None:
    _, manifest, rows = prepared(spark, folder, near_duplicates="refuse", label_conflict=policy)
    assert noticed(manifest)[0] == refused
    assert {name: count for name, count in noticed(manifest)[1].items() if "conflict" in name} == warned
    twice = [source for source in rows if "patient3-11" in source]
    assert twice == (["sick/patient3-11.png"] if policy == "first" else twice)
    assert len({rows[source]["split"] for source in twice}) == 1


def test_a_patient_is_never_separated_and_paths_without_one_are_told(spark: SparkSession, folder: Path) -> None:
    _, manifest, rows = prepared(spark, folder, split_key=r"path:(patient\d+)", near_duplicates="ignore", stratify=True)
    splits: dict[str, set[str]] = {}
    for source, row in rows.items():
        if "patient" in source:
            splits.setdefault(source.split("/")[1].split("-")[0], set()).add(row["split"])
    assert len(splits) == 8
    assert all(len(one) == 1 for one in splits.values())
    assert noticed(manifest)[1]["no_group"] == 10
    assert manifest.split_rule is not None
    assert manifest.split_rule["key"] == ["group"]
    assert manifest.split_rule["class_bounds"].keys() == {"sick", "well"}


@pytest.mark.long
def test_classes_keep_the_bounds_of_an_earlier_dataset(spark: SparkSession, folder: Path) -> None:
    old, first, before = prepared(spark, folder, near_duplicates="ignore", stratify=True)
    _, again, after = prepared(spark, folder, near_duplicates="ignore", stratify_like=old.url)
    assert again.split_rule == first.split_rule
    assert {source: row["split"] for source, row in before.items()} == {source: row["split"] for source, row in after.items()}


def test_every_image_gets_the_size_and_is_kept_as_pixels(spark: SparkSession, folder: Path) -> None:
    dataset, manifest, rows = prepared(spark, folder, encoding="raw", size="32x40")
    assert dataset.schema["image"].codec is Codec.RAW_IMAGE
    assert all(len(row["image"]) == 32 * 40 * 3 for row in rows.values())
    pixels = b"".join(row["image"] for row in rows.values() if row["split"] == "train")
    train = np.frombuffer(pixels, np.uint8).reshape(-1, 3).astype(float)
    assert np.allclose([manifest.statistics["image"].mean, manifest.statistics["image"].std], [train.mean(0), train.std(0)])
    assert (dataset.location / QUALITY).read_bytes().count(b"data:image/png") > 20


@pytest.mark.long
def test_every_image_is_reduced_and_written_as_jpeg(spark: SparkSession, folder: Path) -> None:
    dataset, _, rows = prepared(spark, folder, encoding="jpeg", jpeg_quality=80, shorter_side=40)
    assert dataset.schema["image"].codec is Codec.IMAGE
    opened = [Image.open(io.BytesIO(row["image"])) for row in rows.values()]
    assert {(one.format, min(one.size)) for one in opened} == {("JPEG", 40)}


def test_what_is_noticed_is_refused_where_that_is_asked_for(spark: SparkSession, folder: Path) -> None:
    checks = ImageChecks(refuse=("too_small",), ignore=("blurry",), min_side=60)
    dataset, manifest, _ = prepared(spark, folder, checks=checks)
    assert noticed(manifest)[0] == {"too_small": 8, "label_conflict": 2}
    assert manifest.cleaning is not None
    assert "blurry" not in manifest.cleaning.warned
    small = [row for row in dataset.quarantine().to_pylist() if row["reason"] == "too_small"]
    assert all(row["detail"] == "48 × 64 pixels; --min-side is 60" for row in small)
    assert all(row["thumbnail"].startswith(b"\x89PNG") for row in small)


def test_the_bytes_of_images_are_sent_once_and_never_sorted_for_their_verdicts(spark: SparkSession, folder: Path) -> None:
    job = ImageJob(source=str(folder), dataset="unused")
    inspected = inspect_images(images(spark, str(folder)).rows, job.inspection)
    together = bring_together(inspected, seed=0, partitions=5).persist()
    before = spark.conf.get("spark.sql.autoBroadcastJoinThreshold")
    try:
        spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
        assert together.count() == 35
        decided = together.selectExpr("sha256", "path", "'train' as split", "reason", "detail")
        joined = with_verdicts(together, decided, partitions=5, repeated=False)
        plan = joined._jdf.queryExecution().executedPlan().toString()
        images_side = plan[: plan.index("InMemoryRelation")]
        assert "ShuffledHashJoin" in images_side
        assert "Exchange" not in images_side
        assert "Sort" not in images_side
        assert joined.rdd.getNumPartitions() == 5
    finally:
        spark.conf.set("spark.sql.autoBroadcastJoinThreshold", str(before))
        together.unpersist()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"near_distance": 13}, r"near_distance must lie in \[0, 12\] bits, got 13"),
        ({"split_key": "path:patient"}, "with a group in parentheses"),
        ({"split_key": "path:("}, "with a group in parentheses"),
        ({"split_key": "patient"}, "split_key is content, folder, or path:REGEX"),
        ({"size": "10x10", "shorter_side": 5}, "give one of them"),
        ({"label_encoding": "cp1252"}, "name the file by label_from"),
        ({"label_from": "labels.csv", "label_encoding": "cp1253x"}, "none that Python knows"),
        ({"max_classes": 0}, "max_classes must be 1 or more, got 0"),
        ({"split": "train=2"}, "must be positive and sum to 1"),
    ],
)
def test_options_that_make_no_sense_are_wrong_arguments(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ImageJob(source="in", dataset="out", **options)
