"""JSON that others may have written: parsed without surprises, its values checked for type and range."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import xxhash

__all__ = [
    "ANY",
    "COUNT",
    "FLAG",
    "NUMBER",
    "TEXT",
    "Each",
    "Items",
    "Maybe",
    "OneOf",
    "Record",
    "canonical_checksum",
    "check",
    "parse_json",
]

_DEPTH, _SHOWN = 64, 80


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value of one of these Python types; true and false are no numbers, and numbers are finite, of 64 bits."""

    name: str
    kinds: tuple[type, ...]
    least: int = -(1 << 64)
    most: int = 1 << 64


@dataclass(frozen=True, slots=True)
class Maybe:
    """A value, or null."""

    of: Any


@dataclass(frozen=True, slots=True)
class Items:
    """A list of values."""

    of: Any


@dataclass(frozen=True, slots=True)
class Each:
    """An object of any names, each with such a value."""

    of: Any


@dataclass(frozen=True, slots=True)
class Record:
    """An object of these names; those of `also` may be missing, others are ignored."""

    needed: Mapping[str, Any]
    also: Mapping[str, Any]


TEXT = OneOf("text", (str,))
FLAG = OneOf("true or false", (bool,))
COUNT = OneOf("a whole number from 0", (int,), 0, 1 << 62)
NUMBER = OneOf("a finite number", (int, float))
ANY = OneOf("a value", (str, bool, int, float, type(None), list, dict))


def parse_json(data: bytes) -> Any:
    """Return the JSON value of UTF-8 text.

    Raises:
        ValueError: no JSON; NaN or an infinity; a name that stands twice; nesting of more than 64 levels; half a character.
    """
    try:
        found = json.loads(data.decode(), parse_constant=_no_constant, object_pairs_hook=_no_doubles)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {_DEPTH} deep") from error
    level, depth = [found], 0
    while level:
        depth += 1
        if depth > _DEPTH:
            raise ValueError(f"it is nested more than {_DEPTH} deep")
        nested = [
            container.values() if isinstance(container, dict) else container
            for container in level
            if isinstance(container, (dict, list))
        ]
        level = [value for values in nested for value in values if isinstance(value, (dict, list))]
    return found


def canonical_checksum(value: Any) -> str:
    """Return the xxh3-128 of a JSON value's text without spaces, names sorted, as Python writes it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return str(xxhash.xxh3_128_hexdigest(text.encode()))


def check(value: Any, wanted: Any, where: str) -> None:
    """Raise ValueError, naming the place, unless a JSON value is what it should be."""
    if isinstance(wanted, Maybe):
        if value is not None:
            check(value, wanted.of, where)
    elif isinstance(wanted, OneOf):
        _check_one(value, wanted, where)
    elif isinstance(wanted, Items):
        _check_kind(value, list, "a list", where)
        for place, item in enumerate(value):
            check(item, wanted.of, f"{where}[{place}]")
    else:
        _check_kind(value, dict, "an object", where)
        for name, item in value.items():
            of = wanted.of if isinstance(wanted, Each) else {**wanted.needed, **wanted.also}.get(name)
            if of is not None:
                check(item, of, f"{where}.{name[:_SHOWN]}" if where else name)
        missing = () if isinstance(wanted, Each) else [name for name in wanted.needed if name not in value]
        if missing:
            raise ValueError(f"{where or 'it'} lacks {', '.join(missing)}")


def _check_one(value: Any, wanted: OneOf, where: str) -> None:
    if wanted is ANY:
        return
    if not isinstance(value, wanted.kinds) or (isinstance(value, bool) and bool not in wanted.kinds):
        raise ValueError(f"{where} must be {wanted.name}, it is {_shown(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} must be {wanted.name}, it is {value}")
    if isinstance(value, int) and not isinstance(value, bool) and not wanted.least <= value <= wanted.most:
        raise ValueError(f"{where} must be {wanted.name} in range, it is {_shown(value)}")


def _check_kind(value: Any, kind: type, name: str, where: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{where or 'it'} must be {name}, it is {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {value.bit_length()} bits"
    return f"{type(value).__name__} {value!r:.80}" if not isinstance(value, (dict, list)) else type(value).__name__


def _no_constant(text: str) -> None:
    raise ValueError(f"it holds {text}, which is no JSON")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in members if names.count(name) > 1)
        raise ValueError(f"the name {twice[:_SHOWN]!r} stands twice in an object")
    return members
