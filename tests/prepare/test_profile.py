"""The profile of a table, and suggested rules that its own rows satisfy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from bigdata_ml.cli import main
from bigdata_ml.prepare import TableProfile, profile_table
from bigdata_ml.prepare.tables.profile.suggestions import ColumnProfile
from bigdata_ml.prepare.tables.profile.value_forms import MOST_VALUES, forms_of
from prepare.ruled import RuledTable

pytestmark = pytest.mark.spark

MESSY: list[dict[str, Any]] = [
    {
        "id": index,
        "count": str(index) if index % 3 else index,
        "price": "n/a" if index % 10 == 0 else f"{index}.5",
        "zip": f"{index % 7:05d}",
        "city": ("New York", "new york", "New York ", "Oslo")[index % 4],
        "day": f"{index % 28 + 1}/01/2024" if index % 2 else f"2024-02-{index % 28 + 1:02d}",
        "slash": f"{index % 9 + 1}/{index % 5 + 1}/2024",
        "at": f"2024-01-01T{index % 24:02d}:00:00" + ("Z" if index % 2 else ""),
        "member": "yes" if index % 2 else "no",
        "same": "x",
        "rare": 1 if index == 5 else None,
        "list": [index] if index % 10 == 3 else index,
        "note": f"{index} words: with \"quotes\", 'more', #hash",
        "key: odd?": index / 7,
    }
    for index in range(100)
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("profiled")
    (place / "messy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in MESSY))
    return place


@pytest.fixture(scope="module")
def profile(spark: SparkSession, place: Path) -> TableProfile:
    return profile_table(spark, f"{place}/messy.jsonl")


@pytest.fixture(scope="module")
def column(profile: TableProfile) -> Callable[[str], ColumnProfile]:
    by_name = {column.name: column for column in profile.columns}
    return lambda name: by_name[name]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("id", "integer"), ("count", "integer"), ("price", "number"), ("zip", "text"), ("city", "text"), ("day", "date"),
        ("slash", "date"), ("at", "timestamp"), ("member", "boolean"), ("list", "integer"), ("note", "text"),
        ("key: odd?", "number"),
    ],
)  # fmt: skip
def test_the_type_is_that_of_most_values(column: Callable[[str], ColumnProfile], name: str, kind: str) -> None:
    assert column(name).kind == kind


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("count", "numbers as text"),
        ("price", "words for null, such as 'n/a': 10 times"),
        ("zip", "leading zeros, such as '00000': stays text"),
        ("city", "several spellings of 1 values, such as 'New York', 'New York ', 'new york'"),
        ("day", "several date forms: 2024-12-31, a/b/2024"),
        ("slash", "ambiguous day and month"),
        ("at", "times without a time zone: UTC is a guess"),
        ("same", "constant"),
        ("rare", "mostly null: 99.0%"),
        ("list", "mixed types: 10 list of one such as '[13]'"),
    ],
)
def test_suspicions_are_listed(column: Callable[[str], ColumnProfile], name: str, text: str) -> None:
    assert text in column(name).suspicions


def test_suggested_rules_refuse_no_row_and_repair_values(spark: SparkSession, profile: TableProfile, tmp_path: Path) -> None:
    cleaned = RuledTable(spark, tmp_path, MESSY, profile.rules())
    assert (cleaned.tally.found, cleaned.tally.kept) == (100, 100)
    assert cleaned.values("count") == list(range(100))
    assert set(cleaned.values("city")) == {"New York", "Oslo"}
    assert cleaned.values("list") == list(range(100))
    assert cleaned.values("price")[:2] == [None, 1.5]
    assert cleaned.values("zip")[0] == "00000"


def test_a_typed_table_is_profiled(spark: SparkSession, tmp_path: Path) -> None:
    table = pa.table({"n": [1, 2, None], "s": pa.array([[1], [2], []]), "b": [True, None, False]})
    pq.write_table(table, tmp_path / "t.parquet")
    columns = {column.name: column for column in profile_table(spark, f"{tmp_path}/t.parquet").columns}
    assert (columns["n"].kind, columns["b"].kind) == ("integer", "boolean")
    assert [text.partition(":")[0] for text in columns["s"].suspicions] == ["nested (array<bigint>)"]


def test_merged_parts_equal_the_whole() -> None:
    texts = pa.array([str(index) for index in range(MOST_VALUES + 5)] + ["x", None, "3/14/2024"])
    whole = forms_of(texts)
    parts = forms_of(texts.slice(0, 500)).merge(forms_of(texts.slice(500)))
    assert whole.to_json() == parts.to_json()
    assert whole.values is None
    assert whole.over_12 == (0, 1)


def test_the_command_prints_a_profile_and_writes_its_rules(
    spark: SparkSession, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", f"{place}/messy.jsonl", "--suggest", f"{tmp_path}/rules.yaml"]) == 0
    assert "100 rows, 14 columns" in capsys.readouterr().out
    assert "case: set" in (tmp_path / "rules.yaml").read_text()
    assert main(["profile", f"{place}/messy.jsonl", "--suggest", f"{tmp_path}/rules.yaml"]) == 2
    assert main(["profile", f"{place}/messy.jsonl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 100
    assert main(["profile", f"{place}/nowhere.csv"]) == 2
