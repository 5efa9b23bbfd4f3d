"""What the manifest says of a field's values: its vocabulary and its statistics."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Statistics", "Vocabulary"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """The values of a field and their ids.

    Attributes:
        values: value of id `first_id` + i at place i; text, integers or booleans.
        counts: rows of the train split that hold each value.
        unknown: whether id 0 stands for null, rare and unseen values; ids then begin at 1, otherwise at 0.
        rare: distinct values that were seen and left out, being rarer than asked for.
        lookups: what readers made of the values, by type of column, shared by all that read the dataset.
    """

    values: tuple[str | int | bool, ...]
    counts: tuple[int, ...]
    unknown: bool
    rare: int = 0
    lookups: dict[Any, Any] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.values) != len(self.counts):
            raise ValueError(f"{len(self.values)} values go with as many counts, got {len(self.counts)}")
        if len(set(self.values)) != len(self.values):
            raise ValueError("the values of a vocabulary must differ")

    @property
    def first_id(self) -> int:
        """Id of the first value."""
        return 1 if self.unknown else 0

    @property
    def size(self) -> int:
        """Number of ids, the unknown one included."""
        return len(self.values) + self.first_id

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as the manifest writes it."""
        return {
            "values": list(self.values),
            "counts": list(self.counts),
            "unknown": self.unknown,
            "rare": self.rare,
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Vocabulary":
        """Return the vocabulary that `to_json` wrote."""
        return cls(
            values=tuple(written["values"]),
            counts=tuple(written["counts"]),
            unknown=written["unknown"],
            rare=written.get("rare", 0),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Statistics:
    """Numbers of one field over the train split, for normalising.

    Attributes:
        count: known values (of an image: pixels), finite ones.
        nulls: nulls, and values that are no finite number.
        mean, std: of the known values; std is the population's (divided by count). Of an image: one per channel, pixels 0 … 255.
        least, greatest: the extremes of the known values, over all channels.
        quantiles: values of the column by share, as text: `0.5` is the median; empty where they were not taken.
    """

    count: int
    nulls: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    least: float
    greatest: float
    quantiles: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the statistics as the manifest writes them."""
        return {
            "count": self.count,
            "nulls": self.nulls,
            "mean": list(self.mean),
            "std": list(self.std),
            "min": self.least,
            "max": self.greatest,
            **({"quantiles": dict(self.quantiles)} if self.quantiles else {}),
        }

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Statistics":
        """Return the statistics that `to_json` wrote."""
        return cls(
            count=written["count"],
            nulls=written["nulls"],
            mean=tuple(written["mean"]),
            std=tuple(written["std"]),
            least=written["min"],
            greatest=written["max"],
            quantiles=dict(written.get("quantiles", {})),
        )
