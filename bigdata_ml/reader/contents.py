"""What is read, whatever it is made of: rows, how they are ordered in an epoch, and where their values come from."""

import os
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from bigdata_ml.dataset import Dataset, Vocabulary
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.reader.fetch.source import LocatedSource
from bigdata_ml.reader.fetch.spans import SpannedSelection, SpanSource, make_spans
from bigdata_ml.reader.options import ReadOptions
from bigdata_ml.reader.order.plan import EpochPlan, Plan
from bigdata_ml.reader.order.selected_rows import Selected
from bigdata_ml.reader.order.settings import (
    MARKS,
    OrderSettings,
    check_budget,
    held_bound,
    order_settings,
    refuse_beyond,
    row_bytes,
)
from bigdata_ml.reader.rank import Rank
from bigdata_ml.reader.select.selection import select
from bigdata_ml.reader.select.sequences import select_starts
from bigdata_ml.reader.select.weights import weigh
from bigdata_ml.schema import Schema

__all__ = ["Contents", "DatasetContents", "DatasetPart"]


class Contents(Protocol):
    """What is read: one dataset, or several that are mixed."""

    @property
    def url(self) -> str:
        """Where it lies, for messages."""

    @property
    def schema(self) -> Schema:
        """The fields that are read, in order."""

    @property
    def vocabularies(self) -> Mapping[str, Vocabulary]:
        """Vocabularies by field."""

    @property
    def settings(self) -> OrderSettings:
        """Of the order."""

    @property
    def identity(self) -> dict[str, Any]:
        """What a state says of it, as JSON values."""

    @property
    def group_bytes(self) -> int:
        """Bytes of the largest row group in memory, 1 or more; an estimate."""

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine: reading it is work, and not waiting for a store."""

    def plan(self, epoch: int) -> Plan:
        """Return the order of an epoch."""

    def source(self, stop: Stop, *, keeps_bad_values: bool = False) -> LocatedSource:
        """Return where the values come from.

        Args:
            stop: says that nobody waits for them any more.
            keeps_bad_values: whether a value that does not fit its field's type concerns its row alone; else it is an error.
        """

    def check_budget(self, rank: Rank, budget: int) -> None:
        """Raise ValueError where a rank would hold more than `budget` bytes of rows."""

    def difference(self, name: str, state: Mapping[str, Any]) -> str:
        """Return more words about a part of `identity` that a state has otherwise."""


class DatasetPart:
    """The rows that are read of a dataset, or of a split of it.

    Attributes:
        dataset: whose rows.
        schema: the fields that are read.
        selection: the rows, and how often they come.
        row_bytes: of a selected row in memory, on average: of a sequence its share of the rows.
        sizes: rows of each unit of reading, selected or not, int64 [units].
        read_rows, read_groups: rows and row groups that are read with it, int64 [units].

    Raises:
        ValueError, DatasetInvalid: as `select` and `weigh`.
    """

    def __init__(self, dataset: Dataset, read: ReadOptions, *, cache: str | os.PathLike[str] | None = None) -> None:
        self.dataset = dataset
        self.schema = dataset.schema.select(read.columns or dataset.schema.names)
        self._spans = None if read.sequence is None else make_spans(dataset, read.sequence)
        selection = (
            select(dataset, read.predicate, cache=cache)
            if read.sequence is None
            else select_starts(dataset, read.predicate, read.sequence, cache=cache)
        )
        weighed: Selected = selection if read.weights is None else weigh(dataset, selection, read.weights, cache=cache)
        self.selection = weighed if self._spans is None else SpannedSelection(weighed, self._spans)
        self.row_bytes = row_bytes(dataset)
        self.sizes = self.read_rows = dataset.row_groups.rows
        self.read_groups = np.ones_like(self.sizes)
        if self._spans is not None:
            self.sizes, self.read_rows, self.read_groups = self._spans.sizes, self._spans.read_rows, self._spans.read_groups
            self.row_bytes *= max(1, -(-dataset.rows // max(1, self.selection.usual)))

    @property
    def is_spanned(self) -> bool:
        """Whether its units are spans of row groups, for sequences."""
        return self._spans is not None

    @property
    def identity(self) -> dict[str, Any]:
        """Fingerprint and selection."""
        return {"fingerprint": self.dataset.fingerprint, "selection": self.selection.digest}

    def source(self, stop: Stop, *, keeps_bad_values: bool = False) -> LocatedSource:
        """Return where the values come from; see `Contents.source`."""
        source = GroupSource(self.dataset, self.schema.names, stop=stop, keeps_bad_values=keeps_bad_values)
        return source if self._spans is None else SpanSource(source, self._spans)

    @property
    def group_bytes(self) -> int:
        """Bytes of the largest unit of reading in memory, 1 or more; an estimate."""
        return max(1, int(self.read_rows.max(initial=0)) * row_bytes(self.dataset))

    def held_bytes(self, settings: OrderSettings, world_size: int) -> int:
        """Return the bytes of rows that a rank holds at most; an estimate."""
        if self._spans is not None:
            # Spans are held whole until their last sequence leaves: those of the window, and one at each of its ends.
            whole = int(self.read_rows.sum())
            rows = settings.delay * -(-whole // max(1, self.selection.usual)) + 2 * int(self.read_rows.max(initial=0))
            return min(settings.streams // world_size * rows, whole) * row_bytes(self.dataset)
        return held_bound(settings, self.selection.most, world_size) * (self.row_bytes + MARKS)


class DatasetContents:
    """One dataset, or a split of it.

    Args:
        dataset: what is read.
        read: columns, predicate, weights, order.
        rank: of which world size.
        global_batch_size: rows of a step over all ranks.
        cache: as for `select`.

    Raises:
        ValueError, WorldSizeNotAllowed, DatasetInvalid: as `open_reader`.
    """

    def __init__(
        self,
        dataset: Dataset,
        read: ReadOptions,
        rank: Rank,
        global_batch_size: int,
        *,
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        self.part = DatasetPart(dataset, read, cache=cache)
        self.url, self.vocabularies, self.schema = dataset.url, dataset.vocabularies, self.part.schema
        rows = self.part.selection.usual
        self.settings = order_settings(self.part.row_bytes, read, rows=rows, global_batch_size=global_batch_size, rank=rank)

    @property
    def identity(self) -> dict[str, Any]:
        """Fingerprint and selection."""
        return self.part.identity

    @property
    def group_bytes(self) -> int:
        """Bytes of the largest row group in memory."""
        return self.part.group_bytes

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine."""
        return self.part.dataset.location.is_local

    def plan(self, epoch: int) -> EpochPlan:
        """Return the order of an epoch."""
        return EpochPlan(self.part.selection.of_epoch(self.settings.seed, epoch), self.settings, epoch)

    def source(self, stop: Stop, *, keeps_bad_values: bool = False) -> LocatedSource:
        """Return where the values come from; see `Contents.source`."""
        return self.part.source(stop, keeps_bad_values=keeps_bad_values)

    def check_budget(self, rank: Rank, budget: int) -> None:
        """Raise ValueError where a rank would hold more than `budget` bytes of rows."""
        if self.part.is_spanned:
            refuse_beyond(self.url, self.settings, lambda settings: self.part.held_bytes(settings, rank.world_size), rank, budget)
        else:
            check_budget(self.settings, self.part.dataset, self.part.selection.most, rank, budget)

    def difference(self, name: str, _: Mapping[str, Any]) -> str:
        """Return more words about a part of `identity` that a state has otherwise."""
        return "; the dataset was published anew or is another one: start the run again" if name == "fingerprint" else ""
