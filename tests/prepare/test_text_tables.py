"""Text files as tables: what is published of them, what is refused, and that nothing depends on how the work is cut."""

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.layout import QUALITY_NUMBERS
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import TableJob, TextFormat, prepare_table, profile_table
from bigdata_ml.prepare.sources import table
from bigdata_ml.prepare.sources.text_files import file_cuts
from bigdata_ml.prepare.sources.text_files import table as text_table

pytestmark = pytest.mark.spark


def rows(spark: SparkSession, place: Path, **options: Any) -> list[dict[str, Any]]:
    return [row.asDict() for row in table(spark, str(place), **options).collect()]


def test_a_german_table_with_all_that_text_can_hold(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cities = ("Köln", "Käln")
    lines = [f"{number:03d};{number},5;1.{number:03d};{cities[number % 2]};{number % 2}" for number in range(40)]
    torn = ["1;2", 'x;"a"b;1;c;0', "040;viel;1.000;Ulm;1"]
    text = "\r\n".join(["code;price;count;city;y", *lines, *torn, '041;1,5;1.000;"a;\n""b""";0', ""])
    (tmp_path / "t.csv").write_bytes(text.encode("iso-8859-1"))
    (tmp_path / "towns.csv").write_bytes(b"code;name\n001;Ulm\n1;Bonn\n")
    job = TableJob(
        source=f"{tmp_path}/t.csv", dataset=f"{tmp_path}/out", label="y", split="train=1", separator=";", encoding="iso-8859-1",
        decimal_comma=True, thousands=".", types=("price=double",), join=(f"{tmp_path}/towns.csv:code=code",),
    )  # fmt: skip
    manifest = prepare_table(spark, job)
    assert manifest.cleaning is not None
    assert dict(manifest.cleaning.refused) == {"label_missing": 0, "price.type": 1, "ragged_row": 1, "torn_row": 1}
    dataset = Dataset.open(f"{tmp_path}/out")
    assert {one.name: str(one.type) for one in dataset.schema} == {
        "code": "string", "price": "double", "count": "int64", "city": "string", "y": "int64", "towns_name": "string",
    }  # fmt: skip
    assert set(dataset.vocabularies["city"].values) == {"Köln", "Käln", 'a;\n"b"'}
    assert manifest.statistics["count"].greatest == 1039
    assert manifest.provenance["joins"][0]["matched"] == 1
    refused = {row["reason"]: row for row in dataset.quarantine().to_pylist()}
    assert refused["ragged_row"]["detail"] == "line 42: 2 values, the header names 5"
    assert refused["ragged_row"]["source"] == f"file:{tmp_path}/t.csv"
    assert json.loads(refused["ragged_row"]["row"]) == {"__line": 42, "__text": "1;2"}
    assert refused["torn_row"]["detail"].startswith("line 43: text follows the closing quote of value 2")
    assert refused["price.type"]["detail"].startswith("price: 'viel' breaks the rule")
    numbers = json.loads((dataset.location / QUALITY_NUMBERS).read_bytes())
    (code, price, count, *_) = numbers["types"][f"{tmp_path}/t.csv"]
    assert code["why"].startswith("42 of 42 values do not print back as numbers, first '000' in t.csv line 2")
    assert (price["type"], count["type"]) == ("number", "bigint")
    assert f"code: text: {code['why']}" in " ".join(capsys.readouterr().err.split())


def test_types_and_rows_do_not_depend_on_how_files_are_cut(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = "".join(f"{number},{number}.5,x\n" for number in range(400)) + "1,2\n"
    quoted = "".join(f'{number},{number}.5,"a\n{number},1,b"\n' for number in range(400)) + "1,2\n"
    (tmp_path / "in").mkdir()
    (tmp_path / "in/plain.csv").write_text("id,a,b\n" + plain)
    (tmp_path / "in/quoted.csv").write_text("id,a,b\n" + quoted)
    (tmp_path / "in/empty.csv").write_text("")
    found = []
    for least in (100, 4 << 20):
        monkeypatch.setattr(file_cuts, "_LEAST_BYTES", least)
        monkeypatch.setattr(text_table, "_LITTLE_BYTES", least)
        monkeypatch.setattr(file_cuts, "_MOST_BYTES", max(least, 1000))
        profile = profile_table(spark, f"{tmp_path}/in")
        assert profile.refused == (2, f"{tmp_path}/in/plain.csv, line 402: 2 values, the header names 3")
        found.append((profile.to_json(), profile.rows))
    assert found[0] == found[1]
    assert found[0][1] == 800
    with pytest.raises(JobRefused, match=r"plain\.csv, line 402: 2 .* 3; 2 of 802 "):
        table(spark, f"{tmp_path}/in")


def test_json_keeps_its_numbers_and_a_torn_line_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    values = [{"big": 12345678901234567890 + n, "mixed": "x" if n % 2 else n, "n": n, "y": n % 2} for n in range(20)]
    (tmp_path / "t.json").write_text("".join(json.dumps(row) + "\n" for row in values) + '{"n":\n')
    job = TableJob(
        source=f"{tmp_path}/t.json", dataset=f"{tmp_path}/out", label="y", split="train=1", max_refused=("torn_row=1",)
    )
    manifest = prepare_table(spark, job)
    assert manifest.cleaning is not None
    assert dict(manifest.cleaning.refused) == {"label_missing": 0, "torn_row": 1}
    dataset = Dataset.open(f"{tmp_path}/out")
    assert len(dataset.vocabularies["big"].values) == 20
    assert set(dataset.vocabularies["mixed"].values) == {"x", *map(str, range(0, 20, 2))}
    assert dataset.quarantine().to_pylist()[0]["detail"].startswith("line 21: no whole JSON")
    (tmp_path / "array.json").write_text(json.dumps(values, indent=1))
    assert rows(spark, tmp_path / "array.json", as_text=("n",))[3] == {
        "big": "12345678901234567893",
        "mixed": "x",
        "n": "3",
        "y": 1,
    }


def test_headers_without_names_and_several_separators(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",a\n1,x\n")
    assert rows(spark, tmp_path / "t.csv") == [{"_c0": 1, "a": "x"}]
    (tmp_path / "t.tsv").write_text("a\tb\n1\tx\n")
    assert rows(spark, tmp_path / "t.tsv") == [{"a": 1, "b": "x"}]
    assert rows(spark, tmp_path / "t.tsv", form=TextFormat(separator="|")) == [{"a\tb": "1\tx"}]
