"""A column of text is a number, date or time only where every value prints back the same."""

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.sources.text_files.inferred_types import Evidence, typed_column
from bigdata_ml.prepare.tables.declared_types import parse_types, with_types
from bigdata_ml.prepare.tables.rules.model import ColumnRules, TableRules, TypeRule

PLAIN = TextFormat()


def seen(values: list[Any], form: TextFormat = PLAIN, *, line: int = 2) -> Evidence:
    found = Evidence()
    found.add(pa.array(values, pa.string()), np.arange(line, line + len(values)), form)
    return found


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        (["1", "-20", None, ""], "bigint", 1),
        (["9223372036854775807"], "bigint", 2**63 - 1),
        (["0.5", "2"], "double", 0.5),
        (["1.0", "2.5"], "double", 1.0),
        (["1e+16", "2.5"], "double", 1e16),
        (["true", "false"], "boolean", True),
        (["TRUE", "FALSE"], "boolean", True),
        (["2024-02-29"], "date", datetime.date(2024, 2, 29)),
        (["2024-01-01T02:00:00+02:00"], "timestamp", datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)),
        (["2024-01-01 00:00:00.5"], "timestamp_ntz", datetime.datetime(2024, 1, 1, 0, 0, 0, 500_000)),
    ],
)
def test_what_prints_back_the_same_has_its_type(values: list[Any], kind: str, first: Any) -> None:
    assert seen(values).decide("a", ["t.csv"]).type == kind
    assert typed_column(pa.array(values, pa.string()), kind, PLAIN)[0].as_py() == first


@pytest.mark.parametrize(
    "values",
    [
        ["007", "7"], ["1.10"], ["10.00"], ["12e4"], ["12D"], ["+5"], ["1_000"], ["-0"], ["9223372036854775808"], ["1", "1.0"],
        ["9007199254740993", "0.5"], [" 5"], ["NaN", "1.5"], ["true", "True"], ["1", "true"], ["08:30"], ["12:45:00"],
        ["2024-02-30"], ["2024-01-01", "2024-01-01T00:00:00"], ["2024-01-01T08:30"], ["2024-01-01T25:00:00"],
        ["2024-01-01T00:00:00Z", "2024-01-01T00:00:00"], ["2024-01-01T00:00:00.0000001Z"], ["0000-01-01"], ["", None],
        ["１"], ["2024-1-1"],
    ],
)  # fmt: skip
def test_what_does_not_stays_text(values: list[Any]) -> None:
    assert seen(values).decide("a", ["t.csv"]).type == "string"


def test_the_reason_names_the_first_value_its_place_and_the_way_out() -> None:
    found = seen(["1", "2", "007", "08"]).decide("zip", ["t.csv"])
    way_out = "--types zip=double takes them for numbers"
    assert str(found) == f"zip: text: 2 of 4 values do not print back as numbers, first '007' in t.csv line 4; {way_out}"


def test_parts_add_up_to_the_whole_in_any_order() -> None:
    values = ["1", "2.50", "x", None, "3", "2.50", "y"]
    parts = [(seen(values[:3], line=1), 1), (seen(values[3:], line=1), 4)]
    for order in (parts, parts[::-1]):
        whole = Evidence()
        for part, line in order:
            whole.merge(Evidence.from_json(part.to_json()), line=line)
        assert whole.to_json() == seen(values).to_json()


def test_numbers_with_commas_and_thousands() -> None:
    german = TextFormat(decimal_comma=True, thousands=".")
    assert seen(["1.234,5", "2,25", "3"], german).decide("a", ["t"]).type == "double"
    assert typed_column(pa.array(["1.234,5"]), "double", german).to_pylist() == [1234.5]
    assert seen(["12.34,5"], german).decide("a", ["t"]).type == "string"
    assert seen(["1,234", "5"], TextFormat(thousands=",")).decide("a", ["t"]).type == "bigint"
    assert seen(["1.5"], TextFormat(decimal_comma=True)).decide("a", ["t"]).type == "string"


def test_declared_types_are_rules() -> None:
    rules = TableRules(columns=(ColumnRules(name="a"),))
    found = with_types(rules, parse_types(["a=bigint", "b=text,c=date"]))
    assert [(one.name, one.type) for one in found.columns] == [
        ("a", TypeRule(kind="integer")), ("b", TypeRule(kind="text")), ("c", TypeRule(kind="date")),
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"a a type.*integer"):
        with_types(found, {"a": "text"})
    for wrong in ("a", "a=thing", "a=text,a=date", "=text"):
        with pytest.raises(ValueError, match="types"):
            parse_types([wrong])
