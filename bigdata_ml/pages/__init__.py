"""Self-contained HTML pages and their figures: the one look of the quality page and the run report."""

from bigdata_ml.pages.cleaning import examples_table, joins_table, refused_blocks, tally_table, warned_table
from bigdata_ml.pages.figures import Series, bar_chart, confusion_matrix, curve, line_chart, paired_bars, paired_histogram
from bigdata_ml.pages.numbers import duration_text, money_text, number_text, share_text
from bigdata_ml.pages.page import Block, Card, Figure, Gallery, Picture, Section, Table, Text, render_page
from bigdata_ml.pages.pictures import picture_of

__all__ = [
    "Block",
    "Card",
    "Figure",
    "Gallery",
    "Picture",
    "Section",
    "Series",
    "Table",
    "Text",
    "bar_chart",
    "confusion_matrix",
    "curve",
    "duration_text",
    "examples_table",
    "joins_table",
    "line_chart",
    "money_text",
    "number_text",
    "paired_bars",
    "paired_histogram",
    "picture_of",
    "refused_blocks",
    "render_page",
    "share_text",
    "tally_table",
    "warned_table",
]
