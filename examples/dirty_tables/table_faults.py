"""Faults that real tables have, put into real tables at places that a seed chooses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Fault", "Injected", "inject"]

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of single values.

    Attributes:
        name: what it is.
        column: where.
        change: the wrong value of a right one.
        rule: the reason for which the row is to be refused; empty where the value is to be mended.
    """

    name: str
    column: str
    change: Callable[[Any], Any]
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault with the ids of the rows that have it, and their right values."""

    fault: Fault
    right: Mapping[int, Any]


def inject(columns: Columns, faults: Sequence[Fault], *, each: int, copies: int, seed: int) -> list[Injected]:
    """Put each fault into `each` rows of its own, whose value is not null, and add `copies` of other rows under new ids.

    The columns get the column `id`, 0 to the number of rows. The last of the faults returned are the copies.
    """
    rows = len(next(iter(columns.values())))
    columns["id"] = list(range(rows))
    order = np.random.default_rng(seed).permutation(rows).tolist()
    found = []
    for fault in faults:
        values = columns[fault.column]
        chosen = [place for place in order if values[place] not in (None, "") and _differs(fault, values[place])][:each]
        taken = set(chosen)
        order = [place for place in order if place not in taken]
        found.append(Injected(fault, {place: values[place] for place in chosen}))
        for place in chosen:
            values[place] = fault.change(values[place])
    for copy, place in enumerate(order[:copies]):
        for name, values in columns.items():
            values.append(rows + copy if name == "id" else values[place])
    return [
        *found,
        Injected(Fault("row that is there twice", "id", lambda value: value, "duplicates"), dict.fromkeys(order[:copies])),
    ]


def _differs(fault: Fault, value: Any) -> bool:
    # A hundred times nothing is nothing, be it written as text.
    return str(fault.change(value)) != str(value)
