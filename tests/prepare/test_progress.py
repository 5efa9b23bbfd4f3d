"""A job says how far it is."""

import re

import pytest
from pyspark.sql import SparkSession

from bigdata_ml.prepare.session import progress
from bigdata_ml.prepare.session.progress import stage_progress

pytestmark = pytest.mark.spark


def test_a_stage_leaves_a_line_with_its_rows_and_their_rate(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    with stage_progress(spark.sparkContext, "write", rows=12_000):
        assert spark.range(10).count() == 10
    line = capsys.readouterr().err
    found = re.fullmatch(r"write: (\d+\.\d) s, 12,000 rows, ([\d,]+) rows/s\n", line)
    assert found, line
    # The seconds are rounded.
    assert 12_000 / (float(found[1]) + 0.051) <= float(found[2].replace(",", "")) + 1


def test_a_stage_of_unknown_length_leaves_its_seconds(spark: SparkSession, capsys: pytest.CaptureFixture[str]) -> None:
    with stage_progress(spark.sparkContext, "count"):
        pass
    assert re.fullmatch(r"count: \d+\.\d s\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("part", "said"),
    [(0.25, ", about 250 of 1,000 rows, 50 rows/s"), (1.2, ", about 1,000 of 1,000 rows, 200 rows/s")],
)
def test_rows_are_reckoned_from_tasks(part: float, said: str) -> None:
    assert progress._reckoned(1000, part, 5.0) == said
