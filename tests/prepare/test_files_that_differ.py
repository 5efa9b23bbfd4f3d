"""Files of one table that differ: new columns, another order, another type; and file names of every kind."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import TableJob, prepare_table
from bigdata_ml.prepare.sources import table

pytestmark = pytest.mark.spark


def read(spark: SparkSession, place: Path, **options: Any) -> list[dict[str, Any]]:
    return [row.asDict() for row in table(spark, str(place), **options).orderBy("id").collect()]


def test_csv_columns_are_put_together_by_name(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("id,a\n1,x\n")
    (tmp_path / "2.csv").write_text('b,a,id\n7,"y, z",2\n')
    assert read(spark, tmp_path) == [{"id": 1, "a": "x", "b": None}, {"id": 2, "a": "y, z", "b": 7}]


def test_csv_columns_of_several_types_get_the_widest_or_stay_text(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("id,a,c\n1,2,007\n")
    (tmp_path / "2.csv").write_text("id,c,a\n2,x,2.5\n")
    assert read(spark, tmp_path) == [{"id": 1, "a": 2.0, "c": "007"}, {"id": 2, "a": 2.5, "c": "x"}]


@pytest.mark.parametrize("kind", ["parquet", "orc"])
def test_a_column_that_files_lack_is_null_and_numbers_get_the_widest_type(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    write = pq.write_table if kind == "parquet" else orc.write_table
    write(pa.table({"id": pa.array([1], pa.int32()), "a": pa.array([1], pa.int32())}), tmp_path / f"1.{kind}")
    write(pa.table({"id": pa.array([2], pa.int64()), "a": [0.5], "b": ["new"]}), tmp_path / f"2.{kind}")
    found = read(spark, tmp_path, file_column="__source")
    assert [row.pop("__source").rsplit("/", 1)[1] for row in found] == [f"1.{kind}", f"2.{kind}"]
    assert found == [{"id": 1, "a": 1.0, "b": None}, {"id": 2, "a": 0.5, "b": "new"}]


def test_a_column_that_changes_its_type_is_refused_by_file_unless_a_rule_gives_it_one(
    spark: SparkSession, tmp_path: Path
) -> None:
    for name, values in (("old", [str(index) for index in range(50)]), ("new", list(range(50, 100)))):
        ids = list(range(50)) if name == "old" else list(range(50, 100))
        (tmp_path / "in").mkdir(exist_ok=True)
        pq.write_table(pa.table({"id": ids, "a": values, "y": [index % 2 for index in ids]}), tmp_path / f"in/{name}.parquet")
    with pytest.raises(JobRefused, match=r"column 'a' is int64 in new.parquet and string in old.parquet"):
        prepare_table(spark, TableJob(source=f"{tmp_path}/in", dataset=f"{tmp_path}/out", label="y"))
    (tmp_path / "rules.yaml").write_text("columns: {a: {type: integer}}")
    job = TableJob(source=f"{tmp_path}/in", dataset=f"{tmp_path}/out", label="y", rules=f"{tmp_path}/rules.yaml")
    assert prepare_table(spark, job).rows == 100
    assert Dataset.open(f"{tmp_path}/out").schema["a"].type == pa.int64()


def test_keys_in_the_path_stay_columns_where_files_differ(spark: SparkSession, tmp_path: Path) -> None:
    for year, text in ((2023, "id,a\n1,x\n"), (2024, "a,id,b\ny,2,3\n")):
        (tmp_path / f"year={year}").mkdir()
        (tmp_path / f"year={year}/t.csv").write_text(text)
    assert [(row["id"], row["year"], row["b"]) for row in read(spark, tmp_path)] == [(1, 2023, None), (2, 2024, 3)]


@pytest.mark.parametrize("name", ["with space", "per%20cent%", "a=b", "plus+", "naïve", "line\nbreak", "[x]*?", "q'uote\""])
def test_a_file_of_any_name_is_read_and_named_as_it_is(spark: SparkSession, tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / f"in/{name}.csv").write_text("id,a\n1,x\n")
    for url in (tmp_path / "in", tmp_path / f"in/{name}.csv"):
        found = read(spark, url, file_column="__source")
        assert [row["__source"] for row in found] == [f"file:{tmp_path}/in/{name}.csv"]


def test_a_file_cut_in_the_middle_is_refused_by_name(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": range(1000)}), tmp_path / "whole.parquet")
    (tmp_path / "half.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:900])
    with pytest.raises(JobRefused, match=r"half.parquet: .*PARQUET"):
        table(spark, str(tmp_path))


def test_a_table_without_rows(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n")
    with pytest.raises(JobRefused, match=r"t\.csv: "):
        prepare_table(spark, TableJob(source=f"{tmp_path}/t.csv", dataset=f"{tmp_path}/out", label="y"))


def test_a_table_of_which_all_rows_are_refused(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{index},{index % 2}\n" for index in range(10)))
    (tmp_path / "rules.yaml").write_text("columns: {a: {range: {min: 100}}}")
    job = TableJob(source=f"{tmp_path}/t.csv", dataset=f"{tmp_path}/out", label="y", rules=f"{tmp_path}/rules.yaml")
    with pytest.raises(JobRefused, match=r"10 a\.range.*`bigdata-ml profile`"):
        prepare_table(spark, job)
    assert not (tmp_path / "out").exists()


def test_orc_dates_before_the_gregorian_calendar_end_the_job_and_cut_digits_are_told(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day, moment = dt.date(1582, 10, 15), 1_600_000_000_123_456_789
    for name, first in (("new", day), ("old", day - dt.timedelta(days=1))):
        orc.write_table(pa.table({"d": [first], "t": pa.array([moment], pa.timestamp("ns"))}), tmp_path / f"{name}.orc")
    found = table(spark, f"{tmp_path}/new.orc").selectExpr("d", "unix_micros(t)").collect()
    assert "further digits are cut off: t" in " ".join(capsys.readouterr().err.split())
    assert [tuple(row) for row in found] == [(day, moment // 1000)]
    with pytest.raises(PySparkException, match=r"old.orc: column 'd': .*1582-10-15.*--drop d"):
        table(spark, f"{tmp_path}/old.orc").collect()
