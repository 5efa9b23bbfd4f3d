"""Several sources read as one, each in its share of the rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from bigdata_ml.compat.petastorm.ngram import NGram
from bigdata_ml.compat.petastorm.reading.source import Rows, Source, passed_over, warn_empty
from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.compat.petastorm.values.samples import sequence_of
from bigdata_ml.reader import Cursor, Member, Mixture, Rank, ReadOptions
from bigdata_ml.reader.assemble.gather import Gathered
from bigdata_ml.reader.iteration import Iteration, Ready
from bigdata_ml.reader.options import Remainder
from bigdata_ml.reader.reader import Gathering

__all__ = ["MixedSource"]

_Batch = TypeVar("_Batch")
# The column that says which member a row comes from; no field of Petastorm's can have that name.
_MEMBER = "member of the mixture"
_TOGETHER = 32


@dataclass(frozen=True)
class MixedSource:
    """Sources and their shares; each decodes and transforms its own rows.

    An epoch has whole steps only: it ends before the first source runs out; where the sources are endless, when all have come.

    Raises:
        ValueError: sources that differ in what must be one for all.
    """

    members: tuple[Source, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        first = self.members[0]
        for other in self.members[1:]:
            for name, mine, theirs in (
                ("the kind of reader (rows or batches)", first.batched, other.batched),
                ("the NGram", first.ngram, other.ngram),
                ("the fields", sorted(first.schema.fields), sorted(other.schema.fields)),
                ("the fields before their transforms", sorted(first.stored.fields), sorted(other.stored.fields)),
                ("shuffle_row_groups or shuffle_rows", first.shuffle, other.shuffle),
                ("cur_shard or shard_count", first.rank, other.rank),
                ("num_epochs", first.num_epochs, other.num_epochs),
            ):
                if mine != theirs:
                    raise ValueError(f"readers that are mixed must agree in {name}: {first.url} has {mine}, {other.url} {theirs}")

    @property
    def url(self) -> str:
        """Where they are."""
        return " + ".join(one.url for one in self.members)

    @property
    def schema(self) -> Unischema:
        """The fields that are handed out."""
        return self.members[0].schema

    @property
    def batched(self) -> bool:
        """Whether batches are handed out."""
        return self.members[0].batched

    @property
    def rank(self) -> Rank:
        """Which part of each step is read."""
        return self.members[0].rank

    @property
    def ngram(self) -> NGram | None:
        """What a sample is where it is several rows."""
        return self.members[0].ngram

    @property
    def num_epochs(self) -> int | None:
        """Passes; None is endless."""
        return self.members[0].num_epochs

    @property
    def num_workers(self) -> int:
        """Decoding threads."""
        return max(one.num_workers for one in self.members)

    @property
    def prefetch(self) -> int:
        """Steps that are read ahead."""
        return max(one.prefetch for one in self.members)

    @property
    def counts(self) -> np.ndarray:
        """Selected rows of each row group of all, int64 [groups]."""
        return np.concatenate([one.counts for one in self.members])

    @property
    def is_light(self) -> bool:
        """Whether there is next to nothing to decode."""
        return all(one.is_light for one in self.members)

    @property
    def usual_batch(self) -> int:
        """Rows that a reader has of a step."""
        return max(one.usual_batch for one in self.members) if self.batched else _TOGETHER

    def cursor(self, batch_size: int, *, window: int = 0, remainder: Remainder = "exact") -> Cursor | None:
        """Return a position at the start of the mixture's order; None, with a warning, where a source has no row.

        Raises:
            ValueError: too few rows for a step.
        """
        empty = [one for one in self.members if not one.counts.sum()]
        if empty:
            warn_empty(empty[0].url)
            return None
        first, ranks = self.members[0], self.rank.world_size
        mixture = Mixture(
            [Member(one.dataset, weight, one.condition) for one, weight in zip(self.members, self.weights, strict=True)],
            stop="all" if self.num_epochs is None else "first",
            source=_MEMBER,
        )
        read = ReadOptions(
            columns=tuple(first.stored.fields),
            sequence=None if first.ngram is None else sequence_of(first.ngram),
            shuffle=first.order_with(window),
            seed=first.seed,
            streams=ranks,
            window=window * ranks,
        )
        return Cursor(mixture, read, self.rank, batch_size * ranks)

    def pass_over(self, cursor: Cursor, make: Callable[[Rows], _Batch], *, light: bool = False) -> Iteration[_Batch]:
        """Return what `make` makes of each step's rows of an epoch."""

        def finish(gathering: Gathering, gathered: Gathered) -> Ready[_Batch]:
            return Ready(make(self._rows(gathering, gathered)), [])

        return passed_over(self, cursor, finish, light=light)

    def _rows(self, gathering: Gathering, gathered: Gathered) -> Rows:
        column = gathered.columns.column(_MEMBER)
        # A sample is of one member, whose number each of its rows has.
        members = column.to_numpy() if self.ngram is None else column.flatten().to_numpy()[:: self.ngram.length]
        places = [np.flatnonzero(members == number) for number in range(len(self.members))]
        parts = [source.rows(gathering, gathered, mine) for source, mine in zip(self.members, places, strict=True) if len(mine)]
        order = np.argsort(np.concatenate(places), kind="stable")
        if sum(part.count for part in parts) != len(order):
            raise ValueError("a transform that changes the number of rows cannot be mixed with other readers; use a predicate")
        return Rows({name: _joined([part.columns[name] for part in parts], order) for name in parts[0].columns}, len(order))


def _joined(parts: list[Any], order: np.ndarray) -> Any:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts) and len({one.shape[1:] for one in arrays}) == 1:
        return np.concatenate(arrays)[order]
    listed = [value for part in parts for value in part]
    return [listed[place] for place in order.tolist()]
