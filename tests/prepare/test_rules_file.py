"""Rules in YAML: what they say, and what is not understood is named with its line."""

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
    (found,) = parse_rules(f"columns:\n  a: {text}\n").columns
    return found


def test_a_rule_is_a_value_or_a_mapping_with_what_happens_otherwise() -> None:
    assert column("{type: integer}").type == TypeRule(kind="integer")
    assert column("{range: [0, 1.5]}").range == RangeRule(least=0, greatest=1.5)
    found = column("{range: {min: 0, otherwise: fill, fill: -1}}").range
    assert found == RangeRule(least=0, otherwise=Otherwise(severity=Severity.FILL, fill=-1))
    not_null = column("{not_null: warn}").not_null
    assert not_null is not None
    assert not_null.otherwise.severity is Severity.WARN
    assert column("{not_null: true}").not_null is not None
    assert column("{outliers: mad}").outliers == OutlierRule(method="mad")


def test_text_that_yaml_takes_for_something_else_stays_text() -> None:
    found = column("{set: [NO, 007, 1.50, 2024-01-31, on, 12, 'true', 1e3]}").set
    assert found is not None
    assert found.values == ("NO", "007", "1.50", "2024-01-31", "on", 12, "true", "1e3")


def test_duplicates_have_a_key_and_a_winner() -> None:
    found = parse_rules("duplicates: {key: [a, b], keep: newest, by: t, otherwise: warn}").duplicates
    assert found == DuplicateRule(key=("a", "b"), keep="newest", by="t", otherwise=Otherwise(severity=Severity.WARN))


def test_an_empty_file_has_no_rules() -> None:
    assert parse_rules("# nothing\n").columns == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "columns:\n  a:\n    rangge: [0, 1]\n",
            "line 3: unknown key 'rangge'; did you mean 'range'? the keys here are null_values,",
        ),
        ("columnz: {}\n", "line 1: unknown key 'columnz'; did you mean 'columns'? the keys here are columns, duplicates"),
        ("columns:\n  a:\n    range:\n      mim: 3\n", "line 4: unknown key 'mim'; did you mean 'min'?"),
        ("columns:\n  a: {not_null: refuse_rows}\n", "line 2: a severity is one of refuse_row, fill, warn, refuse_job, got"),
        ("columns:\n  a: {not_null: refuse_rows}\n", "did you mean 'refuse_row'?"),
        ("columns:\n  a: {not_null: fill}\n", "line 2: a null is filled with a value: add `fill: VALUE`"),
        ("columns:\n  a: {type: {is: integer, fill: 0}}\n", "line 2: a fill value goes with `otherwise: fill`; add it"),
        ("columns:\n  a: {range: {min: 0, otherwise: warn, fill: 0}}\n", "a fill value goes with `otherwise: fill`, got"),
        ("columns:\n  a: {range: [2, 1]}\n", "a range's min must not exceed its max, got 2 and 1"),
        ("columns:\n  a: {range: 3}\n", "a range is [min, max] or a mapping of min and max, got '3'"),
        ("columns:\n  a: {type: int}\n", "line 2: a type is one of integer, number, text, boolean, date, timestamp, got 'int'"),
        ("columns:\n  a: {type: {is: integer, zone: UTC}}\n", "a zone goes with timestamps"),
        ("columns:\n  a: {type: {is: date, formats: [yyyy], day_first: true}}\n", "day_first says which of several formats"),
        ("columns:\n  a: {unique: fill}\n", "unique cannot be mended by a value"),
        ("columns:\n  a: {set: []}\n", "a set must have a value at least"),
        ("columns:\n  a: {set: [a, null]}\n", "null is no value"),
        ("columns:\n  a: {normalise: {case: set}}\n", "`case: set` takes the spelling of the column's set"),
        ("columns:\n  a: {references: {table: x.csv}}\n", "line 2: column must be given here"),
        ("columns:\n  a: {}\n  b: {}\n  a: {}\n", "line 4: the key 'a' stands here twice"),
        ("columns: [a]\n", "line 1: keys and values must stand here, got a list"),
        ("duplicates: {key: [a], keep: newest}\n", "`by` names the column of newest and first"),
        ("columns:\n  a: {range: [0, 1\n", "no YAML: "),
    ],
)
def test_what_is_not_understood_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(JobRefused) as error:
        parse_rules(text, place="rules.yaml")
    assert str(error.value).startswith("rules.yaml, line ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match=r"nope\.yaml: there is no such file of rules; check --rules"):
        read_rules(f"{tmp_path}/nope.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(JobRefused, match="UTF-8"):
        read_rules(f"{tmp_path}/bytes.yaml")
