"""Parquet files as others lay them out: keys in directories, splits in names, pandas' index."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigdata_ml.compat.petastorm import make_batch_reader
from bigdata_ml.dataset import Dataset, adopt, validate
from bigdata_ml.dataset.opening.split_names import split_in_path
from bigdata_ml.reader import ReadOptions, open_reader


def write(root: Path, *paths: str) -> None:
    for number, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": [number]}), root / path)


def rows(dataset: Dataset) -> list[dict[str, Any]]:
    reader = open_reader(dataset, ReadOptions(shuffle=False), global_batch_size=1)
    return [row for batch in reader for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["01", "1", "10"], ["01", "1", "10"]),
        (["-0", "0"], ["-0", "0"]),
        (["+5", "5"], ["+5", "5"]),
        (["9223372036854775807", "-9223372036854775808"], [2**63 - 1, -(2**63)]),
        (["9223372036854775808", "1"], ["9223372036854775808", "1"]),
        (["2024-01-01", "2024-01-02"], ["2024-01-01", "2024-01-02"]),
        (["a%20b", "a"], ["a b", "a"]),
    ],
)
def test_a_key_is_a_number_only_if_all_its_values_print_back(tmp_path: Path, texts: list[str], values: list[Any]) -> None:
    write(tmp_path, *(f"code={text}/a.parquet" for text in texts))
    assert {row["code"] for row in rows(Dataset.open(tmp_path))} == set(values)


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("train/a.parquet", "train"),
        ("val/cat/1.png", "validation"),
        ("plain_text/dev/0000.parquet", "validation"),
        ("data/test-00000-of-00004-0a1b2c.parquet", "test"),
        ("Testing/1.png", "test"),
        ("train/test/a.parquet", None),
        ("trainer/a.parquet", None),
        ("training_notes-1.parquet", None),
    ],
)
def test_a_path_names_a_split_by_a_folder_or_by_its_name(path: str, split: str | None) -> None:
    assert split_in_path(path) == split


@pytest.mark.parametrize("form", ["{}/a.parquet", "data/{}-00000-of-00001.parquet", "{}.parquet"])
def test_plain_parquet_opens_with_the_splits_that_its_paths_name(tmp_path: Path, form: str) -> None:
    write(tmp_path, *(form.format(name) for name in ("train", "val", "test")))
    for dataset in (Dataset.open(tmp_path), (adopt(tmp_path), Dataset.open(tmp_path))[1]):
        assert dataset.splits == ("train", "validation", "test")
        assert [row["x"] for row in rows(dataset.split("validation"))] == [1]
    assert not validate(tmp_path)
    with make_batch_reader(tmp_path.as_uri(), num_epochs=1) as reader:
        assert {batch._fields for batch in reader} == {("x",)}


def test_a_file_that_names_no_split_beside_others_that_do_is_warned_of(tmp_path: Path) -> None:
    write(tmp_path, "train/a.parquet", "more/a.parquet")
    with pytest.warns(UserWarning, match=r"train/a.parquet is named as a split, more/a.parquet is not"):
        assert Dataset.open(tmp_path).splits == ()


def test_the_index_of_pandas_is_left_out_and_an_index_with_a_name_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]}).sample(frac=1, random_state=1)
    frame.to_parquet(tmp_path / "a.parquet")
    with caplog.at_level(logging.WARNING):
        assert Dataset.open(tmp_path).schema.names == ("x",)
    assert "__index_level_0__" in caplog.text
    adopt(tmp_path)
    assert rows(Dataset.open(tmp_path)) == [{"x": value} for value in frame["x"]]
    assert not validate(tmp_path)
    (tmp_path / "named").mkdir()
    frame.rename_axis("day").to_parquet(tmp_path / "named/a.parquet")
    assert Dataset.open(tmp_path / "named").schema.names == ("x", "day")
