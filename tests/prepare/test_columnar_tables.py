"""Parquet and ORC sources of the table job: values as they are, types compared as types, keys typed by all their values."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import TableJob, prepare_table
from bigdata_ml.prepare.sources import table

pytestmark = pytest.mark.spark

US = dt.timedelta(microseconds=1)
FAR = [dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)]


def read(spark: SparkSession, place: Path, **options: Any) -> dict[str, list[Any]]:
    return table(spark, str(place), **options).orderBy("id").toArrow().to_pydict()


def test_every_value_is_read_as_it_is(spark: SparkSession, tmp_path: Path) -> None:
    halves = np.array([0.1, -65504.0], np.float16)
    columns = {
        "id": pa.array([1, 2]),
        "ns": pa.array([-1000, 2_000_000], pa.timestamp("ns")),
        "ns_utc": pa.array([1000, None], pa.timestamp("ns", "UTC")),
        "uuid": pa.array([b"a" * 16, b"b" * 16], pa.uuid()),
        "half": pa.array(halves),
        "json": pa.array(["{}", None], pa.json_()),
        "bool8": pa.array([1, 0], pa.bool8()),
        "u32": pa.array([1, 2**32 - 1], pa.uint32()),
        "u64": pa.array([1, 2**64 - 1], pa.uint64()),
        "dictionary": pa.array(["a", "b"]).dictionary_encode(),
        "lists": pa.array([[1000], None], pa.list_(pa.timestamp("ns"))),
        "far": pa.array(FAR, pa.timestamp("us")),
        "money": pa.array([Decimal("0.3333"), Decimal("-1.0001")], pa.decimal128(14, 4)),
        "nothing": pa.nulls(2),
    }
    pq.write_table(pa.table(columns), tmp_path / "new.parquet")
    found = read(spark, tmp_path / "new.parquet")
    epoch, utc = dt.datetime(1970, 1, 1), dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    assert found == {
        "id": [1, 2],
        "ns": [epoch - US, epoch + 2000 * US],
        "ns_utc": [utc + US, None],
        "uuid": [b"a" * 16, b"b" * 16],
        "half": halves.astype(np.float32).tolist(),
        "json": ["{}", None],
        "bool8": [1, 0],
        "u32": [1, 2**32 - 1],
        "u64": [Decimal(1), Decimal(2**64 - 1)],
        "dictionary": ["a", "b"],
        "lists": [[epoch + US], None],
        "far": FAR,
        "money": [Decimal("0.3333"), Decimal("-1.0001")],
        "nothing": [None, None],
    }
    old = pa.table({"id": [1, 2], "far": pa.array(FAR, pa.timestamp("us"))})
    pq.write_table(old, tmp_path / "old.parquet", use_deprecated_int96_timestamps=True)
    found = read(spark, tmp_path / "old.parquet")
    assert found["far"] == [one.replace(tzinfo=dt.timezone.utc) for one in FAR]


def test_types_that_are_one_are_read_as_one(spark: SparkSession, tmp_path: Path) -> None:
    pairs = {
        "list": (pa.array([[1.0]]), pa.array([[2]], pa.list_(pa.int32()))),
        "text": (pa.array(["a"]).dictionary_encode(), pa.array(["b"], pa.large_string())),
        "time": (pa.array([1], pa.timestamp("ms", "UTC")), pa.array([2_000_000], pa.timestamp("ns", "Europe/Rome"))),
        "decimal": (pa.array([Decimal("1.5")], pa.decimal128(5, 2)), pa.array([Decimal("2.125")], pa.decimal128(9, 3))),
        "whole": (pa.array([1], pa.uint8()), pa.array([-(2**63)])),
        "number": (pa.array([2**53]), pa.array([0.5])),
        "nothing": (pa.nulls(1), pa.array(["x"])),
        "struct": (pa.array([{"a": 1, "b": "x"}]), pa.array([{"b": "y", "a": 0.5}])),
    }
    for place in (0, 1):
        columns = {"id": [place], **{name: pair[place] for name, pair in pairs.items()}}
        pq.write_table(pa.table(columns), tmp_path / f"{place}.parquet", use_compliant_nested_type=bool(place))
    millisecond, two = (dt.datetime(1970, 1, 1, microsecond=us, tzinfo=dt.timezone.utc) for us in (1000, 2000))
    assert read(spark, tmp_path) == {
        "id": [0, 1],
        "list": [[1.0], [2.0]],
        "text": ["a", "b"],
        "time": [millisecond, two],
        "decimal": [Decimal("1.500"), Decimal("2.125")],
        "whole": [1, -(2**63)],
        "number": [2.0**53, 0.5],
        "nothing": [None, "x"],
        "struct": [{"a": 1.0, "b": "x"}, {"a": 0.5, "b": "y"}],
    }


@pytest.mark.parametrize(
    ("name", "column", "said"),
    [
        ("t", pa.array([1001], pa.timestamp("ns")), r"a.parquet: column 't': 1001 ns are no whole microseconds; .*--drop t"),
        ("t", pa.array([1], pa.time64("us")), r"a.parquet: column 't' is time64\[us\], and a table job does not read .*--drop t"),
        ("t", pa.array([Decimal(1)], pa.decimal256(50, 2)), r"column 't' is decimal256\(50, 2\)"),
        ("split", pa.array(["a"]), r"column 'split' has a name .*--drop split, .*--rename split=NAME"),
    ],
)
def test_what_a_job_does_not_read_is_named_and_can_be_dropped(
    spark: SparkSession, tmp_path: Path, name: str, column: pa.Array, said: str
) -> None:
    rows = pa.table({"x": range(40), "y": [0, 1] * 20, name: pa.concat_arrays([column] * 40)})
    (tmp_path / "in").mkdir()
    pq.write_table(rows, tmp_path / "in/a.parquet")
    job: dict[str, Any] = {"source": f"{tmp_path}/in", "dataset": f"{tmp_path}/out", "label": "y"}
    with pytest.raises(JobRefused, match=said):
        prepare_table(spark, TableJob(**job))
    prepare_table(spark, TableJob(**job, drop=(name,)))
    assert Dataset.open(f"{tmp_path}/out").schema.names == ("x", "y")


@pytest.mark.long
def test_what_a_job_does_not_read_of_a_joined_table_can_be_dropped_and_of_a_reference_does_not_matter(
    spark: SparkSession, tmp_path: Path
) -> None:
    pq.write_table(pa.table({"k": range(40), "y": [0, 1] * 20}), tmp_path / "in.parquet")
    other = {"k": range(40), "t": pa.array(range(40), pa.time64("us")), "n": pa.array(range(40), pa.timestamp("ns"))}
    pq.write_table(pa.table({**other, "split": ["a", "b"] * 20}), tmp_path / "other.parquet")
    (tmp_path / "rules.yaml").write_text(f"columns: {{k: {{references: {{table: {tmp_path}/other.parquet, column: k}}}}}}")
    job = TableJob(
        source=f"{tmp_path}/in.parquet", dataset=f"{tmp_path}/out", label="y", rules=f"{tmp_path}/rules.yaml",
        join=(f"o={tmp_path}/other.parquet:k=k",),
    )  # fmt: skip
    with pytest.raises(JobRefused, match=r"other.parquet: column 't' is time64\[us\], .*--drop o_t,"):
        prepare_table(spark, job)
    with pytest.raises(JobRefused, match=r"column 'n': 1 ns .*--drop o_n,"):
        prepare_table(spark, replace(job, drop=("o_t",)))
    prepare_table(spark, replace(job, drop=("o_t,o_n",)))
    dataset = Dataset.open(f"{tmp_path}/out")
    assert (dataset.schema.names, dataset.rows) == (("k", "y", "o_split"), 40)


def test_a_column_is_renamed_and_pandas_index_is_left_out(spark: SparkSession, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": range(40), "y": [0, 1] * 20, "split": "old"}).sample(frac=1, random_state=1)
    frame.to_parquet(tmp_path / "in.parquet")
    job = {"source": f"{tmp_path}/in.parquet", "label": "y"}
    prepare_table(spark, TableJob(**job, dataset=f"{tmp_path}/a", rename=("split=origin",), drop=("__index_level_0__",)))
    assert Dataset.open(f"{tmp_path}/a").schema.names == ("x", "y", "origin")
    found = table(spark, f"{tmp_path}/in.parquet")
    assert found.columns == ["x", "y", "split"]


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        (pa.array([2**53 + 1]), pa.array([0.5]), r"0.parquet: column 'v': 9007199254740993 is beyond 2\^53"),
        (pa.array([1]), pa.array(["a"]), r"column 'v' is int64 in 0.parquet and string in 1.parquet.*--drop v"),
        (pa.array([1], pa.uint64()), pa.array([-1]), r"column 'v' is uint64 in 0.parquet and int64 in 1.parquet"),
    ],
)
def test_types_that_hold_no_common_value_are_refused_by_file(
    spark: SparkSession, tmp_path: Path, one: pa.Array, other: pa.Array, said: str
) -> None:
    for place, column in enumerate((one, other)):
        columns = {"v": pa.concat_arrays([column] * 20), "y": [0, 1] * 10}
        (tmp_path / "in").mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), tmp_path / f"in/{place}.parquet")
    with pytest.raises(JobRefused, match=said):
        prepare_table(spark, TableJob(source=f"{tmp_path}/in", dataset=f"{tmp_path}/out", label="y"))


def test_keys_of_directories_are_typed_by_all_their_values_whatever_the_files_hold(spark: SparkSession, tmp_path: Path) -> None:
    for number, (path, more) in enumerate(
        [("code=01/n=1", {}), ("code=1/n=-7", {"z": [1]}), ("code=a%20b/n=__HIVE_DEFAULT_PARTITION__", {}), ("code=x+y/n=2", {})]
    ):
        (tmp_path / path).mkdir(parents=True)
        pq.write_table(pa.table({"id": [number], **more}), tmp_path / path / "a.parquet")
    found = read(spark, tmp_path)
    assert found == {"id": [0, 1, 2, 3], "z": [None, 1, None, None], "code": ["01", "1", "a b", "x+y"], "n": [1, -7, None, 2]}
