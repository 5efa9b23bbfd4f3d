"""An incremental table job does nothing if nothing has changed, and runs as a whole otherwise."""

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Manifest, validate
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import TableJob, prepare_table

pytestmark = pytest.mark.spark

LONG_AGO = 1_600_000_000


def write(path: Path, text: str, *, when: int = LONG_AGO) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (when, when))


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    rows = "\n".join(f"{number},{number % 3},{number % 2}" for number in range(60))
    write(tmp_path / "table/part.csv", f"id,kind,label\n{rows}\n")
    write(tmp_path / "kinds.csv", "kind,name\n0,zero\n1,one\n2,two\n")
    write(tmp_path / "known.csv", "kind\n0\n1\n2\n")
    write(
        tmp_path / "rules.yaml",
        "columns: {kind: {references: {table: KNOWN, column: kind}}}".replace("KNOWN", f"{tmp_path}/known.csv"),
    )
    return tmp_path


def job(lake: Path, **options: object) -> TableJob:
    defaults = {
        "source": str(lake / "table"),
        "dataset": str(lake / "dataset"),
        "label": "label",
        "join": (f"{lake}/kinds.csv:kind=kind",),
        "rules": str(lake / "rules.yaml"),
        "replace": True,
        "incremental": True,
    }
    return TableJob(**{**defaults, **options})  # type: ignore[arg-type]


def prepared(spark: SparkSession, lake: Path, **options: object) -> Manifest:
    return prepare_table(spark, job(lake, **options))


def test_an_unchanged_table_is_not_prepared_again(spark: SparkSession, lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = prepared(spark, lake)
    assert "no dataset" in capsys.readouterr().err
    files = sorted(path for path in (lake / "dataset").rglob("*"))
    assert prepared(spark, lake).publication == first.publication
    assert f"up to date: nothing has changed since version {first.publication}" in " ".join(capsys.readouterr().err.split())
    assert sorted(path for path in (lake / "dataset").rglob("*")) == files


@pytest.mark.long
def test_after_any_change_the_result_equals_that_of_a_full_run(
    spark: SparkSession, lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = prepared(spark, lake)
    table = (lake / "table/part.csv").read_text()
    changes = {
        "a row": lambda: write(lake / "table/part.csv", table + "60,1,0\n", when=LONG_AGO + 10),
        "a file": lambda: write(lake / "table/more.csv", "id,kind,label\n70,2,1\n"),
        "the joined table": lambda: write(lake / "kinds.csv", "kind,name\n0,nil\n1,one\n2,two\n", when=LONG_AGO + 10),
        "the table referred to": lambda: write(lake / "known.csv", "kind\n0\n1\n", when=LONG_AGO + 10),
    }
    for name, change in changes.items():
        change()
        now = prepared(spark, lake)
        assert "files were added, removed or changed" in " ".join(capsys.readouterr().err.split()), name
        assert now.publication != last.publication, name
        assert now.content != last.content, name
        last = now
    assert validate(lake / "dataset") == []
    whole = prepare_table(spark, job(lake, dataset=str(lake / "whole"), replace=False, incremental=False))
    assert (whole.content, whole.cleaning.refused) == (last.content, last.cleaning.refused)


@pytest.mark.long
def test_other_options_and_rules_are_a_change(spark: SparkSession, lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = prepared(spark, lake)
    write(lake / "rules.yaml", "columns: {kind: {range: [0, 1]}}")
    second = prepared(spark, lake)
    third = prepared(spark, lake, seed=5)
    assert capsys.readouterr().err.count("options, rules or versions") == 2
    assert len({version.publication for version in (first, second, third)}) == 3
    # A stricter limit is checked, although a version without the limit exists.
    with pytest.raises(JobRefused, match="refused"):
        prepared(spark, lake, seed=5, max_refused=("0",))
    assert prepared(spark, lake, seed=5).publication == third.publication


def test_a_file_changed_during_the_last_listing_is_read_again(
    spark: SparkSession, lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.utime(lake / "table/part.csv")
    first = prepared(spark, lake)
    assert prepared(spark, lake).publication != first.publication
    assert "less than two seconds" in " ".join(capsys.readouterr().err.split())


def test_incremental_needs_replace(lake: Path) -> None:
    with pytest.raises(ValueError, match="replace"):
        job(lake, replace=False)
