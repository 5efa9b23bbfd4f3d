"""An archive may hold a name more than once, as tar -r leaves it: equal members are duplicates, others images of their own."""

import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.dataset as pads
import pytest

from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.prepare import ImageJob, prepare_images
from prepare.pictures import save

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark


def test_each_member_of_one_name_is_judged_and_written_once(spark: "SparkSession", tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / f"in/{'cat' if number % 2 else 'dog'}/{number}.png", number, 40, 40, 3)
    save(tmp_path / "later.png", 99, 40, 40, 3)
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(tmp_path / "in", arcname="")
        for _ in range(3):
            archive.add(tmp_path / "in/cat/1.png", arcname="cat/1.png")
        archive.add(tmp_path / "later.png", arcname="cat/1.png")
    manifest = prepare_images(spark, ImageJob(source=str(tmp_path / "all.tar"), dataset=str(tmp_path / "d")))
    assert manifest.cleaning is not None
    refusals = {name: count for name, count in manifest.cleaning.refused.items() if count}
    assert (manifest.cleaning.found, manifest.rows, refusals) == (10, 7, {"duplicate": 3})
    assert validate(str(tmp_path / "d")) == []
    dataset = Dataset.open(str(tmp_path / "d"))
    written = pads.dataset(dataset.url, format="parquet", partitioning="hive").to_table()["source"].to_pylist()
    once = [f"all.tar!/{'cat' if number % 2 else 'dog'}/{number}.png" for number in range(6)]
    assert sorted(written) == sorted([*once, "all.tar!/cat/1.png"])
    refused = dataset.quarantine().to_pylist()
    assert [(row["source"], row["reason"]) for row in refused] == [("all.tar!/cat/1.png", "duplicate")] * 3
