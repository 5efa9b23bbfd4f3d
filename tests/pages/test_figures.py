from xml.etree import ElementTree

import numpy as np
import pytest

from bigdata_ml.pages import Series, bar_chart, confusion_matrix, curve, line_chart, paired_bars, paired_histogram

LOSS = Series(name="train", x=[0, 1, 2], y=[3.0, float("nan"), 1.0], low=[2.0, 1.0, 0.5], high=[4.0, 2.0, 1.5])


def line() -> str:
    return line_chart([LOSS], title="Loss by epoch", x_label="epoch", y_label="loss")


def test_a_chart_says_what_it_shows() -> None:
    assert "<title>Loss by epoch</title>" in line()


def test_the_same_numbers_give_the_same_bytes() -> None:
    assert line() == line()


def test_a_chart_refers_to_nothing_outside_and_takes_the_pages_ink() -> None:
    assert "://" not in line()
    assert "currentColor" in line()
    assert "#7d8187" not in line()


def test_text_stays_text() -> None:
    assert ">epoch</text>" in line()


@pytest.mark.parametrize("name", ["<script>", "$x_1$", "犬", "a\x1bb"])
def test_any_class_name_can_be_shown(name: str) -> None:
    chart = bar_chart([name, "other"], [1, 2], title=name, x_label="rows")
    matrix = confusion_matrix([[1, 0], [0, 1]], [name, "other"], title="errors")
    assert "<script" not in chart + matrix
    ElementTree.fromstring(matrix)


def test_few_classes_are_numbered_and_many_become_a_heat_map() -> None:
    few = confusion_matrix([[41, 1], [2, 43]], ["cat", "dog"], title="few")
    many = confusion_matrix(np.eye(40, dtype=int).tolist(), [str(number) for number in range(40)], title="many")
    assert all(f">{text}</text>" in few for text in ("41", "1", "2", "43", "cat", "dog"))
    assert "data:image/png;base64" in many


def test_a_class_without_rows_is_no_error() -> None:
    assert ">7</text>" in confusion_matrix([[0, 0], [0, 7]], ["a", "b"], title="empty row")


def test_counts_must_fit_the_classes() -> None:
    with pytest.raises(ValueError, match="2 classes"):
        confusion_matrix([[1]], ["a", "b"], title="wrong")


def test_several_curves_are_named() -> None:
    lines = [Series(name=name, x=[0, 1], y=[0, 1]) for name in ("run 1", "run 2")]
    assert ">run 2</text>" in curve(lines, title="ROC", x_label="false", y_label="true")


def test_a_series_must_have_as_many_values_as_places() -> None:
    with pytest.raises(ValueError, match="'loss'"):
        Series(name="loss", x=[0, 1], y=[1.0])


def test_before_and_after_are_told_apart_by_name() -> None:
    bars = paired_bars(["cat", "<dog>"], [3, 1], [3, 0], title="class before and after")
    histogram = paired_histogram([0, 1, 2], [3, 1], [3, 0], title="width before and after", x_label="width")
    for chart in (bars, histogram):
        assert all(f">{name}</text>" in chart for name in ("before", "after"))
        ElementTree.fromstring(chart)


def test_before_and_after_are_shares_so_that_fewer_rows_of_one_form_look_alike() -> None:
    few, many = (paired_histogram([0, 1, 2], [3 * times, times], [1, 1], title="t", x_label="x") for times in (1, 1000))
    assert few == many


def test_a_column_of_which_nothing_is_left_can_be_shown() -> None:
    assert ">after</text>" in paired_bars(["cat"], [3], [0], title="t")
    assert ">after</text>" in paired_histogram([0, 1], [3], [0], title="t", x_label="x")
