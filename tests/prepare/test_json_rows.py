"""JSON lines and arrays, however the text is cut into pieces, and that no number changes."""

import json
from typing import Any

import pyarrow as pa
import pytest

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.json_columns import Shape, converted
from bigdata_ml.prepare.sources.text_files.json_rows import JsonReader


def read(text: str) -> tuple[list[dict[str, Any]], list[int], list[int]]:
    """Return the objects, their lines, and the lines of what is none; the same for pieces of every size."""
    found = []
    for size in (1, 2, 5, len(text)):
        pieces = iter([text[start : start + size] for start in range(0, len(text), size)])
        batches = list(JsonReader("t.json").rows(pieces, is_first=True))
        torn = [one.line for batch in batches for one in batch.torn]
        found.append(([one for batch in batches for one in batch.objects], [n for batch in batches for n in batch.lines], torn))
    assert all(one == found[0] for one in found)
    return found[0]


def test_a_torn_line_is_no_row() -> None:
    assert read('{"a":"x"}\n{"a":\n\n{"a":"y"}') == ([{"a": "x"}, {"a": "y"}], [1, 4], [2])


def test_an_indented_array_is_read_and_lines_are_counted() -> None:
    text = json.dumps([{"x": "é"}, {"x": "["}], indent=1)
    assert read(text) == ([{"x": "é"}, {"x": "["}], [2, 5], [])
    assert read("[]") == ([], [], [])


@pytest.mark.parametrize(
    "line",
    ["3", "[1]x", '{"a":1,"a":2}', '{"a":"\\ud800"}', '{"a":' * 2000, '{"a":1} {"a":2}', '{"a":' * 200 + "1" + "}" * 200],
)
def test_what_is_no_object_is_torn(line: str) -> None:
    assert read('{"b":"x"}\n' + line + "\n")[2] == [2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n"a":1\n}\n', "its objects go over several lines"),
        ('[{"a":1},\n{"a":', "line 2: its array of objects is torn"),
        ('[{"a":1}] x', "text follows its array of objects: 'x'"),
        ('[{"a":1} {"a":2}]', "a comma is missing"),
    ],
)
def test_a_file_that_is_torn_is_refused_by_line(text: str, said: str) -> None:
    with pytest.raises(JobRefused, match=said):
        read(text)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ("[1, null, -2]", pa.int64(), [1, None, -2]),
        ("[1, 2.5]", pa.float64(), [1.0, 2.5]),
        ("[1.10]", pa.float64(), [1.1]),
        ("[12345678901234567890]", pa.string(), ["12345678901234567890"]),
        ("[9007199254740993, 0.5]", pa.string(), ["9007199254740993", "0.5"]),
        ("[0.12345678901234567890]", pa.string(), ["0.12345678901234567890"]),
        ('[1.10, "x", true, [1, "y"]]', pa.string(), ["1.10", "x", "true", '[1,"y"]']),
        ('["007", "1.5", "2024-01-01"]', pa.string(), ["007", "1.5", "2024-01-01"]),
        ("[true, null]", pa.bool_(), [True, None]),
        ("[[1], [2.5], []]", pa.list_(pa.float64()), [[1.0], [2.5], []]),
        ('[{"a": 1}, {"b": "x"}]', pa.struct({"a": pa.int64(), "b": pa.string()}), [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
    ],
)
def test_the_type_holds_all_values_as_they_are(values: str, kind: pa.DataType, expected: list[Any]) -> None:
    (row,), _, _ = read(f'{{"a": {values}}}')
    shape = Shape()
    for one in row["a"]:
        shape.add(one, 1)
    again = Shape.from_json(json.loads(json.dumps(shape.to_json())))
    assert again == shape
    assert shape.arrow == kind
    assert converted(row["a"], kind).to_pylist() == expected
