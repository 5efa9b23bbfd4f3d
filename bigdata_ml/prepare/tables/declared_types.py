"""Types declared by `--types COLUMN=TYPE`, which are the same as a rule's `type`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from bigdata_ml.prepare.tables.rules.model import ColumnRules, TableRules, TypeRule, ValueKind

__all__ = ["parse_types", "with_types"]

_KINDS: Mapping[str, ValueKind] = {
    **{kind: kind for kind in get_args(ValueKind)},
    "bigint": "integer", "int": "integer", "long": "integer", "double": "number", "float": "number", "string": "text",
    "bool": "boolean",
}  # fmt: skip


def parse_types(texts: Sequence[str]) -> dict[str, ValueKind]:
    """Parse texts `COLUMN=TYPE[,COLUMN=TYPE…]` to types by column.

    Raises:
        ValueError: another form, an unknown type, or a repeated column.

    >>> parse_types(["zip=text,price=double"])
    {'zip': 'text', 'price': 'number'}
    """
    types: dict[str, ValueKind] = {}
    for pair in (pair for text in texts for pair in text.split(",")):
        name, equals, kind = (part.strip() for part in pair.rpartition("="))
        if not name or not equals:
            raise ValueError(f"types must be COLUMN=TYPE[,COLUMN=TYPE…], got {pair!r}")
        if kind.lower() not in _KINDS:
            raise ValueError(f"types: {name} must be one of {', '.join(_KINDS)}, got {kind!r}")
        if name in types:
            raise ValueError(f"types: {name} is declared twice")
        types[name] = _KINDS[kind.lower()]
    return types


def with_types(rules: TableRules, types: Mapping[str, ValueKind]) -> TableRules:
    """Add the types to the rules.

    Raises:
        ValueError: the rules already give a column a type.
    """
    left = dict(types)
    columns = []
    for column in rules.columns:
        kind = left.pop(column.name, None)
        if kind is not None and column.type is not None:
            raise ValueError(f"types: the rules already give {column.name} a type ({column.type}); give it in one place")
        columns.append(column if kind is None else replace(column, type=TypeRule(kind=kind)))
    columns += [ColumnRules(name=name, type=TypeRule(kind=kind)) for name, kind in left.items()]
    return replace(rules, columns=tuple(columns))
