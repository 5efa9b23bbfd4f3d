import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from bigdata_ml.prepare import spark_session


def pytest_configure(config: pytest.Config) -> None:
    # Spark warns of pandas 3 whenever it meets it; the jobs hand it Arrow batches and never pandas.
    config.addinivalue_line("filterwarnings", "ignore:PySpark does not yet fully support pandas:FutureWarning")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
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


@pytest.fixture
def out(tmp_path: Path) -> str:
    return str(tmp_path / "published" / "dataset")
