"""Rules on single rows, applied to values as real files write them."""

import datetime
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.tables.rules.model import TypeRule
from bigdata_ml.prepare.tables.rules.value_types import typed
from prepare.ruled import RuledTable

pytestmark = pytest.mark.spark

Rule = Callable[[Sequence[Any], str], RuledTable]


@pytest.fixture
def ruled(spark: SparkSession, tmp_path: Path) -> Rule:
    """Rows {id, a} of values of `a`, after the rules of `a`."""

    def table(values: Sequence[Any], rules: str) -> RuledTable:
        rows = [{"id": index, "a": value} for index, value in enumerate(values)]
        return RuledTable(spark, tmp_path, rows, f"columns: {{a: {{{rules}}}}}")

    return table


def test_a_column_of_mixed_json_becomes_numbers(ruled: Rule) -> None:
    cleaned = ruled([1, "2", " 3.0 ", "x", [4], ["5"], [6, 7], None, "", True], "type: {is: integer, unwrap: true}")
    assert cleaned.values("a") == [1, 2, 3, 4, 5, None, None]
    assert cleaned.refused == {3: "a.type", 6: "a.type", 9: "a.type"}
    assert "'x'" in cleaned.details[3]
    assert "integer" in cleaned.details[3]


def test_only_decimal_and_scientific_notation_are_numbers(ruled: Rule) -> None:
    cleaned = ruled(["1.5", "1e3", "-.5", "1d", "0x1F", "1,5", "NaN"], "type: number")
    assert cleaned.values("a") == [1.5, 1000.0, -0.5, None]
    assert set(cleaned.refused) == {3, 4, 5}


def test_whole_numbers_keep_all_digits_and_larger_ones_are_refused(ruled: Rule) -> None:
    cleaned = ruled(["9007199254740993", "1.5", "1.0E10", "99999999999999999999"], "type: integer")
    assert cleaned.values("a") == [9007199254740993, 10_000_000_000]
    assert set(cleaned.refused) == {1, 3}


def test_booleans_are_written_in_several_words(ruled: Rule) -> None:
    cleaned = ruled([True, "no", "Y", "1", "maybe"], "type: boolean")
    assert cleaned.values("a") == [True, False, True, True]


def test_text_keeps_its_leading_zeros(spark: SparkSession, tmp_path: Path) -> None:
    cleaned = RuledTable(spark, tmp_path, "id,a\n1,007\n2,08\n", "columns: {a: {type: text}}")
    assert cleaned.values("a") == ["007", "08"]


@pytest.mark.parametrize(
    ("severity", "values", "noted"), [("warn", [1, None], {"a.type": 1}), ("fill, fill: 9", [1, 9], {"a.type": 1})]
)
def test_an_accepted_value_of_the_wrong_type_becomes_null_or_the_fill(
    ruled: Rule, severity: str, values: list[Any], noted: dict[str, int]
) -> None:
    cleaned = ruled([1, "x"], f"type: {{is: integer, otherwise: {severity}}}")
    assert cleaned.values("a") == values
    assert dict(cleaned.tally.noted) == noted


def test_a_date_fits_one_of_the_formats_and_an_ambiguous_one_is_refused(ruled: Rule) -> None:
    values = ["31/01/2024", "01/31/2024", "02/01/2024", "03/03/2024", "2024-05-06", "soon", "31/02/2024"]
    cleaned = ruled(values, "type: {is: date, formats: [yyyy-MM-dd, dd/MM/yyyy, MM/dd/yyyy]}")
    days = [(1, 31), (1, 31), (3, 3), (5, 6)]
    assert cleaned.values("a") == [datetime.date(2024, month, day) for month, day in days]
    assert cleaned.refused == {2: "a.ambiguous", 5: "a.type", 6: "a.type"}


def test_day_first_chooses_the_format(ruled: Rule) -> None:
    for first, expected in (("true", datetime.date(2024, 1, 2)), ("false", datetime.date(2024, 2, 1))):
        cleaned = ruled(["02/01/2024"], f"type: {{is: date, formats: [MM/dd/yyyy, dd/MM/yyyy], day_first: {first}}}")
        assert cleaned.values("a") == [expected]


def test_an_ambiguous_date_with_warn_is_read_in_the_first_format(ruled: Rule) -> None:
    cleaned = ruled(["02/01/2024"], "type: {is: date, formats: [dd/MM/yyyy, MM/dd/yyyy], ambiguous: warn}")
    assert cleaned.values("a") == [datetime.date(2024, 1, 2)]
    assert dict(cleaned.tally.noted) == {"a.ambiguous": 1}


def hours(cleaned: RuledTable) -> list[str]:
    return [row[0] for row in cleaned.rows.where("__reason is null").orderBy("id").selectExpr("cast(a as string)").collect()]


def test_times_with_zones_are_kept_in_utc_and_without_one_refused(ruled: Rule) -> None:
    values = ["2024-07-01T12:00:00+02:00", "2024-07-01T12:00:00Z", "2024-07-01 12:00:00", "2024-07-01"]
    cleaned = ruled(values, "type: timestamp")
    assert hours(cleaned) == ["2024-07-01 10:00:00", "2024-07-01 12:00:00"]
    assert cleaned.refused == {2: "a.zone", 3: "a.zone"}


def test_times_without_a_zone_get_the_rules_zone(ruled: Rule) -> None:
    values = ["2024-07-01 12:00:00", "2024-01-01 12:00:00", "2024-07-01T12:00:00Z", "01.07.2024 12:00"]
    cleaned = ruled(values[:3], "type: {is: timestamp, zone: Europe/Berlin}")
    assert hours(cleaned) == ["2024-07-01 10:00:00", "2024-01-01 11:00:00", "2024-07-01 12:00:00"]
    cleaned = ruled(values[3:], "type: {is: timestamp, formats: [dd.MM.yyyy HH:mm], zone: Europe/Berlin}")
    assert hours(cleaned) == ["2024-07-01 10:00:00"]


def test_one_spelling_for_spaces_case_and_unicode_forms(ruled: Rule) -> None:
    words = ["Zürich", unicodedata.normalize("NFD", "Zürich"), " Zürich ", "zürich", "Z\u00a0 x", "  "]
    cleaned = ruled(words, "normalise: {case: lower}")
    assert cleaned.values("a") == ["zürich"] * 4 + ["z x", None]
    assert dict(cleaned.tally.noted) == {"a.normalise": 5}
    assert ruled(["\uff21\ufb01"], "normalise: {unicode: NFKC}").values("a") == ["Afi"]


def test_the_spelling_of_a_set_is_taken_up(ruled: Rule) -> None:
    cleaned = ruled(["new york", "NEW YORK ", "Oslo", "Bergen"], "normalise: {case: set}, set: [New York, Oslo]")
    assert cleaned.values("a") == ["New York", "New York", "Oslo"]
    assert cleaned.refused == {3: "a.set"}


def test_several_words_mean_null(ruled: Rule) -> None:
    cleaned = ruled(["1", "NA", " - ", "2"], "null_values: [NA, '-'], type: integer, not_null: {otherwise: fill, fill: 0}")
    assert cleaned.values("a") == [1, 0, 0, 2]
    assert dict(cleaned.tally.noted) == {"a.null_values": 2, "a.not_null": 2}


def test_a_pattern_must_match_the_whole_text(ruled: Rule) -> None:
    assert set(ruled(["N12", "N12x", "xN12", "N12\n"], "regex: 'N\\d+'").refused) == {1, 2, 3}


def test_a_range_bounds_numbers_and_dates_both_ends_included(ruled: Rule) -> None:
    assert set(ruled([0, 1, 2, 3, None], "range: [0.5, 2]").refused) == {0, 3}
    dates = ["2024-01-01", "2024-01-02", "2023-12-31"]
    assert set(ruled(dates, "type: date, range: {min: 2024-01-01, max: 2024-01-01}").refused) == {1, 2}


def test_a_value_out_of_range_is_filled_or_warned_of(ruled: Rule) -> None:
    filled = ruled([1, 99], "range: {max: 9, otherwise: fill, fill: 9}")
    assert (filled.values("a"), dict(filled.tally.noted)) == ([1, 9], {"a.range": 1})
    warned = ruled([1, 99], "range: {max: 9, otherwise: warn}")
    assert (warned.values("a"), dict(warned.tally.noted)) == ([1, 99], {"a.range": 1})
    assert ruled([1, 99], "range: {max: 9, otherwise: fill}").values("a") == [1, None]


def test_the_first_rule_is_the_reason_and_the_others_are_named(ruled: Rule) -> None:
    cleaned = ruled(["abc", "b"], "set: [b], regex: '[0-9b]'")
    assert cleaned.refused == {0: "a.set"}
    assert "'abc'" in cleaned.details[0]
    assert "a.regex" in cleaned.details[0]


def test_a_rule_that_refuses_the_job_names_count_value_and_file(ruled: Rule, tmp_path: Path) -> None:
    cleaned = ruled([1, None, None], "not_null: refuse_job")
    with pytest.raises(JobRefused, match=r"a\.not_null .*2 rows.*None in file"):
        assert cleaned.tally


def test_warnings_of_refused_rows_are_not_counted(ruled: Rule) -> None:
    cleaned = ruled([5, -5], "range: {min: 0}, set: {values: [5], otherwise: warn}")
    assert (cleaned.tally.found, cleaned.tally.kept, dict(cleaned.tally.refused)) == (2, 1, {"a.range": 1})
    assert not cleaned.tally.noted


@pytest.mark.parametrize(
    ("values", "rules", "pattern"),
    [
        (["x"], "range: [0, 1]", r"a\.range: .*string"),
        ([1], "regex: x", r"a\.regex: .*bigint.*`type: text`"),
        ([1], "set: [x]", r"a\.set: 'x' .*bigint"),
        (["x"], "regex: '['", r"a\.regex: '\[' "),
        (["x"], "type: {is: date, formats: [bad]}", r"a\.type: 'bad' "),
        (["x"], "type: {is: timestamp, zone: Mars/Base}", r"a\.type: 'Mars/Base' "),
        ([1], "type: {is: integer, otherwise: fill, fill: x}", r"a\.type: 'x' .*bigint"),
    ],
)
def test_a_rule_that_does_not_fit_its_column_is_refused(ruled: Rule, values: list[Any], rules: str, pattern: str) -> None:
    with pytest.raises(JobRefused, match=pattern):
        ruled(values, rules)


def test_columns_of_lists_are_unwrapped_or_refused(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, [7]), (2, [7, 8]), (3, []), (4, None)], "id int, a array<int>")
    kind = rows.schema["a"].dataType
    integers = typed(F.col("a"), kind, TypeRule(kind="integer", unwrap=True), name="a")
    cleaned = rows.select(integers.value.alias("value"), integers.wrong.alias("wrong")).collect()
    assert [(row["value"], row["wrong"]) for row in cleaned] == [(7, False), (None, True), (None, True), (None, False)]
    with pytest.raises(JobRefused, match=r"a\.type: .*array<int>.*integer.*`unwrap: true`"):
        typed(F.col("a"), kind, TypeRule(kind="integer"), name="a")
