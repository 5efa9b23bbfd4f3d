"""Datasets as Petastorm writes them, and Petastorm itself to compare with."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from old_datasets import write_old

import bigdata_ml.petastorm_bridge  # noqa: F401


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dataset with every codec: 40 rows in two Hive directories of two files, row groups of 4 rows."""
    place = tmp_path_factory.mktemp("old") / "everything"
    write_old(place)
    return f"file://{place}"


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Plain Parquet: 4 files of 257 rows in groups of 25, the last one short; `id` counts them."""
    place = tmp_path_factory.mktemp("plain")
    for number in range(4):
        write_table(place / f"part-{number}.parquet", np.arange(number * 257, (number + 1) * 257), rows=25)
    return f"file://{place}"


def write_table(place: Path, ids: np.ndarray, *, rows: int) -> None:
    columns = {
        "id": ids,
        "x": ids.astype(np.float32),
        "name": pa.array([f"row {one}" for one in ids]),
        "maybe": pa.array([None if one % 5 == 0 else f"t{one % 3}" for one in ids.tolist()]),
        "count": pa.array([None if one % 7 == 0 else one for one in ids.tolist()], pa.int32()),
        "flag": ids % 2 == 0,
        "when": pa.array(ids.astype("datetime64[us]")),
        "day": pa.array(ids.astype("datetime64[D]")),
        "pair": pa.array([[one, one + 1] for one in ids.tolist()]),
    }
    pq.write_table(pa.table(columns), place, row_group_size=rows)


@pytest.fixture
def petastorm() -> Iterator[Any]:
    """The unmodified Petastorm, by the bridge; it warns of much."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import petastorm

        yield petastorm
