"""The contents of a mixture: its datasets' selections, their common schema, and row groups counted over all of them."""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from bigdata_ml.dataset import Vocabulary
from bigdata_ml.reader.contents import DatasetPart
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.reader.fetch.source import LocatedSource
from bigdata_ml.reader.mixture import Mixture
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.mixed_plan import MixedPart, MixedPlan
from bigdata_ml.reader.order.settings import OrderSettings, order_settings, refuse_beyond
from bigdata_ml.reader.rank import Rank
from bigdata_ml.schema import Schema

__all__ = ["MemberRows", "MixtureContents"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class MemberRows:
    """What an epoch of a mixture has of one dataset.

    Attributes:
        url: where it is.
        weight: its share, as a whole number beside the others'.
        rows: that are selected.
        taken: that come in the epoch, those that come again counted.
        repeated: of those, the ones that come again.
        left_out: selected rows that do not come, others each epoch.
    """

    url: str
    weight: int
    rows: int
    taken: int
    repeated: int
    left_out: int


class MixtureContents:
    """Several datasets, mixed.

    Args:
        mixture: what is read.
        read: columns, predicate, weights, order, of every dataset.
        rank: of which world size.
        global_batch_size: rows of a step over all ranks.
        cache: as for `select`.

    Raises:
        SchemaMismatch: columns that differ between the datasets.
        ValueError: weights together with stop="all", remainders other than `drop`; and as `open_reader`.
        WorldSizeNotAllowed, DatasetInvalid: as `open_reader`.
    """

    def __init__(
        self,
        mixture: Mixture,
        read: ReadOptions,
        rank: Rank,
        global_batch_size: int,
        *,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        _check(mixture, read)
        self.mixture = mixture
        self.schema = mixture.schema(read.columns)
        columns = tuple(name for name in self.schema.names if name != mixture.source)
        self._members = [
            DatasetPart(member.dataset, replace(member.read(read), columns=columns), cache=cache) for member in mixture.members
        ]
        weights, total = mixture.weights, sum(mixture.weights)
        width = -(-sum(weight * one.row_bytes for weight, one in zip(weights, self._members, strict=True)) // total)
        rows = sum(one.selection.usual for one in self._members)
        self.settings = order_settings(width, read, rows=rows, global_batch_size=global_batch_size, rank=rank)
        self._offsets = np.cumsum([0] + [len(one.sizes) for one in self._members]).tolist()
        self._pattern = mixture.pattern
        self._say_repeats()

    @property
    def url(self) -> str:
        """Where the datasets lie."""
        return self.mixture.url

    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]:
        """Vocabularies by field."""
        return self.mixture.vocabularies

    @property
    def identity(self) -> dict[str, Any]:
        """Fingerprints and selections by member, and how they are mixed."""
        return {
            "fingerprint": [member.identity["fingerprint"] for member in self._members],
            "selection": [one.identity["selection"] for one in self._members],
            "mixture": [self.mixture.stop, *self.mixture.weights],
        }

    @property
    def group_bytes(self) -> int:
        """Bytes of the largest row group in memory."""
        return max(member.group_bytes for member in self._members)

    @property
    def is_local(self) -> bool:
        """Whether all of it lies on this machine."""
        return all(member.dataset.location.is_local for member in self._members)

    def plan(self, epoch: int) -> MixedPlan:
        """Return the order of an epoch."""
        settings = [self._settings(self.settings, member) for member in range(len(self._members))]
        parts = tuple(
            MixedPart(part.dataset.url, part.selection, part_settings, offset)
            for part, part_settings, offset in zip(self._members, settings, self._offsets, strict=False)
        )
        return MixedPlan(parts, self._pattern, self.settings, epoch, self.mixture.stop)

    def source(self, stop: Stop, *, keeps_bad_values: bool = False) -> "MixedSource":
        """Return the reading of all datasets' row groups; see `Contents.source`."""
        sources = [member.source(stop, keeps_bad_values=keeps_bad_values) for member in self._members]
        return MixedSource(sources, self._offsets, self.schema, self.mixture.source)

    def rows_of(self, epoch: int) -> list[MemberRows]:
        """Return what an epoch has of each dataset."""
        plan, member_rows = self.plan(epoch), []
        for member, (part, weight) in enumerate(zip(self._members, self.mixture.weights, strict=True)):
            rows, taken = plan.pass_plan(member, 0).selection.total, plan.taken(member)
            # Streams differ by a row: of the shorter ones one more comes again.
            again = [self._again(plan, member, index) for index in range(self.settings.streams)]
            left = rows - (taken - sum(again))
            member_rows.append(
                MemberRows(url=part.dataset.url, weight=weight, rows=rows, taken=taken, repeated=sum(again), left_out=left)
            )
        return member_rows

    def check_budget(self, rank: Rank, budget: int) -> None:
        """Raise ValueError where a rank would hold more than `budget` bytes of rows."""
        refuse_beyond(self.url, self.settings, lambda settings: self._held(settings, rank), rank, budget)

    def difference(self, name: str, state: Mapping[str, Any]) -> str:
        """Return which dataset has a fingerprint or a selection that a state has otherwise."""
        stated, own = state.get(name), self.identity[name]
        if name == "mixture" or not isinstance(stated, list) or len(stated) != len(own):
            return "; datasets, weights and stop of the mixture must be those of the state"
        urls = [
            member.dataset.url for member, own_value, other in zip(self._members, own, stated, strict=True) if own_value != other
        ]
        return f"; it is that of {', '.join(urls)}"

    def _settings(self, settings: OrderSettings, member: int) -> OrderSettings:
        """Return the settings of a member's streams, which have its share of the window."""
        weights = self.mixture.weights
        return replace(settings, window=settings.window * weights[member] // sum(weights))

    def _held(self, settings: OrderSettings, rank: Rank) -> int:
        members = enumerate(self._members)
        return sum(part.held_bytes(self._settings(settings, member), rank.world_size) for member, part in members)

    def _again(self, plan: MixedPlan, member: int, index: int) -> int:
        return max(0, plan.quota(member, index, plan.steps) - plan.pass_plan(member, 0).stream(index).rows)

    def _say_repeats(self) -> None:
        if self.mixture.stop == "all":
            for member_rows in self.rows_of(0):
                if member_rows.repeated:
                    _log.info(
                        "%s: of %d rows a mixed epoch has %d, %d of them again",
                        member_rows.url,
                        member_rows.rows,
                        member_rows.taken,
                        member_rows.repeated,
                    )


class MixedSource:
    """Reads row groups of several datasets, whose indices follow one another.

    Args:
        sources: by member.
        offsets: index of each member's first row group, and the number of all.
        schema: of what is read.
        label: name of the column that says which member a row is of, if any.
    """

    def __init__(self, sources: list[LocatedSource], offsets: list[int], schema: Schema, label: str | None) -> None:
        self._sources, self._offsets, self._label = sources, np.array(offsets), label
        self.schema = schema.to_arrow()

    def read(self, group: int) -> dict[str, pa.Array]:
        """Return the columns of a row group, each one array; see `GroupSource.read`."""
        member, own = self._own(group)
        columns = self._sources[member].read(own)
        if self._label is not None:
            rows = len(next(iter(columns.values())))
            columns[self._label] = pa.array(np.full(rows, member, np.int32))
        return columns

    def place(self, group: int, row: int) -> str:
        """Return where a row lies, for messages: file, row group, row."""
        member, own = self._own(group)
        return self._sources[member].place(own, row)

    @property
    def has_bad_values(self) -> bool:
        """Whether any row that was read has a value that does not fit."""
        return any(source.has_bad_values for source in self._sources)

    def bad_value(self, group: int, row: int) -> str | None:
        """Return why a value of a row that was read does not fit, or None; see `GroupSource.bad_value`."""
        member, own = self._own(group)
        return self._sources[member].bad_value(own, row)

    def _own(self, group: int) -> tuple[int, int]:
        member = int(np.searchsorted(self._offsets, group, side="right")) - 1
        return member, group - int(self._offsets[member])


def _check(mixture: Mixture, read: ReadOptions) -> None:
    if read.remainder != "drop":
        raise ValueError(
            f"a mixture has no last batch to fill: it ends by its own stop={mixture.stop!r}, with full steps; "
            f"take remainder='drop', got {read.remainder!r}"
        )
    if read.weights is not None and mixture.stop == "all":
        raise ValueError(
            "weights draw another number of rows in each pass, and stop='all' makes passes of one length; take stop='first', or "
            "leave the weights out"
        )
