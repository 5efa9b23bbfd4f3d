"""Ranks and the streams they own."""

from dataclasses import dataclass

__all__ = ["Rank", "divisors"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rank:
    """Which of `world_size` equal parts of each global batch this process reads."""

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if self.world_size < 1 or not 0 <= self.rank < self.world_size:
            raise ValueError(f"rank must lie in [0, {self.world_size}), got {self.rank}")

    def streams(self, streams: int) -> range:
        """Return the streams that this rank owns, of `streams` in all (a multiple of the world size)."""
        each = streams // self.world_size
        return range(self.rank * each, (self.rank + 1) * each)


def divisors(number: int) -> list[int]:
    """Return the divisors of a number (1 or more), ascending."""
    return [size for size in range(1, number + 1) if number % size == 0]
