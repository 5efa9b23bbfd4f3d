"""Which of several datasets each row of a stream comes from: by quota, exactly, periodically."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from math import gcd
from typing import Literal

import numpy as np

__all__ = ["Pace", "Pattern", "Stop", "make_pattern", "whole_weights"]

Stop = Literal["first", "all"]

# Weights' sum at most: a period of the pattern is held.
_PERIOD = 100_000
# Parts that weights which are no whole numbers are rounded to.
_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which member gives the row of each rank of a stream; it repeats after `period` ranks.

    Attributes:
        period: the sum of the weights.
        places: the ranks below `period` that each member gives the rows of, int64 [its weight], ascending.
    """

    period: int
    places: tuple[np.ndarray, ...]

    def taken(self, member: int, rank: int) -> int:
        """Return how many of the ranks below `rank` (0 …) belong to a member: its share of them, less than 1 away."""
        rounds, rest = divmod(rank, self.period)
        return rounds * len(self.places[member]) + int(np.searchsorted(self.places[member], rest))

    def ranks(self, member: int, numbers: np.ndarray) -> np.ndarray:
        """Return the ranks at which rows `numbers` (0 …) of a member leave, int64 of the same shape."""
        places = self.places[member]
        rounds, rest = np.divmod(numbers, len(places))
        return np.asarray(rounds * self.period + places[rest])

    def rank(self, member: int, number: int) -> int:
        """Return the rank at which row `number` (0 …) of a member leaves."""
        rounds, rest = divmod(number, len(self.places[member]))
        return rounds * self.period + int(self.places[member][rest])


@dataclass(frozen=True, slots=True)
class Pace:
    """Where the rows of a stream go in the global batches.

    Attributes:
        size: rows that a stream gives to a step.
        steps: of the epoch.
        pattern: of the mixture that the stream is one member's part of; None where there is one dataset.
        member: which.
        before: rows of its that the pattern has before the stream's first rank, and that it gave in earlier passes.
        shift: the rank of the pattern that the stream begins at.
    """

    size: int
    steps: int
    pattern: Pattern | None = None
    member: int = 0
    before: int = 0
    shift: int = 0

    def step(self, own: int) -> int:
        """Return the step that the row of a rank of its own belongs to."""
        rank = own if self.pattern is None else self.pattern.rank(self.member, self.before + own) - self.shift
        return rank // self.size

    def ranks(self, own: np.ndarray) -> np.ndarray:
        """Return the ranks among all datasets' rows of ranks of its own, int64 of the same shape."""
        return own if self.pattern is None else self.pattern.ranks(self.member, self.before + own) - self.shift

    def first(self, step: int) -> int:
        """Return the first rank of its own, 0 …, that does not leave before `step`."""
        rank = step * self.size
        return rank if self.pattern is None else max(0, self.pattern.taken(self.member, rank + self.shift) - self.before)


def whole_weights(weights: Sequence[float]) -> tuple[int, ...]:
    """Return weights (above 0) as the smallest whole numbers in their proportion, of a sum up to 100,000.

    Those that are no whole numbers are rounded to parts of 10,000 of their sum.

    Raises:
        ValueError: weights of too different sizes.
    """
    if all(float(weight).is_integer() for weight in weights):
        whole = [int(weight) for weight in weights]
    else:
        whole = [round(_PARTS * weight / sum(weights)) for weight in weights]
    shared = reduce(gcd, whole)
    whole = [weight // max(1, shared) for weight in whole]
    if min(whole) == 0 or sum(whole) > _PERIOD:
        raise ValueError(
            f"weights of a mixture must be whole numbers of a sum up to {_PERIOD:,}, or each at least 1/{_PARTS:,} of the sum, "
            f"got {', '.join(f'{weight:g}' for weight in weights)}"
        )
    return tuple(whole)


def make_pattern(weights: Sequence[int]) -> Pattern:
    """Return the pattern of whole weights (1 …).

    Row k (1 …) of a member with share p of the ranks may take those from ⌊(k − 1) / p⌋ to ⌈k / p⌉ − 1. Each rank goes to the
    member whose last of them comes first, ties to the first member. So of any number i of first ranks a member has ⌊p·i⌋ or
    ⌈p·i⌉; giving each to the member that is furthest behind instead can go astray by more than a row.
    """
    period = sum(weights)
    places: list[list[int]] = [[] for _ in weights]
    begins: list[list[int]] = [[] for _ in range(period)]
    begins[0] = list(range(len(weights)))
    ready: list[tuple[int, int]] = []
    for rank in range(period):
        for member in begins[rank]:
            number = len(places[member]) + 1
            heapq.heappush(ready, (-(-number * period // weights[member]), member))
        _, member = heapq.heappop(ready)
        places[member].append(rank)
        number = len(places[member])
        if number < weights[member]:
            begins[max(rank + 1, number * period // weights[member])].append(member)
    return Pattern(period, tuple(np.array(place, np.int64) for place in places))
