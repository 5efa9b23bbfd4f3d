"""Splits by a stable hash: adding data moves no row to another split, as long as the key's columns keep their types."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType

from bigdata_ml.prepare.session.columns import named

__all__ = ["SCALE", "SplitRule", "assign_split", "hash_share"]

# Shares are whole numbers in [0, SCALE).
SCALE = 1 << 40


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitRule:
    """How rows are assigned.

    Attributes:
        key: columns whose values decide; rows that agree in them are never separated.
        fractions: share of each split by name, in order; they sum to 1.
        seed: another seed is another assignment.
        given: where splits come from that are not made (`SplitFrom.text`); empty otherwise.
    """

    key: tuple[str, ...]
    fractions: tuple[tuple[str, float], ...] = (("train", 0.8), ("validation", 0.1), ("test", 0.1))
    seed: int = 0
    given: str = ""

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("a split needs at least one key column")
        shares = [share for _, share in self.fractions]
        if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"the splits' shares must be positive and sum to 1, got {dict(self.fractions)}")
        names = [name for name, _ in self.fractions]
        if len(set(names)) != len(names) or not all(name.isidentifier() for name in names):
            raise ValueError(f"the splits' names must be distinct words, got {', '.join(names)}")

    @classmethod
    def parse(cls, text: str, *, key: Sequence[str], seed: int) -> "SplitRule":
        """Return the rule that `train=0.8,validation=0.1,test=0.1` says."""
        try:
            pairs = [(name.strip(), float(share)) for name, share in (part.split("=") for part in text.split(","))]
        except ValueError as error:
            raise ValueError(f"a split is written train=0.8,validation=0.1,test=0.1, got {text!r}") from error
        return cls(key=tuple(key), fractions=tuple(pairs), seed=seed)

    @property
    def names(self) -> set[str]:
        """Names of the splits that are made."""
        return set() if self.given else {name for name, _ in self.fractions}

    def bounds(self, whole: int) -> list[int]:
        """Return where each split but the last ends when `whole` is divided by the shares, rounded."""
        bounds, bound = [], 0.0
        for _, share in self.fractions[:-1]:
            bound += share
            bounds.append(round(bound * whole))
        return bounds

    def to_json(self) -> dict[str, Any]:
        """Return the rule as the manifest writes it."""
        if self.given:
            return {"from": self.given}
        return {"hash": "spark xxhash64", "key": list(self.key), "seed": self.seed, "fractions": dict(self.fractions)}


def assign_split(rows: DataFrame, rule: SplitRule, *, mix_by: Sequence[str]) -> DataFrame:
    """Add `split`, and `__place`: a hash of `mix_by`, by which the sink orders rows so that files hold them mixed.

    The hash is Spark's xxhash64 of (seed, columns): the same on every cluster and in every order of files.
    """
    place = F.xxhash64(F.lit(rule.seed), *(_hashed(rows, name) for name in mix_by))
    share = hash_share(rule, *(_hashed(rows, name) for name in rule.key))
    return rows.withColumns({"__place": place, "split": _split(rule, share)})


def hash_share(rule: SplitRule, *key: Column) -> Column:
    """Return the whole number in [0, SCALE) that decides about a row with these values of the key."""
    # A salt of its own, so that the place in a file does not follow from the split.
    return F.pmod(F.xxhash64(F.lit("split"), F.lit(rule.seed), *key), F.lit(SCALE))


def _hashed(rows: DataFrame, name: str) -> Column:
    # Spark hashes 7 as int and 7 as bigint differently, and one larger number in a CSV makes its whole column bigint.
    whole = isinstance(rows.schema[name].dataType, IntegralType)
    return named(name).cast("long") if whole else named(name)


def _split(rule: SplitRule, share: Column) -> Column:
    column = F.lit(rule.fractions[-1][0])
    for (name, _), limit in reversed(list(zip(rule.fractions[:-1], rule.bounds(SCALE), strict=True))):
        column = F.when(share < limit, F.lit(name)).otherwise(column)
    return column
