"""Datasets that Petastorm wrote, and plain Parquet, by the engine `petastorm`: the native engine's rows and values."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from contracts import assert_reads_each_row_once, content_of

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions, open_reader


def contents(dataset: Dataset, engine: Any, **read: Any) -> list[Any]:
    options = ReadOptions(engine=engine, shuffle=False, remainder="exact", **read)
    return [content_of(batch) for batch in make_loader(dataset, options, global_batch_size=8, num_workers=2)]


@pytest.mark.parametrize("source", ["everything", "table"])
def test_every_column_is_the_native_loaders(source: str, request: pytest.FixtureRequest) -> None:
    dataset = Dataset.open(request.getfixturevalue(source))
    # A batch of arrays of two dimensions that differ in shape is no tensor: both loaders say so.
    columns = tuple(name for name in dataset.schema.names if name != "packed")
    assert contents(dataset, "petastorm", columns=columns) == contents(dataset, "arrow", columns=columns)


def test_every_column_as_it_lies_is_the_native_readers(everything: str) -> None:
    found: dict[str, Any] = {}
    for engine in ("petastorm", "arrow"):
        read: Any = ReadOptions(engine=engine, shuffle=False)  # type: ignore[arg-type]
        found[engine] = list(open_reader(Dataset.open(everything), read, global_batch_size=10))
    assert len(found["arrow"]) == 4
    assert found["petastorm"] == found["arrow"]


def test_rows_selected_by_key_and_column_are_read_once_by_each_of_three_ranks(everything: str) -> None:
    dataset = Dataset.open(everything)
    predicate = (pc.field("part") == "a") & (pc.field("small") != 7)
    read = ReadOptions(engine="petastorm", columns=("id", "part", "rgb"), predicate=predicate, remainder="exact")
    ranks = [make_loader(dataset, read, global_batch_size=6, rank=rank, world_size=3) for rank in range(3)]
    assert_reads_each_row_once(lambda: [batch for rank in ranks for batch in rank], [row for row in range(20) if row != 7])


def test_without_its_unischema_an_old_dataset_is_read_as_bytes(everything: str) -> None:
    dataset = Dataset.open(everything, use_unischema=False)
    columns = ("id", "rgb", "maybe", "part")
    assert contents(dataset, "petastorm", columns=columns) == contents(dataset, "arrow", columns=columns)


def test_nothing_pickled_beside_the_files_is_loaded(everything: str, tmp_path: Path) -> None:
    place = tmp_path / "bad"
    shutil.copytree(everything.removeprefix("file://"), place)
    mine = tmp_path / "made-by-the-pickle"
    evil = b"cos\nmkdir\n(S'" + str(mine).encode() + b"'\ntR."
    keys = {"dataset-toolkit.unischema.v1": evil, "dataset-toolkit.rowgroups_index.v1": evil}
    pq.write_metadata(pa.schema([("id", pa.int64())]).with_metadata(keys), place / "_common_metadata")
    dataset = Dataset.open(place, use_unischema=False)
    assert len(contents(dataset, "petastorm", columns=("id",))) == 5
    assert not mine.exists()
