"""Draws order.svg from a real plan: `python docs/pictures/order.py`; a test says when it is out of date."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bigdata_ml.reader.order.plan import EpochPlan
from bigdata_ml.reader.order.settings import OrderSettings
from bigdata_ml.reader.select.selection import Selection

GROUPS, ROWS, STREAMS, BATCH, WINDOW = 9, 16, 4, 16, 80
CELL, LEFT, WIDTH = 25, 150, 1070
COLOURS = ("#1f77b4", "#ff9d45", "#3b9f4b", "#d0453f", "#8d68b8", "#8c5f4e", "#e377c2", "#6f7b8a", "#c2b52b")
INK, QUIET = "#1f2328", "#57606a"


def plan() -> EpochPlan:
    """Nine row groups of 16 rows, four streams, global batches of 16 rows."""
    settings = OrderSettings(seed=7, global_batch_size=BATCH, streams=STREAMS, window=WINDOW, remainder="drop", shuffle=True)
    return EpochPlan(Selection(np.full(GROUPS, ROWS), {}, "all"), settings, 0)


def rectangle(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    """Return a rectangle."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" {more}/>'


def text(
    x: float, y: float, words: str, *, size: float = 13, colour: str = INK, anchor: str = "start", bold: bool = False
) -> str:
    """Return a line of text."""
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{colour}" text-anchor="{anchor}"{weight}>{words}</text>'


def blocks(groups: list[int], y: float) -> Iterator[str]:
    """Row groups side by side."""
    width = 36 * CELL / GROUPS
    for number, group in enumerate(groups):
        yield rectangle(LEFT + number * width, y, width - 3, 30, COLOURS[group], 'rx="3"')
        yield text(LEFT + number * width + width / 2 - 1, y + 20, str(group), colour="#ffffff", anchor="middle", bold=True)


def drawing() -> str:
    """Return the picture."""
    one = plan()
    layout, steps = one.layout, one.steps
    parts = [rectangle(0, 0, WIDTH, 470, "#f6f7f9", 'rx="8"')]
    parts += [
        text(16, 36, "1 row groups", bold=True),
        text(16, 53, "as they lie", size=11.5, colour=QUIET),
        *blocks(list(range(GROUPS)), 20),
    ]
    parts += [text(16, 104, "2 shuffled", bold=True), text(16, 121, "by (seed, epoch),", size=11.5, colour=QUIET)]
    parts += [text(16, 136, "cut into 4 streams", size=11.5, colour=QUIET), *blocks(layout.groups.tolist(), 88)]
    for index in range(1, STREAMS):
        x = LEFT + index * 9 * CELL - 1.5
        parts.append(f'<path d="M{x:g} 78 v50" stroke="{INK}" stroke-width="2" stroke-dasharray="4 3"/>')
    for index in range(STREAMS):
        parts.append(text(LEFT + (index + 0.5) * 9 * CELL, 144, f"stream {index}", size=11.5, colour=QUIET, anchor="middle"))
    parts += [text(16, 190, "3 rows leave", bold=True), text(16, 207, "each delayed by", size=11.5, colour=QUIET)]
    parts += [
        text(16, 222, "less than the", size=11.5, colour=QUIET),
        text(16, 237, "window, by a hash", size=11.5, colour=QUIET),
    ]
    for index in range(STREAMS):
        stream, y = one.stream(index), 172 + index * 46
        for rank, place in enumerate(layout.places(stream.leaving(0, stream.rows)).tolist()):
            parts.append(rectangle(LEFT + rank * CELL, y, CELL - 3, 30, COLOURS[int(layout.groups[place])], 'rx="3"'))
    each = BATCH // STREAMS
    for step in range(steps):
        x = LEFT + step * each * CELL - 2.5
        frame = f'rx="6" stroke="{INK}" stroke-width="1.6"'
        parts.append(rectangle(x, 164, each * CELL + 1, 184, "none", frame))
        parts.append(text(x + each * CELL / 2, 366, f"step {step}", size=11.5, colour=QUIET, anchor="middle"))
    parts += [text(16, 302, "4 global batch", bold=True), text(16, 319, "the same rows of", size=11.5, colour=QUIET)]
    parts += [text(16, 334, "every stream", size=11.5, colour=QUIET)]
    parts += [
        text(16, 404, "5 ranks", bold=True),
        text(16, 421, "own whole streams:", size=11.5, colour=QUIET),
        text(16, 436, "1, 2 or 4 of them", size=11.5, colour=QUIET),
    ]
    for column, world in enumerate((1, 2, 4)):
        x = LEFT + column * 12 * CELL
        parts.append(text(x, 400, f"world size {world}", size=11.5, colour=QUIET))
        for index in range(STREAMS):
            rank = index * world // STREAMS
            shade = ("#2b7fc4", "#7db5e3", "#1d5a8c", "#a9cfee")[rank]
            parts.append(rectangle(x + index * 70, 408, 66, 26, shade, 'rx="3"'))
            parts.append(
                text(
                    x + index * 70 + 33,
                    425,
                    f"rank {rank}",
                    size=11.5,
                    colour=("#ffffff", INK, "#ffffff", INK)[rank],
                    anchor="middle",
                )
            )
            parts.append(text(x + index * 70 + 33, 450, f"stream {index}", size=11, colour=QUIET, anchor="middle"))
    title = "The order: row groups shuffled, cut into streams, rows delayed within a window, global batches across streams"
    shape = f'viewBox="0 0 {WIDTH} 470" role="img" aria-label="{title}" font-family="system-ui, sans-serif"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {shape}>'
    return "\n".join([head, *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("order.svg").write_text(drawing())
