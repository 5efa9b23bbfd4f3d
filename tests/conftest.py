"""Fixtures that all rooms' tests share; `tiny.py` makes what they hold."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from tiny import publish_dataset, write_plain

from bigdata_ml.dataset import Dataset


@pytest.fixture
def tiny(tmp_path: Path) -> Dataset:
    """A published dataset: 47, 11 and 13 rows in train, validation, test; two files each, row groups of up to 5 rows."""
    return publish_dataset(tmp_path / "tiny")


@pytest.fixture
def plain(tmp_path: Path) -> Dataset:
    """Plain Parquet: ids 0 … 22 in three files with row groups of up to 4 rows."""
    rows = pa.table({"id": range(23), "price": [None if one % 6 == 5 else one / 2 for one in range(23)]})
    pieces = {"a.parquet": rows.slice(0, 9), "b.parquet": rows.slice(9, 3), "c.parquet": rows.slice(12)}
    return Dataset.open(write_plain(tmp_path / "plain", pieces))


@pytest.fixture
def change_bytes() -> Callable[[Path, int], None]:
    """Flips the byte at a place (negative: from the end) of a file."""

    def change(path: Path, place: int) -> None:
        data = bytearray(path.read_bytes())
        data[place] ^= 0xFF
        path.write_bytes(data)

    return change


@pytest.fixture
def train(tiny: Dataset) -> Dataset:
    return tiny.split("train")
