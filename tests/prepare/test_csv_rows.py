"""CSV as RFC 4180 has it, however the text is cut into pieces."""

from collections.abc import Iterator

import pytest

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.csv_rows import CsvReader
from bigdata_ml.prepare.sources.text_files.format import TextFormat

Rows = list[tuple[str | None, ...]]


def pieces(text: str, size: int) -> Iterator[str]:
    return iter([text[start : start + size] for start in range(0, len(text), size)])


def read(text: str, *, separator: str = ",", form: TextFormat | None = None) -> tuple[Rows, list[int], list[tuple[int, str]]]:
    """Return the rows, their lines, and the lines and reasons of what is none; the same for pieces of every size."""
    form = form or TextFormat()
    found = []
    for size in (1, 2, 3, 7, len(text)):
        header = CsvReader("t.csv", form, separator).header(pieces(text, size))
        reader = CsvReader("t.csv", form, separator, width=len(header))
        batches = list(reader.rows(pieces(text, size), skip_header=True))
        rows = [row for one in batches for row in zip(*(column.to_pylist() for column in one.columns), strict=True)]
        lines = [int(line) for one in batches for line in one.lines]
        found.append((rows, lines, [(torn.line, torn.reason) for one in batches for torn in one.torn]))
    assert all(one == found[0] for one in found)
    return found[0]


def test_line_breaks_and_doubled_quotes_belong_to_a_quoted_value() -> None:
    rows, lines, torn = read('a,b\n"x\ny",2\n"say ""hi""","c,d"\n')
    assert rows == [("x\ny", "2"), ('say "hi"', "c,d")]
    assert (lines, torn) == ([2, 4], [])


def test_quotes_behind_backslashes_are_read_where_doubled_ones_make_no_sense() -> None:
    rows, _, torn = read('a,b,c\n1,"say \\"hi\\"",0\n2,"5\\"",1\n3,"C:\\",1\n')
    assert rows == [("1", 'say "hi"', "0"), ("2", '5"', "1"), ("3", "C:\\", "1")]
    assert torn == []


def test_nothing_is_null_and_quoted_nothing_is_empty_text() -> None:
    assert read('a,b\n,""\nNA,"NA"\n', form=TextFormat(null_value="NA"))[0] == [(None, ""), (None, "NA")]
    assert read("a,b\n,NA\n", form=TextFormat(null_value="NA"))[0] == [(None, None)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_way_and_empty_ones_are_no_rows(end: str) -> None:
    assert read(end.join(["a,b", "1,2", "", "3,4"]))[:2] == ([("1", "2"), ("3", "4")], [2, 4])
    assert read(end.join(["a,b", '"1",2', "", "3,4", ""]))[:2] == ([("1", "2"), ("3", "4")], [2, 4])


def test_line_ends_may_be_mixed() -> None:
    assert read("a,b\r\n1,2\n3,4\r5,6\r\n")[:2] == ([("1", "2"), ("3", "4"), ("5", "6")], [2, 3, 4])


def test_a_quote_inside_text_without_quotes_is_a_character() -> None:
    assert read('a,b\n5" pipe,it"s\n')[0] == [('5" pipe', 'it"s')]


def test_rows_of_another_width_and_text_behind_a_quote_are_torn() -> None:
    rows, lines, torn = read('a,b\n1\n1,2,3\n"x"y,2\n3,4\n')
    assert (rows, lines) == ([("3", "4")], [5])
    assert torn == [(2, "ragged_row"), (3, "ragged_row"), (4, "torn_row")]


def test_other_separators_and_quotes() -> None:
    assert read("a;b\n'x;y';2\n", separator=";", form=TextFormat(quote="'"))[0] == [("x;y", "2")]
    assert read('a|b\n"x|2\n', separator="|", form=TextFormat(quote=""))[0] == [('"x', "2")]
    assert read("a§b\n1§2\n", separator="§")[0] == [("1", "2")]


def test_a_column_alone_has_no_empty_rows() -> None:
    assert read('a\n1\n\n""\n')[:2] == ([("1",), ("",)], [2, 4])


def test_a_quote_that_is_never_closed_is_refused_by_line() -> None:
    reader = CsvReader("t.csv", TextFormat(), ",", width=2)
    with pytest.raises(JobRefused, match=r"t\.csv, line 3: "):
        list(reader.rows(iter(['a,b\n1,2\n3,"x\n', "4,5\n"]), skip_header=True))


@pytest.mark.parametrize(
    "given",
    [
        {"separator": ";;"}, {"quote": "''"}, {"thousands": "."}, {"thousands": ",", "decimal_comma": True}, {"separator": '"'},
        {"encoding": "utf-9"}, {"encoding": "base64"}, {"thousands": "1"},
    ],
)  # fmt: skip
def test_formats_that_make_no_sense(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(given)).split("_")[0]):
        TextFormat(**given)  # type: ignore[arg-type]
