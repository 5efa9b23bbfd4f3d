"""Charts as inline SVG, by matplotlib without pyplot: the same numbers give the same bytes."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, MaxNLocator

from bigdata_ml.pages.numbers import number_text
from bigdata_ml.pages.svg import inline_svg
from bigdata_ml.shown import shown

__all__ = [
    "MOST_NUMBERED_CLASSES", "Series", "bar_chart", "confusion_matrix", "curve", "line_chart", "paired_bars", "paired_histogram",
]  # fmt: skip

MOST_NUMBERED_CLASSES = 30
# Becomes the page's text colour, see `inline_svg`; mid-grey where the SVG is used elsewhere.
_INK = "#7d8187"
# Told apart by colour-blind people and legible on white and on black; the dashes say it again.
_COLOURS = ("#2b83c6", "#d55e00", "#009e73", "#b5679a", "#8f8200")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_RIGHT, _WRONG = _COLOURS[0], _COLOURS[1]
_STYLE: Mapping[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bigdata_ml",
    "text.parse_math": False,
    "font.size": 9,
    "font.sans-serif": ["DejaVu Sans"],
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.22,
    "legend.frameon": False,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A named line; NaN leaves a gap.

    Attributes:
        name: for the legend.
        x, y: its points.
        low, high: the spread around each point, or None for a line without a band.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None

    def __post_init__(self) -> None:
        lengths = {len(numbers) for numbers in (self.x, self.y, self.low, self.high) if numbers is not None}
        if len(lengths) != 1 or (self.low is None) != (self.high is None):
            raise ValueError(f"series {self.name!r} must have as many y, low and high as x, and low and high together")


def line_chart(series: Sequence[Series], *, title: str, x_label: str, y_label: str) -> str:
    """Return lines over whole numbers (epochs) with their bands."""
    with _style():
        drawing, axes = _axes(5.2, 3.3)
        _draw(axes, series)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        return _render(drawing, axes, title=title, x_label=x_label, y_label=y_label, names=len(series))


def curve(series: Sequence[Series], *, title: str, x_label: str, y_label: str) -> str:
    """Return lines in the unit square with its diagonal: ROC (chance) and calibration (honest)."""
    with _style():
        drawing, axes = _axes(4.0, 4.0)
        axes.plot([0, 1], [0, 1], color=_INK, alpha=0.6, linewidth=1, linestyle=":")
        _draw(axes, series)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        return _render(drawing, axes, title=title, x_label=x_label, y_label=y_label, names=len(series))


def bar_chart(labels: Sequence[str], values: Sequence[float], *, title: str, x_label: str) -> str:
    """Return a horizontal bar for each label, from the top, with its value."""
    with _style():
        drawing, axes = _axes(5.2, 0.7 + 0.24 * max(2, len(labels)))
        places = np.arange(len(labels))
        bars = axes.barh(places, np.asarray(values, float), height=0.7, color=_COLOURS[0])
        axes.bar_label(bars, [number_text(value) for value in values], padding=3, color=_INK)
        axes.set_yticks(places, [_short(label) for label in labels])
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.margins(x=0.12)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        return _render(drawing, axes, title=title, x_label=x_label, y_label="", names=1)


def paired_bars(labels: Sequence[str], before: Sequence[float], after: Sequence[float], *, title: str) -> str:
    """Return two horizontal bars for each label, from the top: its share of all before and after."""
    with _style():
        drawing, axes = _axes(5.2, 0.9 + 0.36 * max(2, len(labels)))
        places = np.arange(len(labels))
        for offset, counts, name, colour in ((-0.2, before, "before", _COLOURS[1]), (0.2, after, "after", _COLOURS[0])):
            axes.barh(places + offset, _shares(counts), height=0.38, color=colour, label=name)
        axes.set_yticks(places, [_short(label) for label in labels])
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        return _render(drawing, axes, title=title, x_label="share of rows", y_label="", names=2)


def paired_histogram(edges: Sequence[float], before: Sequence[float], after: Sequence[float], *, title: str, x_label: str) -> str:
    """Return two histograms over the same bins, as shares of all: before as an area, after as an outline."""
    with _style():
        drawing, axes = _axes(5.2, 3.0)
        axes.stairs(_shares(before), edges, fill=True, color=_COLOURS[1], alpha=0.45, label="before")
        axes.stairs(_shares(after), edges, color=_COLOURS[0], linewidth=1.8, label="after")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number_text(value)))
        return _render(drawing, axes, title=title, x_label=x_label, y_label="share of rows", names=2)


def _shares(counts: Sequence[float]) -> np.ndarray:
    numbers = np.asarray(counts, float)
    return np.asarray(numbers / max(1.0, numbers.sum()))


def confusion_matrix(counts: Sequence[Sequence[int]], classes: Sequence[str], *, title: str) -> str:
    """Return the matrix of true (rows) and predicted classes (columns).

    A cell's strength is its share of its true class: blue on the diagonal, orange for errors. Up to 30 classes are named
    and numbered, more become a heat map.

    Raises:
        ValueError: counts that are not one row and one column for each class.
    """
    table = np.asarray(counts, np.int64).reshape(len(counts), -1)
    if table.shape != (len(classes), len(classes)):
        raise ValueError(f"{len(classes)} classes must have as many rows and columns of counts, got {list(table.shape)}")
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    with _style():
        numbered = len(classes) <= MOST_NUMBERED_CLASSES
        side = 1.6 + 0.42 * len(classes) if numbered else 6.0
        drawing, axes = _axes(side, side)
        axes.grid(visible=False)
        if numbered:
            _draw_cells(axes, table, shares, classes)
        else:
            axes.imshow(_colours(shares), interpolation="none")
        axes.set(aspect="equal", xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5))
        return _render(drawing, axes, title=title, x_label="predicted", y_label="true", names=1)


def _draw_cells(axes: Axes, table: np.ndarray, shares: np.ndarray, classes: Sequence[str]) -> None:
    edges = np.arange(len(classes) + 1) - 0.5
    axes.pcolormesh(edges, edges, _colours(shares), edgecolor="none")
    for true, predicted in zip(*np.nonzero(table), strict=True):
        ink = "white" if shares[true, predicted] > 0.5 else _INK
        count = number_text(int(table[true, predicted]))
        axes.text(predicted, true, count, ha="center", va="center", color=ink, fontsize=9 if len(count) < 4 else 7)
    names = [_short(name) for name in classes]
    turned = max(map(len, names), default=0) > 3
    axes.set_xticks(range(len(classes)), names, rotation=60 if turned else 0, ha="right" if turned else "center")
    axes.set_yticks(range(len(classes)), names)
    axes.tick_params(length=0)


def _colours(shares: np.ndarray) -> np.ndarray:
    """Return RGBA [classes, classes, 4]: the page shows through where the share is small; errors are lifted to be seen."""
    right = np.eye(len(shares), dtype=bool)
    colours = np.empty((*shares.shape, 4))
    colours[right, :3], colours[~right, :3] = (matplotlib.colors.to_rgb(colour) for colour in (_RIGHT, _WRONG))
    colours[..., 3] = np.where(right, shares, np.where(shares > 0, 0.2 + 0.8 * np.sqrt(shares), 0))
    return colours


def _draw(axes: Axes, series: Sequence[Series]) -> None:
    for index, line in enumerate(series):
        colour, dashes = _COLOURS[index % len(_COLOURS)], _DASHES[index % len(_DASHES)]
        x, y = np.asarray(line.x, float), np.asarray(line.y, float)
        marker = "o" if len(x) <= 30 else ""
        axes.plot(x, y, color=colour, linestyle=dashes, linewidth=1.8, marker=marker, markersize=3.5, label=shown(line.name))
        if line.low is not None and line.high is not None:
            low, high = np.asarray(line.low, float), np.asarray(line.high, float)
            axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)


def _axes(width: float, height: float) -> tuple[Drawing, Axes]:
    drawing = Drawing(figsize=(width, height), layout="constrained")
    axes = drawing.add_subplot()
    axes.grid(visible=True)
    axes.set_axisbelow(True)
    return drawing, axes


def _render(drawing: Drawing, axes: Axes, *, title: str, x_label: str, y_label: str, names: int) -> str:
    axes.set(xlabel=shown(x_label), ylabel=shown(y_label))
    if names > 1:
        drawing.legend(loc="outside upper left", ncols=3)
    sink = io.BytesIO()
    drawing.savefig(sink, format="svg", transparent=True, metadata={"Date": None})
    return inline_svg(sink.getvalue(), title=title, ink=_INK)


@contextmanager
def _style() -> Iterator[None]:
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcParams.update(_STYLE)
        # Text stays text in the SVG: the reader's browser has the glyphs that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _short(text: str) -> str:
    # XML has no way to write control characters, and a class may be named after any directory.
    text = shown(text)
    return text if len(text) <= 22 else text[:21] + "…"
