"""Weights of rows: how often each comes in an epoch."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import numpy as np

__all__ = ["MOST_WEIGHT", "RowWeights"]

MOST_WEIGHT = 1 << 20


@dataclass(frozen=True, slots=True)
class RowWeights:
    """How often a row comes in an epoch: ⌊w + u⌋ times for the weight w, u drawn from [0, 1) by seed, epoch and row.

    So a row of weight 2.5 comes twice or three times, one of 0.1 in every tenth epoch, one of 0 never, and a row of weight 1
    once, as without weights. The number of rows of an epoch is about the sum of the weights, another one each epoch, known
    before its first step.

    Attributes:
        column: the field that says it; it need not be among the columns read.
        classes: the weight of each class, by the value as it is stored (None for nulls); `balanced` for rows ÷ (classes ×
            rows of the class), so that every class comes as often as any other and an epoch is about as long as without
            weights; None where the column, of numbers, holds the weights themselves.
        default: the weight of the values that `classes` does not name.

    All weights lie in [0, 2^20].

    >>> RowWeights("label", {"cat": 3.0, "dog": 0.5}).default
    1.0
    """

    column: str
    classes: Mapping[Any, float] | Literal["balanced"] | None = None
    default: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.classes, str):
            if self.classes != "balanced":
                raise ValueError(f"classes must be a mapping of value to weight, 'balanced' or None, got {self.classes!r}")
        elif self.classes is not None:
            object.__setattr__(self, "classes", dict(self.classes))
        named = self.classes.items() if isinstance(self.classes, Mapping) else ()
        for name, weight in (
            *((f"the weight of {value!r}", class_weight) for value, class_weight in named),
            ("default", self.default),
        ):
            if not _is_weight(weight):
                raise ValueError(f"{name} must be a number in [0, {MOST_WEIGHT}], got {weight!r}")


def _is_weight(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and isfinite(value) and bool(0 <= value <= MOST_WEIGHT)
