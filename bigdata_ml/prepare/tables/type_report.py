"""Which types were chosen for the columns of text files, and why: in the log, on the quality page, in a profile."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bigdata_ml.pages import Section, Table
from bigdata_ml.prepare.sources.text_files.inferred_types import ColumnType
from bigdata_ml.prepare.tables.rules.model import TableRules

__all__ = ["chosen_types", "type_lines", "types_section"]

_MOST_LINES = 60


def chosen_types(types: Sequence[ColumnType], rules: TableRules, *, prefix: str = "") -> tuple[ColumnType, ...]:
    """Return the types of a table's columns, those that rules give them instead of those that were found.

    Args:
        types: as they were found.
        rules: of the table into which it goes.
        prefix: of the columns' names there.
    """
    given = {one.name: one.type for one in rules.columns if one.type}
    chosen = []
    for one in types:
        rule = given.get(f"{prefix}{one.name}")
        name = f"{prefix}{one.name}"
        why = one.why.replace(f"--types {one.name}=", f"--types {name}=")
        chosen.append(
            replace(one, name=name, why=why) if rule is None else ColumnType(name, rule.kind, "declared by --types or a rule")
        )
    return tuple(chosen)


def type_lines(source: str, types: Sequence[ColumnType]) -> list[str]:
    """Return what the log says of them: a line a column; of many columns those that are nearly of another type, and counts."""
    if len(types) <= _MOST_LINES:
        return [f"types of {source}:", *(f"  {one}" for one in types)] if types else []
    doubtful = [one for one in types if "prints back" in one.why and one.type == "string"] + [
        one for one in types if "--types" in one.why and one.type == "string"
    ]
    counts = ", ".join(f"{sum(one.type == kind for one in types):,} {kind}" for kind in sorted({one.type for one in types}))
    more = f"  and {len(doubtful) - _MOST_LINES} more: see the quality page" if len(doubtful) > _MOST_LINES else ""
    lines = [f"types of {source}: {counts}", *(f"  {one}" for one in doubtful[:_MOST_LINES]), more]
    return [line for line in lines if line]


def types_section(types: Mapping[str, Sequence[ColumnType]]) -> Section:
    """Return the quality page's section, of types by source."""
    tables = [
        Table(("column", "type", "why"), [(one.name, one.word, one.why) for one in found], source)
        for source, found in types.items()
    ]
    lead = "How columns of text files were read: a number, date or time only where every value prints back the same."
    return Section("Types", lead, tables)
