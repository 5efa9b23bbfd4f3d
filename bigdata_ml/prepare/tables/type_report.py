"""Reports the types of text file columns and the reasons, in the log and on the quality page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bigdata_ml.pages import Section, Table
from bigdata_ml.prepare.sources.text_files.inferred_types import ColumnType
from bigdata_ml.prepare.tables.rules.model import TableRules

__all__ = ["chosen_types", "type_lines", "types_section"]

_MOST_LINES = 60


def chosen_types(types: Sequence[ColumnType], rules: TableRules, *, prefix: str = "") -> tuple[ColumnType, ...]:
    """Return the types of a table's columns; types declared by rules replace inferred ones.

    Args:
        types: the inferred types.
        rules: of the resulting table.
        prefix: of the columns' names in the resulting table.
    """
    declared = {column.name: column.type for column in rules.columns if column.type}
    chosen = []
    for column in types:
        name = f"{prefix}{column.name}"
        rule = declared.get(name)
        why = column.why.replace(f"--types {column.name}=", f"--types {name}=")
        chosen.append(
            replace(column, name=name, why=why) if rule is None else ColumnType(name, rule.kind, "declared by --types or a rule")
        )
    return tuple(chosen)


def type_lines(source: str, types: Sequence[ColumnType]) -> list[str]:
    """Return the log's lines, one per column; for many columns, counts and the doubtful columns."""
    if len(types) <= _MOST_LINES:
        return [f"types of {source}:", *(f"  {column}" for column in types)] if types else []
    texts = [column for column in types if column.type == "string"]
    doubtful = [column for reason in ("prints back", "--types") for column in texts if reason in column.why]
    counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(Counter(column.type for column in types).items()))
    more = f"  and {len(doubtful) - _MOST_LINES} more: see the quality page" if len(doubtful) > _MOST_LINES else ""
    lines = [f"types of {source}: {counts}", *(f"  {column}" for column in doubtful[:_MOST_LINES]), more]
    return [line for line in lines if line]


def types_section(types: Mapping[str, Sequence[ColumnType]]) -> Section:
    """Return the section of the quality page, with types by source."""
    tables = [
        Table(("column", "type", "why"), [(column.name, column.word, column.why) for column in chosen], source)
        for source, chosen in types.items()
    ]
    lead = "Types of text file columns. A column is a number, date or time only if every value prints back the same."
    return Section("Types", lead, tables)
