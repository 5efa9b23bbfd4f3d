"""A file that is added, whatever it makes of others, moves nothing from validation or test to train."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset
from bigdata_ml.prepare import ImageJob, prepare_images
from bigdata_ml.reader import ReadOptions, open_reader
from prepare.pictures import picture

pytestmark = pytest.mark.spark

PICTURES = 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures in four folders, which are their classes, each with a smaller one that looks like it beside it."""
    for number in range(PICTURES):
        place = tmp_path / "in" / f"m{number % 4}"
        place.mkdir(parents=True, exist_ok=True)
        picture(number).save(place / f"{number:02d}.png")
        picture(number).resize((64, 48)).save(place / f"{number:02d}-small.png")
    return tmp_path / "in"


def splits(spark: SparkSession, folder: Path, out: str) -> dict[str, str]:
    """The split of each content that is published."""
    prepare_images(spark, ImageJob(source=str(folder), dataset=out, split="train=0.5,validation=0.25,test=0.25"))
    dataset = Dataset.open(out)
    found = {}
    for name in dataset.splits:
        reader = open_reader(dataset.split(name), ReadOptions(columns=("sha256",), shuffle=False), global_batch_size=1)
        found.update({batch["sha256"][0].as_py(): name for batch in reader})
    return found


def test_a_label_conflict_takes_no_vote_away(spark: SparkSession, folder: Path, tmp_path: Path) -> None:
    before = splits(spark, folder, f"{tmp_path}/before")
    # Every small picture is there under two labels now, and refused.
    (folder / "a").mkdir()
    for place in sorted(folder.glob("m*/*-small.png")):
        shutil.copy(place, folder / "a" / place.name)
    after = splits(spark, folder, f"{tmp_path}/after")
    held_out = {content for content, split in before.items() if split != "train"}
    assert len(after) == PICTURES
    assert held_out & after.keys()
    assert [content for content in held_out & after.keys() if after[content] == "train"] == []
