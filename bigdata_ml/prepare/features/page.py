"""The sections of the quality page that speak of columns: which were selected, which tell the label."""

from collections.abc import Sequence

from bigdata_ml.pages import Block, Section, Table, Text
from bigdata_ml.prepare.features.leakage import Leak
from bigdata_ml.prepare.features.selection.select import FeatureTable, FeatureVerdict

__all__ = ["feature_section", "leak_section"]

_MOST_SHOWN = 200


def feature_section(table: FeatureTable) -> Section:
    """Return what became of the columns, by reason and column by column."""
    shown = table.verdicts[:_MOST_SHOWN]
    columns = ("rank", "column", "kept", "reason", "importance", "test", "statistic", "p", "nulls", "commonest value")
    blocks: list[Block] = [
        Table(("reason", "columns"), list(table.reasons().items()), f"{len(table.verdicts)} columns, {len(table.kept)} kept"),
        Table(columns, [_cells(one) for one in shown], f"{len(shown)} of {len(table.verdicts)} columns; all are in quality.json"),
    ]
    return Section("Features", "Which columns were selected, judged on the train rows alone, and why the others went.", blocks)


def leak_section(leaks: Sequence[Leak]) -> Section:
    """Return the columns that tell the label."""
    text = "Each of these columns alone tells the label nearly perfectly: it may be known only after what is to be predicted."
    table = Table(("column", "share of the errors of a guess that it saves"), [(one.column, one.told) for one in leaks])
    return Section("Columns that tell the label", "Found on train rows not learned from.", [Text(text, warning=True), table])


def _cells(one: FeatureVerdict) -> tuple[str | int | float | None, ...]:
    kept = "yes" if one.kept else "no"
    return one.rank, one.column, kept, one.reason, one.importance, one.test, one.statistic, one.p, one.nulls, one.commonest
