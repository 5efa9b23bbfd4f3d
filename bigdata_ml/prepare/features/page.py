"""The quality page's sections on selected features and label leaks."""

from collections.abc import Sequence
from dataclasses import asdict

from bigdata_ml.pages import Block, Section, Table, Text
from bigdata_ml.prepare.features.leakage import Leak
from bigdata_ml.prepare.features.selection.verdicts import FeatureTable, FeatureVerdict

__all__ = ["feature_section", "leak_section"]

_MOST_SHOWN = 200
_FIELDS = ("rank", "column", "kept", "reason", "importance", "test", "statistic", "p", "nulls", "commonest")


def feature_section(table: FeatureTable) -> Section:
    """Return the verdicts on all columns, counted by reason and listed by column."""
    listed = table.verdicts[:_MOST_SHOWN]
    blocks: list[Block] = [
        Table(("reason", "columns"), list(table.reasons().items()), f"{len(table.verdicts)} columns, {len(table.kept)} kept"),
        Table(
            _FIELDS,
            [_cells(verdict) for verdict in listed],
            f"{len(listed)} of {len(table.verdicts)} columns; all are in quality.json",
        ),
    ]
    return Section("Features", "Columns selected on the train rows only, and the reasons for dropping the others.", blocks)


def leak_section(leaks: Sequence[Leak]) -> Section:
    """Return the columns that alone predict the label."""
    text = "Each of these columns alone predicts the label nearly perfectly: it may be known only after the event to predict."
    table = Table(("column", "share of a guess's errors that it avoids"), [(leak.column, leak.errors_avoided) for leak in leaks])
    return Section("Label leaks", "Measured on held-out train rows.", [Text(text, warning=True), table])


def _cells(verdict: FeatureVerdict) -> tuple[str | int | float | None, ...]:
    values = {**asdict(verdict), "kept": "yes" if verdict.kept else "no"}
    return tuple(values[name] for name in _FIELDS)
