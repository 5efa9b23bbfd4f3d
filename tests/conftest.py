"""Fixtures that all rooms' tests share; `tiny.py` makes what they hold."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import settings
from thoroughness import examples
from tiny import publish_dataset, write_plain

from bigdata_ml.dataset import Dataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pytest_configure(config: pytest.Config) -> None:
    # Spark warns of pandas 3 whenever it meets it; the jobs hand it Arrow batches and never pandas.
    config.addinivalue_line("filterwarnings", "ignore:PySpark does not yet fully support pandas:FutureWarning")
    settings.register_profile("project", deadline=None, max_examples=examples(100))
    settings.load_profile("project")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)


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


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[SparkSession]":
    """Spark's local mode, one for all tests."""
    from pyspark.sql import SparkSession

    from bigdata_ml.prepare import spark_session

    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    place = tmp_path_factory.mktemp("spark")
    settings = {
        # Jobs of a few rows are over before the better compiler would pay.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        "spark.driver.memory": "1g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.local.dir": str(place),
        "spark.sql.warehouse.dir": str(place / "warehouse"),
    }
    # A task may fail three times, as on a cluster.
    builder = SparkSession.builder.master("local[2, 4]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    builder.getOrCreate()
    session = spark_session("tests")
    yield session
    session.stop()
