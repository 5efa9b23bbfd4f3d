"""Several sources read as one, each with its share of the rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from bigdata_ml.compat.petastorm.ngram import NGram
from bigdata_ml.compat.petastorm.reading.source import Rows, Source, passed_over, warn_empty
from bigdata_ml.compat.petastorm.unischema import Unischema
from bigdata_ml.compat.petastorm.values.samples import sequence_of
from bigdata_ml.reader import Cursor, Member, Mixture, Rank, ReadOptions
from bigdata_ml.reader.assemble.step_batch import StepBatch
from bigdata_ml.reader.epoch_batches import EpochBatches
from bigdata_ml.reader.iteration import Iteration, Ready
from bigdata_ml.reader.options import Remainder

__all__ = ["MixedSource"]

_Batch = TypeVar("_Batch")
# The column with each row's member; a Petastorm field cannot have this name.
_MEMBER = "member of the mixture"
_TOGETHER = 32


@dataclass(frozen=True)
class MixedSource:
    """Sources and their shares. Each source decodes and transforms its own rows.

    An epoch has only full steps. It ends before the first source is exhausted; for endless sources, after all rows were read.

    Raises:
        ValueError: the sources differ in a setting that all must share.
    """

    members: tuple[Source, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        first = self.members[0]
        for other in self.members[1:]:
            for name, expected, value in (
                ("the kind of reader (rows or batches)", first.batched, other.batched),
                ("the NGram", first.ngram, other.ngram),
                ("the fields", sorted(first.schema.fields), sorted(other.schema.fields)),
                ("the fields before their transforms", sorted(first.stored.fields), sorted(other.stored.fields)),
                ("shuffle_row_groups or shuffle_rows", first.shuffle, other.shuffle),
                ("cur_shard or shard_count", first.rank, other.rank),
                ("num_epochs", first.num_epochs, other.num_epochs),
            ):
                if value != expected:
                    raise ValueError(f"mixed readers must have the same {name}: {first.url} has {expected}, {other.url} {value}")

    @property
    def url(self) -> str:
        """URLs of the sources."""
        return " + ".join(member.url for member in self.members)

    @property
    def schema(self) -> Unischema:
        """The fields of the rows."""
        return self.members[0].schema

    @property
    def batched(self) -> bool:
        """Whether readers return batches."""
        return self.members[0].batched

    @property
    def rank(self) -> Rank:
        """The part of each step to read."""
        return self.members[0].rank

    @property
    def ngram(self) -> NGram | None:
        """The `NGram` if samples have several rows."""
        return self.members[0].ngram

    @property
    def num_epochs(self) -> int | None:
        """Passes; None is endless."""
        return self.members[0].num_epochs

    @property
    def num_workers(self) -> int:
        """Decoding threads."""
        return max(member.num_workers for member in self.members)

    @property
    def prefetch(self) -> int:
        """Steps to read ahead."""
        return max(member.prefetch for member in self.members)

    @property
    def counts(self) -> np.ndarray:
        """Selected rows of each row group of all, int64 [groups]."""
        return np.concatenate([member.counts for member in self.members])

    @property
    def is_light(self) -> bool:
        """Whether decoding costs almost nothing."""
        return all(member.is_light for member in self.members)

    @property
    def usual_batch(self) -> int:
        """Rows of a reader's step."""
        return max(member.usual_batch for member in self.members) if self.batched else _TOGETHER

    def cursor(self, batch_size: int, *, window: int = 0, remainder: Remainder = "exact") -> Cursor | None:
        """Return a cursor at the start of the mixture's order; None, with a warning, if a source has no rows.

        Raises:
            ValueError: too few rows for a step.
        """
        empty = [member for member in self.members if not member.counts.sum()]
        if empty:
            warn_empty(empty[0].url)
            return None
        first, ranks = self.members[0], self.rank.world_size
        mixture = Mixture(
            [Member(source.dataset, weight, source.condition) for source, weight in zip(self.members, self.weights, strict=True)],
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
        """Return `make` of each step's rows of an epoch."""

        def finish(batches: EpochBatches, step_batch: StepBatch) -> Ready[_Batch]:
            return Ready(make(self._rows(batches, step_batch)), [])

        return passed_over(self, cursor, finish, light=light)

    def _rows(self, batches: EpochBatches, step_batch: StepBatch) -> Rows:
        column = step_batch.columns.column(_MEMBER)
        # All rows of a sample come from the same member.
        members = column.to_numpy() if self.ngram is None else column.flatten().to_numpy()[:: self.ngram.length]
        places = [np.flatnonzero(members == number) for number in range(len(self.members))]
        parts = [source.rows(batches, step_batch, rows) for source, rows in zip(self.members, places, strict=True) if len(rows)]
        order = np.argsort(np.concatenate(places), kind="stable")
        if sum(part.count for part in parts) != len(order):
            raise ValueError("a transform that changes the number of rows cannot be mixed with other readers; use a predicate")
        return Rows({name: _joined([part.columns[name] for part in parts], order) for name in parts[0].columns}, len(order))


def _joined(parts: list[Any], order: np.ndarray) -> Any:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    if len(arrays) == len(parts) and len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)[order]
    listed = [value for part in parts for value in part]
    return [listed[place] for place in order.tolist()]
