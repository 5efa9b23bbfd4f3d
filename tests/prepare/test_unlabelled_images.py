"""Images without labels: a dataset without a label column, in which nothing is asked that has to do with classes."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as pads
import pytest
import torch
from PIL import Image
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.dataset.layout import QUALITY, QUALITY_NUMBERS
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.loader import make_loader
from bigdata_ml.prepare import ImageJob, prepare_images
from bigdata_ml.reader import ReadOptions
from bigdata_ml.train import RECIPES, train
from prepare.pictures import pixels, save

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 pictures at the top and in two folders, two copies in another folder, one that only looks alike, and an empty folder."""
    place = tmp_path_factory.mktemp("unlabelled") / "raw"
    for index in range(20):
        save(place / ("", "a", "b")[index % 3] / f"{index}.png", index, 40, 40, 3)
    for index in (0, 1):
        shutil.copy(place / ("", "a")[index] / f"{index}.png", place / "b" / f"copy-{index}.png")
    Image.open(place / "b/2.png").save(place / "a/alike.bmp")
    (place / "empty").mkdir()
    (place / "broken.png").write_bytes(b"no picture")
    return place


def prepared(spark: SparkSession, source: Path, **options: Any) -> Dataset:
    target = source.parent / f"dataset-{len(list(source.parent.iterdir()))}"
    prepare_images(spark, ImageJob(source=str(source), dataset=str(target), label_from="none", **options))
    assert validate(str(target)) == []
    return Dataset.open(str(target))


@pytest.fixture(scope="module")
def published(spark: SparkSession, folder: Path) -> Dataset:
    return prepared(spark, folder, split="train=0.6,validation=0.2,test=0.2", near_duplicates="refuse")


def test_the_dataset_has_no_label_and_no_vocabulary(published: Dataset) -> None:
    assert published.schema.names == ("image", "source", "sha256")
    assert (published.label, dict(published.vocabularies)) == (None, {})
    assert published.rows == 20


def test_copies_are_found_across_folders_and_nothing_is_said_of_labels(published: Dataset) -> None:
    manifest = published.manifest
    assert manifest is not None
    assert manifest.cleaning is not None
    assert {name: count for name, count in manifest.cleaning.refused.items() if count} == {
        "wrong_type": 1,
        "duplicate": 2,
        "near_duplicate": 1,
    }
    said = {*manifest.cleaning.refused, *manifest.cleaning.warned, *manifest.cleaning.rules}
    assert not [name for name in said if "label" in name or name == "empty_class"]
    assert manifest.provenance["empty_classes"] == []
    refused = {row["source"]: row["reason"] for row in published.quarantine().to_pylist()}
    # Of the two that look alike the first by path is kept.
    assert refused == {
        "b/copy-0.png": "duplicate",
        "b/copy-1.png": "duplicate",
        "b/2.png": "near_duplicate",
        "broken.png": "wrong_type",
    }


def test_the_quality_page_names_pictures_by_their_path_alone(published: Dataset) -> None:
    numbers = json.loads((published.location / QUALITY_NUMBERS).read_bytes())
    assert (numbers["label"], numbers["vocabularies"]) == (None, {})
    page = (published.location / QUALITY).read_bytes().decode()
    assert "a/alike.bmp" in page
    assert "None ·" not in page


@pytest.mark.parametrize("engine", ["arrow", "petastorm"])
def test_the_loader_reads_every_row(published: Dataset, engine: Any) -> None:
    read = ReadOptions(engine=engine, columns=("image", "sha256"), remainder="exact")
    batches = list(make_loader(published.split("train"), read, global_batch_size=4))
    images = torch.cat([batch["image"][batch["valid"]] for batch in batches])
    assert len(images) == published.split("train").rows
    train = pads.dataset(published.url, format="parquet", partitioning="hive").to_table(filter=pads.field("split") == "train")
    wanted = [bytes(row["image"]) for row in train.to_pylist()]
    assert sorted(one.numpy().tobytes() for one in images) == sorted(wanted)


def test_a_recipe_says_that_there_is_no_label(published: Dataset, tmp_path: Path) -> None:
    config = RECIPES["first_network"](published)
    with pytest.raises(DatasetInvalid, match=r"has no label.*--label-from folder or FILE"):
        train(config, published, tmp_path / "run", recipe="first_network", seed=0)


@pytest.mark.long
def test_members_of_an_archive_need_no_folders(spark: SparkSession, folder: Path, published: Dataset) -> None:
    with tarfile.open(folder.parent / "all.tar", "w") as archive:
        archive.add(folder, arcname=".")
    packed = prepared(spark, folder.parent / "all.tar", near_duplicates="refuse", split_key="folder")
    columns = {"columns": ["sha256"]}
    found, wanted = (pads.dataset(one.url, format="parquet").to_table(**columns) for one in (packed, published))
    assert sorted(found["sha256"].to_pylist()) == sorted(wanted["sha256"].to_pylist())


def test_mnists_pictures_need_no_file_of_labels(spark: SparkSession, tmp_path: Path) -> None:
    numbers = np.stack([pixels(index, 28, 28) for index in range(12)])
    header = bytes([0, 0, 8, 3]) + np.array(numbers.shape, ">u4").tobytes()
    (tmp_path / "train-images-idx3-ubyte").write_bytes(header + numbers.tobytes())
    dataset = prepared(spark, tmp_path / "train-images-idx3-ubyte", source_format="idx")
    rows = pads.dataset(dataset.url, format="parquet").to_table(columns=["image"]).to_pylist()
    assert sorted(bytes(row["image"]) for row in rows) == sorted(one.tobytes() for one in numbers)


@pytest.mark.parametrize("options", [{"stratify": True}, {"stratify_like": "datasets/first"}])
def test_classes_that_are_not_there_cannot_be_stratified(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(options))} divides each class, and with label_from none"):
        ImageJob(source="in", dataset="out", label_from="none", **options)
