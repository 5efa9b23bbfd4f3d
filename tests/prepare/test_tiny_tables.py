"""A table in hundreds of tiny files is read in few tasks."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from bigdata_ml.prepare.sources import table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

FILES = 600


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_in_tiny_files_is_read_in_a_task_for_each_core(spark: "SparkSession", tmp_path: Path, ending: str) -> None:
    write = csv.write_csv if ending == "csv" else pq.write_table
    for number in range(FILES):
        write(pa.table({"id": [number], "text": [f"row {number}"]}), tmp_path / f"{number}.{ending}")
    rows = table(spark, str(tmp_path))
    assert rows.rdd.getNumPartitions() <= spark.sparkContext.defaultParallelism + 1
    found = rows.agg(F.count_distinct("text"), F.min("id"), F.max("id")).collect()[0]
    assert tuple(found) == (FILES, 0, FILES - 1)
