import io
import re

import numpy as np
import pytest
from PIL import Image

from bigdata_ml.pages import Card, Figure, Gallery, Picture, Section, Table, Text, bar_chart, picture_of, render_page


def rendered(*blocks: Text | Table | Figure | Gallery) -> str:
    sections = [Section("A heading", "A sentence.", blocks)]
    return render_page(
        title="Title", subtitle="Under it", cards=[Card("Rows", "8", "kept")], sections=sections, footer="End"
    ).decode()


def test_a_page_shows_all_it_is_given() -> None:
    page = rendered(
        Text("A paragraph"), Table(("name", "rows"), [("a", 1234567)], "What it is"), Gallery([Picture(b"png", "A cat")])
    )
    for text in (
        "Title",
        "Under it",
        "Rows",
        "A heading",
        "A sentence.",
        "A paragraph",
        "1,234,567",
        "What it is",
        "A cat",
        "End",
    ):
        assert text in page


@pytest.mark.parametrize(
    "block", [Text("<script>"), Table(("<script>",), [("<script>",)]), Gallery([Picture(b"", '"><script>')])]
)
def test_text_cannot_run(block: Text | Table | Gallery) -> None:
    assert "<script" not in rendered(block)


def test_text_that_is_no_unicode_does_not_prevent_a_page() -> None:
    assert r"a\ud800b" in rendered(Text("a\ud800b"))


def test_two_figures_alike_have_ids_of_their_own() -> None:
    figure = Figure(bar_chart(["a"], [1], title="One", x_label="rows"))
    ids = re.findall(r' id="(f\d-[^"]*)"', rendered(figure, figure))
    assert len(set(ids)) == len(ids) > 0


def test_every_reference_within_a_figure_leads_somewhere() -> None:
    page = rendered(
        Figure(bar_chart(["a"], [1], title="One", x_label="rows")), Figure(bar_chart(["b"], [2], title="B", x_label="rows"))
    )
    references = set(re.findall(r'href="#(f[^"]*)"|url\(#([^)]*)\)', page))
    assert {one or two for one, two in references} <= set(re.findall(r' id="([^"]*)"', page))


def test_a_row_must_have_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="each of 2 columns, got 1"):
        Table(("a", "b"), [("a",)])


def test_a_small_picture_is_enlarged_without_blurring() -> None:
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    with Image.open(io.BytesIO(picture_of(pixels, "a digit").png)) as image:
        assert image.size == (96, 96)
        assert np.array_equal(np.asarray(image)[::12, ::12], pixels[:, :, 0])


def test_a_large_picture_is_reduced() -> None:
    with Image.open(io.BytesIO(picture_of(np.zeros((100, 800, 3), np.uint8), "wide").png)) as image:
        assert image.size == (192, 24)


def test_an_array_that_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        picture_of(np.zeros((8, 8), np.uint8), "flat")
