"""What the cleaning changed: each column's distribution before and after, over a sample of the rows."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from bigdata_ml.pages import Figure, Section, Table, paired_bars, paired_histogram, share_text
from bigdata_ml.prepare.features.train_sample import share_of
from bigdata_ml.prepare.session.columns import named

__all__ = ["Change", "change_numbers", "change_section", "compare_columns", "image_changes", "table_changes"]

# Rows that are looked at, less where there are many columns.
_MOST_ROWS, _MOST_CELLS = 20_000, 2_000_000
_BINS, _VALUES = 30, 10
# The figures of the columns that changed most, and the columns that the table names.
_FIGURES, _NAMED = 12, 100
_OTHERS = "others"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A column before the cleaning and after it.

    Attributes:
        column: its name.
        kind: `numbers`, in bins of equal width, or `values`, each by itself.
        marks: the bins' edges, one more than there are bins; or the values, most frequent first.
        before, after: rows by bin or value. Numbers beyond the outer edges lie in the outer bins.
        nulls: rows without a value, before and after.
        unread: rows before whose text was no number, where the column is of numbers after; 0 after.
    """

    column: str
    kind: Literal["numbers", "values"]
    marks: tuple[Any, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    nulls: tuple[int, int]
    unread: int = 0

    @property
    def rows(self) -> tuple[int, int]:
        """Rows looked at, before and after."""
        return sum(self.before) + self.nulls[0] + self.unread, sum(self.after) + self.nulls[1]

    @property
    def moved(self) -> float:
        """Share of the distribution that lies elsewhere afterwards (total variation), 0 … 1; nulls count as a value."""
        old = np.array([*self.before, self.nulls[0], self.unread], float)
        new = np.array([*self.after, self.nulls[1], 0], float)
        return float(np.abs(old / max(1.0, old.sum()) - new / max(1.0, new.sum())).sum() / 2)


def compare_columns(before: Mapping[str, Sequence[Any]], after: Mapping[str, Sequence[Any]]) -> list[Change]:
    """Return the changes of the columns that both have, those that changed most first.

    A column is of numbers if all its values after are. None is a null; so is NaN.
    """
    changes = [
        _of_numbers(name, before[name], after[name]) if _are_numbers(after[name]) else _of_values(name, before[name], after[name])
        for name in after
        if name in before
    ]
    return sorted(changes, key=lambda change: (-change.moved, change.column))


def table_changes(cleaned: DataFrame, *, found: int) -> list[Change]:
    """Return the changes of a table's columns; runs a Spark job.

    Args:
        cleaned: rows with `__row` (a row as it was read, as JSON), `__reason` (null: kept), `__place`; kept rows hold the values
            that are published.
        found: how many there are.
    """
    columns = [field.name for field in cleaned.schema if not field.name.startswith("__") and _is_shown(field.dataType.typeName())]
    columns = [name for name in columns if name != "split"]
    wanted = min(_MOST_ROWS, _MOST_CELLS // max(1, len(columns)))
    chosen = [named(name).alias(str(place)) for place, name in enumerate(columns)]
    sample = _sample(cleaned, F.col("__place"), wanted, found).select("__row", F.col("__reason").isNull().alias("kept"), *chosen)
    rows = sample.toArrow()
    read = [json.loads(text) for text in rows.column("__row").to_pylist()]
    there = {name for row in read for name in row}
    before = {name: [row.get(name) for row in read] for name in columns if name in there}
    kept = rows.filter(rows.column("kept"))
    return compare_columns(before, {name: kept.column(str(place)).to_pylist() for place, name in enumerate(columns)})


def image_changes(facts: DataFrame, *, found: int, labels: bool) -> list[Change]:
    """Return the changes of images' labels, sizes (pixels of the file) and brightness (mean level, 0 … 255); runs a Spark job.

    Args:
        facts: rows of `INSPECTED` without their bytes; what was refused before it was decoded has a label only.
        found: how many there are.
        labels: whether they have labels.
    """
    levels = F.aggregate("sums", F.lit(0).cast("long"), lambda total, level: total + level)
    values: dict[str, Column] = {
        **({"label": F.col("label")} if labels else {}),
        "pixels": F.col("source_pixels"),
        "brightness": levels / (F.col("height").cast("long") * F.col("width") * F.col("channels")),
    }
    chosen = [column.alias(name) for name, column in values.items()]
    rows = _sample(facts, F.col("sha256"), _MOST_ROWS, found).select(F.col("reason").isNull().alias("kept"), *chosen).toArrow()
    kept = rows.filter(rows.column("kept"))
    return compare_columns(*({name: table.column(name).to_pylist() for name in values} for table in (rows, kept)))


def change_section(changes: Sequence[Change]) -> Section:
    """Return the quality page's section."""
    rows = changes[0].rows if changes else (0, 0)
    lead = f"Each column as it was read and as it is published, over {rows[0]:,} rows found and the {rows[1]:,} of them kept."
    named_ones = [
        (change.column, *map(share_text, (change.moved, change.nulls[0] / max(1, rows[0]), change.nulls[1] / max(1, rows[1]))))
        for change in changes[:_NAMED]
    ]
    caption = f"The {_NAMED} of {len(changes)} columns that changed most" if len(changes) > _NAMED else ""
    table = Table(("column", "moved", "nulls before", "nulls after"), named_ones, caption)
    return Section("Before and after", lead, [table, *map(_figure, [one for one in changes if one.marks][:_FIGURES])])


def change_numbers(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Return the changes as JSON values."""
    return [
        {
            "column": change.column,
            "kind": change.kind,
            "marks": list(change.marks),
            "before": list(change.before),
            "after": list(change.after),
            "nulls": list(change.nulls),
            "unread": change.unread,
            "moved": change.moved,
        }
        for change in changes
    ]


def _sample(rows: DataFrame, key: Column, wanted: int, found: int) -> DataFrame:
    return rows if found <= wanted else rows.where(share_of(key, wanted / found))


def _is_shown(kind: str) -> bool:
    return kind in ("byte", "short", "integer", "long", "float", "double", "string", "boolean") or kind.startswith("decimal")


def _are_numbers(values: Iterable[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(not isinstance(one, (str, bool)) for one in known)


def _of_numbers(name: str, before: Sequence[Any], after: Sequence[Any]) -> Change:
    old, new = np.array([_number(item) for item in before], float), np.array([_number(item) for item in after], float)
    edges = _edges(np.concatenate([item[np.isfinite(item)] for item in (old, new)]))
    counts = [np.histogram(np.clip(item[~np.isnan(item)], edges[0], edges[-1]), edges)[0].tolist() for item in (old, new)]
    unread = sum(isinstance(item, str) and item.lower() != "nan" and math.isnan(_number(item)) for item in before)
    return Change(
        column=name,
        kind="numbers",
        marks=tuple(edges.tolist()),
        before=tuple(counts[0]),
        after=tuple(counts[1]),
        nulls=(int(np.isnan(old).sum()) - unread, int(np.isnan(new).sum())),
        unread=unread,
    )


def _edges(known: np.ndarray) -> np.ndarray:
    """Return the edges of bins: one a number where they are few whole ones."""
    # So that one absurd value does not leave all others a single bin.
    least, greatest = np.quantile(known, (0.005, 0.995), method="inverted_cdf").tolist() if len(known) else (0.0, 0.0)
    # Beyond 2^52 a double has no half between two whole numbers.
    halves = max(abs(least), abs(greatest)) < 1 << 52
    if len(known) and bool((known == np.floor(known)).all()) and greatest - least < _BINS and halves:
        return np.arange(least - 0.5, greatest + 1)
    # Bins are as wide as doubles of that size are apart, at the least.
    spacing = float(np.spacing(max(abs(least), abs(greatest))))
    wide = max(greatest - least, _BINS * spacing) if greatest > least else max(1.0, _BINS * spacing)
    return np.asarray(np.linspace(least, least + wide, _BINS + 1))


def _of_values(name: str, before: Sequence[Any], after: Sequence[Any]) -> Change:
    old, new = (Counter(_text(value) for value in values if value is not None) for values in (before, after))
    ordered = sorted({*old, *new}, key=lambda one: (-max(old[one], new[one]), one))
    shown, rest = ordered[:_VALUES], ordered[_VALUES:]
    counts = [
        (*(counter[one] for one in shown), *((sum(counter[one] for one in rest),) if rest else ())) for counter in (old, new)
    ]
    return Change(
        column=name,
        kind="values",
        marks=(*shown, *((_OTHERS,) if rest else ())),
        before=counts[0],
        after=counts[1],
        nulls=(sum(one is None for one in before), sum(one is None for one in after)),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _number(value: Any) -> float:
    try:
        return float("nan") if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return float("nan")


def _figure(change: Change) -> Figure:
    title = f"{change.column} before and after"
    caption = f"{change.column}: {share_text(change.moved)} moved"
    if change.kind == "numbers":
        svg = paired_histogram(change.marks, change.before, change.after, title=title, x_label=change.column)
    else:
        svg = paired_bars([str(mark) or "''" for mark in change.marks], change.before, change.after, title=title)
    return Figure(svg, caption)
