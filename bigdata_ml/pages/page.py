"""One HTML file of cards, sections, tables, figures and pictures, without any reference to anything outside it."""

import base64
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import jinja2
from markupsafe import Markup

from bigdata_ml.pages.numbers import number_text
from bigdata_ml.pages.svg import with_own_ids
from bigdata_ml.shown import shown

__all__ = ["Block", "Card", "Cell", "Figure", "Gallery", "Picture", "Section", "Table", "Text", "render_page"]

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Card:
    """A key figure: what it is, its value, and a word about it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `warning` sets it off as something to look at."""

    kind: ClassVar[str] = "text"
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; numbers are written by `number_text` and stand to the right."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row must have a cell for each of {len(self.columns)} columns, got {len(row)}: {row!r}")


@dataclass(frozen=True, slots=True)
class Figure:
    """Inline SVG, as the functions of `bigdata_ml.pages.figures` return it; it enters the page as it is."""

    kind: ClassVar[str] = "figure"
    svg: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a PNG file and what it shows."""

    png: bytes
    caption: str

    @property
    def data_url(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True, slots=True)
class Gallery:
    """A grid of pictures."""

    kind: ClassVar[str] = "gallery"
    pictures: Sequence[Picture]
    caption: str = ""


Block = Text | Table | Figure | Gallery


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence that explains, and what is shown."""

    title: str
    lead: str
    blocks: Sequence[Block]


def render_page(*, title: str, subtitle: str, cards: Sequence[Card], sections: Sequence[Section], footer: str) -> bytes:
    """Return the page as UTF-8 HTML; all text is escaped, nothing in it can run or load.

    >>> b"<h1>Digits</h1>" in render_page(title="Digits", subtitle="", cards=[], sections=[], footer="")
    True
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bigdata_ml.pages", "."),
        autoescape=True,
        finalize=lambda value: shown(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = itertools.count(1)
    environment.filters["cell"] = number_text
    environment.filters["inline"] = lambda svg: Markup(with_own_ids(svg, f"f{next(figures)}-"))  # our own SVG
    page = environment.get_template("page.html").render(
        title=title, subtitle=subtitle, cards=cards, sections=sections, footer=footer
    )
    return page.encode(errors="replace")
