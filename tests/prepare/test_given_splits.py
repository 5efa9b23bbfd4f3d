"""Splits that a source has already, and text that is not UTF-8."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset
from bigdata_ml.prepare import ImageJob, TableJob, prepare_images, prepare_table
from prepare.pictures import save

pytestmark = pytest.mark.spark


def test_a_table_keeps_the_splits_that_its_paths_name(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("train-00000-of-00002", "train-00001-of-00002", "dev-00000-of-00001", "test-00000-of-00001", "other")
    for number, name in enumerate(names):
        (tmp_path / "train/in").mkdir(parents=True, exist_ok=True)
        same = [7.5] if number in (0, 3) else []
        rows = pa.table({"x": [number + 0.5] * 9 + same, "y": [0, 1, 0, 1, 0, 1, 0, 1, 0] + same[:0] + [0] * len(same)})
        pq.write_table(rows, tmp_path / f"train/in/{name}.parquet")
    job = {"source": f"{tmp_path}/train/in", "label": "y"}
    manifest = prepare_table(spark, TableJob(**job, dataset=f"{tmp_path}/out", split_from="folder"))
    assert {name: one.rows for name, one in manifest.splits.items()} == {"train": 19, "validation": 9, "test": 10}
    assert manifest.cleaning is not None
    assert manifest.cleaning.refused["no_split"] == 9
    assert manifest.split_rule == {"from": "folder"}
    assert "2 rows have an equal one in another split" in capsys.readouterr().err
    prepare_table(spark, TableJob(**job, dataset=f"{tmp_path}/anew"))
    assert "--split-from folder takes the splits that are there" in capsys.readouterr().err
    with pytest.raises(ValueError, match="split_from is folder, or path:REGEX"):
        TableJob(**job, dataset="x", split_from="file")


def test_images_keep_the_splits_of_their_folders_and_what_is_there_twice_goes_furthest_from_train(
    spark: SparkSession, tmp_path: Path
) -> None:
    for split, colours in (("train", range(0, 120, 20)), ("val", (130, 150)), ("test", (170, 20)), ("more", (5, 6))):
        for number, colour in enumerate(colours):
            save(tmp_path / f"in/{split}/{'cat' if number % 2 else 'dog'}/{number}.png", colour)
    job = ImageJob(source=f"{tmp_path}/in", dataset=f"{tmp_path}/out", split_from="folder", near_duplicates="ignore")
    manifest = prepare_images(spark, job)
    assert {name: one.rows for name, one in manifest.splits.items()} == {"train": 5, "validation": 2, "test": 2}
    assert manifest.cleaning is not None
    assert manifest.cleaning.refused["no_split"] == 2
    assert manifest.split_rule == {"from": "folder"}


def test_text_that_is_not_utf8_is_a_refused_row_that_names_the_column(spark: SparkSession, tmp_path: Path) -> None:
    text = pa.array([b"\xff\xfe", *[b"\xc3\xa9"] * 20]).view(pa.string())
    lists = pa.ListArray.from_arrays(pa.array(range(22), pa.int32()), pa.array([b"ok"] * 20 + [b"\xff"]).view(pa.string()))
    pq.write_table(pa.table({"s": text, "l": lists, "y": [n % 2 for n in range(21)]}), tmp_path / "in.parquet")
    manifest = prepare_table(spark, TableJob(source=f"{tmp_path}/in.parquet", dataset=f"{tmp_path}/out", label="y"))
    assert manifest.cleaning is not None
    assert (manifest.rows, manifest.cleaning.refused["not_utf8"]) == (19, 2)
    refused = Dataset.open(f"{tmp_path}/out").quarantine().to_pylist()
    assert {row["detail"] for row in refused} == {"text in column 's' is not UTF-8", "text in column 'l' is not UTF-8"}
    assert {row["source"].rpartition("/")[2] for row in refused} == {"in.parquet"}
