"""Types that `--types COLUMN=TYPE` declares: the same as a rule's `type`."""

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
    """Return the types by column of texts `COLUMN=TYPE[,COLUMN=TYPE…]`.

    Raises:
        ValueError: another form, a type that is none, or a column that is there twice.

    >>> parse_types(["zip=text,price=double"])
    {'zip': 'text', 'price': 'number'}
    """
    found: dict[str, ValueKind] = {}
    for pair in (pair for text in texts for pair in text.split(",")):
        name, equals, kind = (part.strip() for part in pair.rpartition("="))
        if not name or not equals:
            raise ValueError(f"types is COLUMN=TYPE[,COLUMN=TYPE…], got {pair!r}")
        if kind.lower() not in _KINDS:
            raise ValueError(f"types: {name} must be one of {', '.join(_KINDS)}, got {kind!r}")
        if name in found:
            raise ValueError(f"types: {name} is declared twice")
        found[name] = _KINDS[kind.lower()]
    return found


def with_types(rules: TableRules, types: Mapping[str, ValueKind]) -> TableRules:
    """Return the rules with these types.

    Raises:
        ValueError: a column of which the rules give the type already.
    """
    left = dict(types)
    columns = []
    for one in rules.columns:
        kind = left.pop(one.name, None)
        if kind is not None and one.type is not None:
            raise ValueError(f"types: the rules give {one.name} a type already ({one.type}); give it in one place")
        columns.append(one if kind is None else replace(one, type=TypeRule(kind=kind)))
    columns += [ColumnRules(name=name, type=TypeRule(kind=kind)) for name, kind in left.items()]
    return replace(rules, columns=tuple(columns))
