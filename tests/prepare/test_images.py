"""The image job on a folder with all the dirt that folders have."""

import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as pads
import pytest
from browser import dom_of, needs_browser
from PIL import Image
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset, Manifest, validate
from bigdata_ml.dataset.layout import QUALITY, QUALITY_NUMBERS
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import ImageJob, prepare_images
from bigdata_ml.prepare.images.checks import ImageChecks
from bigdata_ml.prepare.sources import images, packed
from bigdata_ml.schema import Codec
from bigdata_ml.storage import list_tree
from prepare.pictures import save

pytestmark = pytest.mark.spark

NAMES = (
    "a b.png",
    "ü.png",
    "a%20b.png",
    "k=v.png",
    "c+d.png",
    "e#f.png",
    "g[x].png",
    "_a=b.png",
    "q?.png",
    'say "so", he said.png',
    "s*.png",
)
REFUSED = {
    "cats/truncated.png": "truncated",
    "cats/note.png": "wrong_type",
    "cats/nothing.png": "empty",
    "cats/copy.png": "duplicate",
    "cats/k=v.png": "label_conflict",
    "dogs/young/copy.png": "label_conflict",
    "stray.png": "label_missing",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """39 files of 4 × 4 pixels: 32 good ones in three classes, grey but for one, and one of each kind of dirt."""
    place = tmp_path_factory.mktemp("in [1] 50%20") / "pets*"
    for index, name in enumerate(NAMES):
        save(place / "cats" / name, index)
    for index in range(20):
        save(place / ("dogs" if index % 2 else "dogs/young") / f"{index}.{'jpg' if index % 3 else 'png'}", 100 + index)
    save(place / "dogs" / "red.png", 1000, 4, 4, 3)
    save(place / "stray.png", 2000)
    whole = (place / "dogs" / "red.png").read_bytes()
    (place / "cats" / "truncated.png").write_bytes(whole[:60])
    (place / "cats" / "note.png").write_text("is this one a cat?\n")
    (place / "cats" / "nothing.png").touch()
    Image.fromarray(np.arange(16, dtype=np.uint16).reshape(4, 4) * 4000).save(place / "cats" / "deep.png")
    shutil.copy(place / "cats" / "a b.png", place / "cats" / "copy.png")
    shutil.copy(place / "cats" / "k=v.png", place / "dogs" / "young" / "copy.png")
    (place / "birds").mkdir()
    for hidden in ("fish/.DS_Store", "_old/x.png", "cats/.x.png", "cats/half.png._COPYING_"):
        save(place / "any.png", 3000)
        (place / hidden).parent.mkdir(exist_ok=True)
        (place / "any.png").rename(place / hidden)
    return place


@pytest.fixture(scope="module")
def published(spark: SparkSession, folder: Path) -> Dataset:
    prepare_images(spark, ImageJob(source=str(folder), dataset=f"{folder.parent}/published"))
    return Dataset.open(f"{folder.parent}/published")


@pytest.fixture(scope="module")
def manifest(published: Dataset) -> Manifest:
    assert published.manifest is not None
    return published.manifest


@pytest.fixture(scope="module")
def grown(spark: SparkSession, folder: Path) -> Dataset:
    """The same folder with more files, of other sizes too."""
    place = folder.parent / "grown"
    shutil.copytree(folder, place)
    for index in range(10):
        save(place / "dogs" / f"new {index}.png", 500 + index, 5, 6)
    prepare_images(spark, ImageJob(source=str(place), dataset=f"{folder.parent}/published-grown"))
    return Dataset.open(f"{folder.parent}/published-grown")


@pytest.fixture(scope="module")
def relabelled(spark: SparkSession, folder: Path) -> Dataset:
    """The same folder with labels of a file, and with another seed."""
    lines = ["path,label", *(f'"cats/{name}",00{index % 3}'.replace('"so"', '""so""') for index, name in enumerate(NAMES))]
    (folder.parent / "labels.csv").write_text("\n".join([*lines, "dogs/red.png,10", "dogs/1.jpg,"]))
    label_from = f"{folder.parent}/labels.csv"
    prepare_images(spark, ImageJob(source=str(folder), dataset=f"{folder.parent}/relabelled", label_from=label_from, seed=7))
    return Dataset.open(f"{folder.parent}/relabelled")


def rows_of(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """The published rows, as a reader by directory sees them, by their source."""
    table = pads.dataset(dataset.url, format="parquet", partitioning="hive").to_table()
    return {row["source"]: row for row in table.to_pylist()}


def good(folder: Path) -> set[str]:
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    hidden = {path for path in files if path.startswith("_old/") or "/." in path or path.endswith("_COPYING_")}
    return files - hidden - REFUSED.keys()


def test_every_file_found_is_kept_or_refused_with_its_reason(manifest: Manifest) -> None:
    assert manifest.cleaning is not None
    assert (manifest.cleaning.found, manifest.cleaning.kept) == (39, 32)
    found = {reason: count for reason, count in manifest.cleaning.refused.items() if count}
    assert found == {"truncated": 1, "empty": 1, "wrong_type": 1, "duplicate": 1, "label_conflict": 2, "label_missing": 1}


def test_exactly_the_good_files_are_rows_whatever_their_names(published: Dataset, folder: Path) -> None:
    assert rows_of(published).keys() == good(folder)
    assert published.rows == 32


def test_every_refused_file_lies_in_quarantine_with_its_reason(published: Dataset) -> None:
    refused = published.quarantine()
    assert dict(zip(refused["source"].to_pylist(), refused["reason"].to_pylist(), strict=True)) == REFUSED
    assert refused.num_rows == len(REFUSED)


def test_a_duplicate_names_the_first_file_by_path_which_is_kept(published: Dataset) -> None:
    rows = [row for row in published.quarantine().to_pylist() if row["reason"] == "duplicate"]
    assert {row["detail"] for row in rows} == {"the same content as cats/a b.png"}
    assert all(row["thumbnail"].startswith(b"\x89PNG") for row in rows)


def test_two_labels_of_one_content_are_named(published: Dataset) -> None:
    details = {row["source"]: row["detail"] for row in published.quarantine().to_pylist()}
    assert details["cats/k=v.png"] == details["dogs/young/copy.png"] == "the same content is labelled cats and young"


def test_an_image_of_16_bits_is_kept_in_8(published: Dataset) -> None:
    pixels = np.frombuffer(rows_of(published)["cats/deep.png"]["image"], np.uint8).reshape(4, 4, 3)[:, :, 0]
    assert np.array_equal(pixels, np.round(np.arange(16).reshape(4, 4) * 4000 / 257))


def test_what_is_not_looked_at_or_not_compared_is_counted(manifest: Manifest) -> None:
    assert manifest.cleaning is not None
    warned = {name: count for name, count in manifest.cleaning.warned.items() if count}
    assert warned == {"empty_class": 2, "hidden": 3, "unfinished": 1, "not_compared": manifest.rows}


def test_class_folders_without_files_are_named(manifest: Manifest) -> None:
    assert manifest.provenance["empty_classes"] == ["birds", "fish"]


def test_the_label_is_the_folder_a_file_lies_in(published: Dataset, manifest: Manifest) -> None:
    rows = rows_of(published)
    assert all(row["label"] == source.split("/")[-2] for source, row in rows.items())
    assert manifest.vocabularies["label"].values == ("cats", "dogs", "young")
    in_train = [row["label"] for row in rows.values() if row["split"] == "train"]
    assert manifest.vocabularies["label"].counts == tuple(in_train.count(name) for name in ("cats", "dogs", "young"))


def test_small_images_of_one_size_are_kept_as_their_pixels(published: Dataset, folder: Path) -> None:
    assert published.schema["image"].codec is Codec.RAW_IMAGE
    rows = rows_of(published)
    for source in ("cats/a b.png", "dogs/1.jpg", "dogs/red.png"):
        with Image.open(folder / source) as image:
            assert np.array_equal(
                np.frombuffer(rows[source]["image"], np.uint8).reshape(4, 4, 3), np.asarray(image.convert("RGB"))
            )


def test_the_statistics_are_those_of_the_train_pixels(published: Dataset, manifest: Manifest) -> None:
    train = [row["image"] for row in rows_of(published).values() if row["split"] == "train"]
    pixels = np.frombuffer(b"".join(train), np.uint8).reshape(-1, 3).astype(float)
    found = manifest.statistics["image"]
    assert (found.count, found.least, found.greatest) == (len(pixels), pixels.min(), pixels.max())
    assert np.allclose([found.mean, found.std], [pixels.mean(0), pixels.std(0)], rtol=1e-9)


def test_the_quality_page_and_its_numbers_agree_with_the_manifest(published: Dataset, manifest: Manifest) -> None:
    numbers = json.loads((published.location / QUALITY_NUMBERS).read_bytes())
    assert manifest.cleaning is not None
    assert (numbers["found"], numbers["kept"]) == (manifest.cleaning.found, manifest.cleaning.kept)
    assert (numbers["refused"], numbers["warned"]) == (manifest.cleaning.refused, manifest.cleaning.warned)
    assert numbers["splits"] == {name: one.rows for name, one in manifest.splits.items()}
    assert "duplicate" in (published.location / QUALITY).read_bytes().decode()


@needs_browser
def test_a_browser_shows_the_quality_page(published: Dataset, tmp_path: Path) -> None:
    dom = dom_of(Path(published.location.path) / QUALITY, tmp_path / "profile")
    for heading in ("Before and after", "Splits and classes", "Vocabularies", "Statistics", "Provenance"):
        assert f"<h2>{heading}</h2>" in dom
    assert dom.count("<img ") >= 10
    assert dom.count("<svg ") >= 3


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("duplicate=0", "1 of [0-9]+ rows were refused as duplicate"),
        ("label_conflict=1", "2 of [0-9]+ rows were refused as label_conflict"),
        ("not_compared=5%", "[0-9]+ of [0-9]+ rows were noticed as not_compared"),
    ],
)
def test_a_job_that_refuses_or_notices_too_many_files_publishes_nothing(
    spark: SparkSession, folder: Path, limit: str, said: str
) -> None:
    gated = ImageJob(source=str(folder), dataset=f"{folder.parent}/gated", max_refused=(limit,))
    with pytest.raises(JobRefused, match=said):
        prepare_images(spark, gated)
    assert not (folder.parent / "gated").exists()


def test_a_limit_on_what_is_not_looked_for_is_a_mistake(spark: SparkSession, folder: Path) -> None:
    ignoring = {"checks": ImageChecks(ignore=("blurry",)), "near_duplicates": "ignore", "label_from": "none"}
    for name in ("blurry", "near_crowd", "label_conflict", "blury"):
        gated = ImageJob(source=str(folder), dataset=f"{folder.parent}/gated", max_refused=(f"{name}=0",), **ignoring)
        with pytest.raises(ValueError, match=f"this job counts nothing as '{name}'; its reasons are damaged, "):
            prepare_images(spark, gated)


def test_what_is_published_is_whole_and_nothing_stays_beside(published: Dataset, folder: Path) -> None:
    assert validate(published.url) == []
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]


def test_spark_reads_what_pyarrow_reads(spark: SparkSession, published: Dataset) -> None:
    found = spark.read.parquet(published.url.replace("[", "\\[")).toArrow().to_pylist()
    assert {row["source"]: row for row in found} == rows_of(published)
    assert len(found) == published.rows


@pytest.mark.long
def test_the_content_is_the_same_however_the_work_is_cut_and_the_files_are_listed(
    spark: SparkSession, published: Dataset, manifest: Manifest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package's function `images` hides its module.
    lister = sys.modules["bigdata_ml.prepare.sources.image_files.folders"]
    monkeypatch.setattr(lister, "list_tree", lambda place: replace(tree := list_tree(place), files=tree.files[::-1]))
    packs_before = packs_of(spark, folder)
    monkeypatch.setattr(packed, "_PACK_FILES", 2)
    assert (len(packs_before), len(packs_of(spark, folder))) == (1, 20)
    assert packs_before[0][0].path == "stray.png"
    settings = {"spark.sql.shuffle.partitions": "5", "spark.sql.execution.arrow.maxRecordsPerBatch": "3"}
    before = {key: spark.conf.get(key) for key in settings}
    try:
        for key, value in settings.items():
            spark.conf.set(key, value)
        again = prepare_images(spark, ImageJob(source=str(folder), dataset=f"{folder.parent}/again"))
    finally:
        for key, value in before.items():
            spark.conf.set(key, str(value))
    assert again.content == manifest.content


def packs_of(spark: SparkSession, folder: Path) -> list[list[packed.Stretch]]:
    found = images(spark, str(folder)).packs
    assert found is not None
    return [packed.unpacked(row["pack"]) for row in found.rows.collect()]


def test_adding_files_moves_no_row_between_splits(published: Dataset, grown: Dataset) -> None:
    before, after = rows_of(published), rows_of(grown)
    assert len(after) == len(before) + 10
    assert {source: row["split"] for source, row in before.items()} == {source: after[source]["split"] for source in before}


def test_images_of_several_sizes_are_kept_as_their_files_bytes(grown: Dataset, folder: Path) -> None:
    image = grown.schema["image"]
    assert (image.codec, image.channels) == (Codec.IMAGE, 3)
    rows = rows_of(grown)
    # 16 bits are written anew as 8.
    with Image.open(io.BytesIO(rows.pop("cats/deep.png")["image"])) as deep:
        assert (deep.format, deep.mode) == ("PNG", "L")
    for source, row in rows.items():
        assert row["image"] == (folder.parent / "grown" / source).read_bytes()


def test_labels_come_from_a_file_as_they_are_written_there(relabelled: Dataset) -> None:
    labels = {source: row["label"] for source, row in rows_of(relabelled).items()}
    assert labels == {**{f"cats/{name}": f"00{index % 3}" for index, name in enumerate(NAMES)}, "dogs/red.png": "10"}
    assert relabelled.vocabularies["label"].values == ("000", "001", "002", "10")


def test_files_the_label_file_does_not_name_are_refused(relabelled: Dataset) -> None:
    assert relabelled.manifest is not None
    assert relabelled.manifest.cleaning is not None
    # The copy is no duplicate: of two files with one content the one without label loses by itself.
    found = {reason: count for reason, count in relabelled.manifest.cleaning.refused.items() if count}
    assert found == {"truncated": 1, "empty": 1, "wrong_type": 1, "label_missing": 24}


def test_another_seed_is_another_split(published: Dataset, relabelled: Dataset) -> None:
    before, after = rows_of(published), rows_of(relabelled)
    both = before.keys() & after.keys()
    assert {source: before[source]["split"] for source in both} != {source: after[source]["split"] for source in both}
