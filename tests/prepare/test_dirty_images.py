"""Real pictures made dirty in known ways: what the job finds of each fault, as the example prints it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset
from bigdata_ml.prepare import prepare_images
from bigdata_ml.prepare.images.decode import PictureRules, decode_picture

EXAMPLE = Path(__file__).parents[2] / "examples/dirty_images"
sys.path.insert(0, str(EXAMPLE))

from faults import FAULTS, LOOKALIKES, encoded  # noqa: E402
from pictures import tiles  # noqa: E402
from run import Found, copied_job, copies_found, faults_found, faulty_job, lay_out, table_of  # noqa: E402

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

EACH = 5


@pytest.fixture(scope="module")
def findings(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    folder = tmp_path_factory.mktemp("dirty")
    dirt = lay_out(tiles(), folder, each=EACH, seed=1)
    prepare_images(spark, faulty_job(folder, folder / "a"))
    prepare_images(spark, copied_job(folder, folder / "b"))
    found = faults_found(Dataset.open(folder / "a"), dirt) + copies_found(Dataset.open(folder / "b"), dirt)
    return {one.kind: one for one in found}


@pytest.mark.parametrize("kind", [*(kind for kind in FAULTS if kind != "damaged"), "duplicate", "label_conflict"])
def test_every_fault_is_found_and_nothing_else_is_called_that(findings: dict[str, Found], kind: str) -> None:
    assert findings[kind].made == EACH
    assert (findings[kind].recall, findings[kind].precision) == (1, 1)


def test_most_jpegs_damaged_in_the_middle_are_noted_and_no_whole_one() -> None:
    rng = np.random.default_rng(1)
    images = [image for _, image in tiles()]
    noted = [_notes(FAULTS["damaged"](image, rng)[1]) for image in images]
    # A stretch of zeros can be valid data: no decoder sees that.
    assert noted.count(("damaged",)) / len(noted) > 0.6
    assert {_notes(encoded(image, "JPEG", quality=90)) for image in images} == {()}


def _notes(content: bytes) -> tuple[str, ...]:
    return decode_picture(content, PictureRules()).notes


@pytest.mark.parametrize(
    ("copy", "least"),
    [
        ("JPEG quality 90", 1), ("JPEG quality 50", 0.8), ("half the size", 0.8), ("twice the size", 0.8), ("2 % cropped", 0.8),
        ("20 % brighter", 0.8), ("30 % darker", 0.8), ("30 % more contrast", 0.8),
    ],
)  # fmt: skip
def test_copies_that_were_changed_a_little_are_found(findings: dict[str, Found], copy: str, least: float) -> None:
    assert findings[copy].recall >= least


def test_mirrored_copies_are_not_found(findings: dict[str, Found]) -> None:
    assert findings["mirrored"].found == 0


def test_no_two_pictures_are_called_alike_that_are_not(findings: dict[str, Found]) -> None:
    assert findings["near_duplicate"].precision == 1
    assert findings["near_duplicate"].made == EACH * len(LOOKALIKES)


def test_the_table_names_every_fault(findings: dict[str, Found]) -> None:
    table = table_of(findings.values())
    assert all(f"| {kind} |" in table for kind in findings)
    assert f"| empty | {EACH} | {EACH} | 1.000 | 0 | 1.000 |" in table
