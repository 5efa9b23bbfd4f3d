"""Rules in YAML: their values, and errors that name the line."""

from pathlib import Path

import pytest

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.tables.rules.model import (
    ColumnRules,
    DuplicateRule,
    Otherwise,
    OutlierRule,
    RangeRule,
    Severity,
    TypeRule,
)
from bigdata_ml.prepare.tables.rules.yaml_file import parse_rules, read_rules


def column(text: str) -> ColumnRules:
    (rules,) = parse_rules(f"columns:\n  a: {text}\n").columns
    return rules


def test_a_rule_is_a_value_or_a_mapping_with_otherwise() -> None:
    assert column("{type: integer}").type == TypeRule(kind="integer")
    assert column("{range: [0, 1.5]}").range == RangeRule(least=0, greatest=1.5)
    bounds = column("{range: {min: 0, otherwise: fill, fill: -1}}").range
    assert bounds == RangeRule(least=0, otherwise=Otherwise(severity=Severity.FILL, fill=-1))
    not_null = column("{not_null: warn}").not_null
    assert not_null is not None
    assert not_null.otherwise.severity is Severity.WARN
    assert column("{not_null: true}").not_null is not None
    assert column("{outliers: mad}").outliers == OutlierRule(method="mad")


def test_text_that_yaml_reads_as_another_type_stays_text() -> None:
    members = column("{set: [NO, 007, 1.50, 2024-01-31, on, 12, 'true', 1e3]}").set
    assert members is not None
    assert members.values == ("NO", "007", "1.50", "2024-01-31", "on", 12, "true", "1e3")


def test_duplicates_have_a_key_and_a_winner() -> None:
    rule = parse_rules("duplicates: {key: [a, b], keep: newest, by: t, otherwise: warn}").duplicates
    assert rule == DuplicateRule(key=("a", "b"), keep="newest", by="t", otherwise=Otherwise(severity=Severity.WARN))


def test_an_empty_file_has_no_rules() -> None:
    assert parse_rules("# nothing\n").columns == ()


@pytest.mark.parametrize(
    ("text", "line", "named"),
    [
        ("columns:\n  a:\n    rangge: [0, 1]\n", 3, ["'rangge'", "'range'", "null_values,"]),
        ("columnz: {}\n", 1, ["'columnz'", "'columns'", "columns, duplicates"]),
        ("columns:\n  a:\n    range:\n      mim: 3\n", 4, ["'mim'", "'min'"]),
        ("columns:\n  a: {not_null: refuse_rows}\n", 2, ["refuse_row, fill, warn, refuse_job", "'refuse_rows'", "'refuse_row'"]),
        ("columns:\n  a: {not_null: fill}\n", 2, ["`fill: VALUE`"]),
        ("columns:\n  a: {type: {is: integer, fill: 0}}\n", 2, ["`otherwise: fill`"]),
        ("columns:\n  a: {range: {min: 0, otherwise: warn, fill: 0}}\n", 2, ["`otherwise: fill`", "`otherwise: warn`"]),
        ("columns:\n  a: {range: [2, 1]}\n", 2, ["2 and 1"]),
        ("columns:\n  a: {range: 3}\n", 2, ["[min, max]", "'3'"]),
        ("columns:\n  a: {type: int}\n", 2, ["integer, number, text, boolean, date, timestamp", "'int'"]),
        ("columns:\n  a: {type: {is: integer, zone: UTC}}\n", 2, ["zone", "integer"]),
        ("columns:\n  a: {type: {is: date, formats: [yyyy], day_first: true}}\n", 2, ["day_first", "formats"]),
        ("columns:\n  a: {unique: fill}\n", 2, ["unique"]),
        ("columns:\n  a: {set: []}\n", 2, ["set"]),
        ("columns:\n  a: {set: [a, null]}\n", 2, ["null"]),
        ("columns:\n  a: {normalise: {case: set}}\n", 2, ["'a'", "`case: set`"]),
        ("columns:\n  a: {references: {table: x.csv}}\n", 2, ["column"]),
        ("columns:\n  a: {}\n  b: {}\n  a: {}\n", 4, ["'a'"]),
        ("columns: [a]\n", 1, ["a list"]),
        ("duplicates: {key: [a], keep: newest}\n", 1, ["`by`", "newest"]),
        ("columns:\n  a: {range: [0, 1\n", 3, ["YAML"]),
    ],
)
def test_an_invalid_rule_is_refused_with_its_line(text: str, line: int, named: list[str]) -> None:
    with pytest.raises(JobRefused) as error:
        parse_rules(text, place="rules.yaml")
    assert str(error.value).startswith(f"rules.yaml, line {line}: ")
    assert [value for value in named if value not in str(error.value)] == []
    assert "\n" not in str(error.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match=r"nope\.yaml: .*--rules"):
        read_rules(f"{tmp_path}/nope.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(JobRefused, match="UTF-8"):
        read_rules(f"{tmp_path}/bytes.yaml")
