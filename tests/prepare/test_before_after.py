"""What the cleaning changed, on the quality page."""

import json

import numpy as np
import pytest
from pyspark.sql import SparkSession

from bigdata_ml.pages import render_page
from bigdata_ml.prepare.publish.before_after import (
    Change,
    change_numbers,
    change_section,
    compare_columns,
    image_changes,
    table_changes,
)


def only(changes: list[Change]) -> Change:
    assert len(changes) == 1
    return changes[0]


def test_a_column_that_stays_as_it_is_has_not_moved() -> None:
    one = only(compare_columns({"a": [1.5, 2.5, None]}, {"a": [1.5, 2.5, None]}))
    assert (one.moved, one.nulls, one.rows) == (0.0, (1, 1), (3, 3))


def test_half_of_the_values_made_another_have_moved_by_half() -> None:
    one = only(compare_columns({"a": ["x", "X", "y", None]}, {"a": ["x", "x", "y", "y"]}))
    assert one.marks == ("x", "y", "X")
    assert (one.before, one.after, one.nulls, one.moved) == ((1, 1, 1), (2, 2, 0), (1, 0), 0.5)


def test_whole_numbers_of_few_values_have_a_bin_each() -> None:
    one = only(compare_columns({"a": [1, 2, 2, 7]}, {"a": [1, 2, 2]}))
    assert one.marks == tuple(np.arange(0.5, 8))
    assert one.before == (1, 2, 0, 0, 0, 0, 1)
    assert one.after == (1, 2, 0, 0, 0, 0, 0)


def test_text_that_is_no_number_before_is_counted_by_itself() -> None:
    one = only(compare_columns({"a": ["1", "two", "3", None, "NaN"]}, {"a": [1, None, 3, None, None]}))
    assert (one.unread, one.nulls, one.rows) == (1, (2, 3), (5, 5))
    assert one.moved == pytest.approx(0.2)
    json.dumps(change_numbers([one]))


def test_an_absurd_value_lies_in_the_outer_bin_and_leaves_the_others_theirs() -> None:
    values = [*np.linspace(0, 1, 999).tolist(), 1e30]
    one = only(compare_columns({"a": values}, {"a": values[:-1]}))
    assert one.marks[-1] <= 1
    assert (sum(one.before), sum(one.after)) == (1000, 999)
    assert min(one.after) > 20


def test_rare_values_are_put_together() -> None:
    values = [f"v{number}" for number in range(40)]
    one = only(compare_columns({"a": values}, {"a": values}))
    assert one.marks[-1] == "others"
    assert one.before == (*[1] * 10, 30)


def test_the_columns_that_changed_most_come_first_and_new_ones_are_left_out() -> None:
    found = compare_columns({"a": [1, 2], "b": [1, 2]}, {"a": [1, 2], "b": [2, 2], "joined": [1, 1]})
    assert [one.column for one in found] == ["b", "a"]


@pytest.mark.parametrize("values", [[], [None], [float("nan")], [float("inf"), 1.0], [""], [True, False]])
def test_any_column_can_be_shown(values: list[object]) -> None:
    found = compare_columns({"a": values}, {"a": values})
    page = render_page(title="", subtitle="", cards=[], sections=[change_section(found)], footer="")
    assert b"Before and after" in page
    assert change_numbers(found)[0]["moved"] == 0.0


def test_a_table_is_compared_with_what_was_read(spark: SparkSession) -> None:
    rows = [
        ('{"a": 5, "city": " Rome"}', None, 5, "Rome", "train", 1),
        ('{"a": -7, "city": "Rome"}', None, 0, "Rome", "train", 2),
        ('{"a": 9}', "city.not_null", 9, None, None, 3),
    ]
    cleaned = spark.createDataFrame(rows, "__row string, __reason string, a int, city string, split string, __place long")
    by_name = {one.column: one for one in table_changes(cleaned, found=3)}
    assert by_name.keys() == {"a", "city"}
    city = by_name["city"]
    assert (dict(zip(city.marks, zip(city.before, city.after, strict=True), strict=True)), city.nulls) == (
        {"Rome": (1, 2), " Rome": (1, 0)},
        (1, 0),
    )
    assert by_name["a"].rows == (3, 2)


def test_a_large_table_is_sampled_by_its_rows_alone(spark: SparkSession) -> None:
    frame = spark.range(60_000).selectExpr(
        "id as a", "to_json(struct(id as a)) as __row", "string(null) as __reason", "id as __place"
    )
    found = [only(table_changes(frame.repartition(parts), found=60_000)) for parts in (1, 3)]
    assert found[0] == found[1]
    assert 18_000 < found[0].rows[0] < 22_000


def test_images_that_are_refused_for_their_looks_are_seen_before(spark: SparkSession) -> None:
    rows = [
        ("x", "a", 4, [80], 2, 2, 1, None),
        ("y", "b", 4, [800], 2, 2, 1, "too_light"),
        ("z", "b", None, None, None, None, None, "truncated"),
    ]
    kinds = (
        "sha256 string, label string, source_pixels long, sums array<long>, height int, width int, channels int, reason string"
    )
    by_name = {one.column: one for one in image_changes(spark.createDataFrame(rows, kinds), found=3, labels=True)}
    assert (by_name["label"].marks, by_name["label"].before, by_name["label"].after) == (("b", "a"), (2, 1), (0, 1))
    assert by_name["brightness"].rows == (3, 1)
    assert by_name["brightness"].nulls == (1, 0)
