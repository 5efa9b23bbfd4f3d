"""The blocks that show what a cleaning found: reasons, examples, pictures of refused rows, joins."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bigdata_ml.pages.numbers import share_text
from bigdata_ml.pages.page import Block, Gallery, Picture, Table

__all__ = ["examples_table", "joins_table", "refused_blocks", "tally_table", "warned_table"]

_MOST_PICTURES = 24
_MOST_LISTED = 8
_LONGEST_TEXT = 240


def tally_table(refused: Mapping[str, int], *, found: int, kept: int) -> Table:
    """Return what became of the rows found: kept, and refused by reason, the most frequent first."""
    rows = [("kept", kept, share_text(kept / found if found else None))]
    for reason, count in sorted(refused.items(), key=lambda item: (-item[1], item[0])):
        rows.append((f"refused: {reason}", count, share_text(count / found if found else None)))
    rows.append(("found", found, ""))
    return Table(("what became of them", "rows", "share"), rows, "Each row that was found, counted once")


def warned_table(warned: Mapping[str, int]) -> Table:
    """Return what was noticed and let pass."""
    return Table(("what", "rows"), sorted(warned.items()), "Noticed and let pass")


def examples_table(quarantine: pa.Table) -> Table:
    """Return one refused row for each reason: where it came from and what was wrong with it.

    Args:
        quarantine: refused rows: source, reason, detail, row (JSON text), thumbnail (PNG bytes).
    """
    firsts = [quarantine.filter(pc.equal(quarantine["reason"], reason)).slice(0, 1) for reason in _reasons(quarantine)]
    rows = [(text["reason"], text["source"], _cut(text["detail"])) for first in firsts for text in _texts(first)]
    return Table(("reason", "source", "what was found"), rows, "An example of each reason")


def refused_blocks(quarantine: pa.Table) -> list[Block]:
    """Return pictures of refused rows that have one and a list of some that have none, with every reason among them.

    Args:
        quarantine: as for `examples_table`.
    """
    blocks: list[Block] = []
    pictured = quarantine.filter(pc.is_valid(quarantine["thumbnail"]))
    if pictured.num_rows:
        pictures = [
            Picture(row["thumbnail"], f"{row['reason']}: {row['source']}")
            for row in _some_of_each(pictured, _MOST_PICTURES).to_pylist()
        ]
        blocks.append(Gallery(pictures, f"Refused: {len(pictures)} examples with a picture"))
    bare = quarantine.filter(pc.is_null(quarantine["thumbnail"]))
    if bare.num_rows:
        blocks.append(_listed(bare))
    return blocks


def _listed(bare: pa.Table) -> Table:
    shown = _texts(_some_of_each(bare, _MOST_LISTED))
    columns = {"reason": "reason", "source": "source", "detail": "what was found", "row": "the row"}
    names = [name for name in columns if any(row[name] for row in shown)]
    rows = [tuple(_cut(row[name]) for name in names) for row in shown]
    return Table([columns[name] for name in names], rows, f"Refused: {len(shown)} examples without a picture")


def joins_table(joins: Sequence[Mapping[str, Any]]) -> Table:
    """Return what each join did: records with name, keys, rows, matched, unmatched, multiplied."""
    columns = ("name", "keys", "rows", "matched", "unmatched", "multiplied")
    rows = [tuple(_cell(join.get(name)) for name in columns) for join in joins]
    return Table(("joined", *columns[1:]), rows, "Joins; multiplied are rows that became several because a key was not unique")


def _reasons(quarantine: pa.Table) -> list[str]:
    return sorted(pc.unique(quarantine["reason"]).to_pylist())


def _some_of_each(quarantine: pa.Table, most: int) -> pa.Table:
    """Return about `most` rows: as many of each reason as there is room for, at least one."""
    reasons = _reasons(quarantine)
    share = max(1, most // len(reasons))
    parts = [quarantine.filter(pc.equal(quarantine["reason"], reason)).slice(0, share) for reason in reasons]
    return pa.concat_tables(parts)


def _texts(quarantine: pa.Table) -> list[dict[str, Any]]:
    return list(quarantine.drop_columns("thumbnail").to_pylist())


def _cut(text: str | None) -> str:
    return "" if text is None else text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _cell(value: Any) -> str | int | float | None:
    if value is None or isinstance(value, (str, int, float)):
        return value
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
