"""Spans: row groups that follow one another, read and shuffled as one, with the rows after them that sequences need."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import xxhash

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.reader.order.selected_rows import EpochRows, Selected
from bigdata_ml.reader.sequence import Sequence

__all__ = ["SpanSource", "SpannedSelection", "Spans", "make_spans"]

# Of the row groups that a span's last sequences reach into, so many times as many make a span: they are read besides.
_GROUPS = 4
# Spans of a dataset at least, before they become smaller.
_SPANS = 32


@dataclass(frozen=True)
class Spans:
    """Row groups in spans.

    Attributes:
        rows: of each row group, int64 [groups].
        borders: the first row group of each span, and the number of row groups, int64 [spans + 1].
        length: rows of a sequence.
    """

    rows: np.ndarray
    borders: np.ndarray
    length: int

    def __len__(self) -> int:
        return len(self.borders) - 1

    @cached_property
    def ends(self) -> np.ndarray:
        """The number of rows before each row group, and of all, int64 [groups + 1]."""
        return np.concatenate([[0], np.cumsum(self.rows)])

    @cached_property
    def sizes(self) -> np.ndarray:
        """Rows of each span, int64 [spans]."""
        return np.diff(self.ends[self.borders])

    @cached_property
    def last_groups(self) -> np.ndarray:
        """The row group after the last one that each span's sequences reach into, int64 [spans]."""
        reached = np.minimum(self.ends[self.borders[1:]] + self.length - 1, self.ends[-1])
        return np.asarray(np.maximum(np.searchsorted(self.ends, reached), self.borders[1:]))

    @property
    def read_groups(self) -> np.ndarray:
        """Row groups that are read with each span, int64 [spans]."""
        return np.asarray(self.last_groups - self.borders[:-1])

    @property
    def read_rows(self) -> np.ndarray:
        """Rows of those, int64 [spans]."""
        return np.asarray(self.ends[self.last_groups] - self.ends[self.borders[:-1]])

    def place(self, span: int, row: int) -> tuple[int, int]:
        """Return the row group, and the place in it, of a row counted from a span's first, which may lie behind the span."""
        position = int(self.ends[self.borders[span]]) + row
        group = int(np.searchsorted(self.ends, position, side="right")) - 1
        return group, position - int(self.ends[group])


def make_spans(dataset: Dataset, sequence: Sequence) -> Spans:
    """Return the spans of a dataset for sequences."""
    rows = dataset.row_groups.rows
    groups = len(rows)
    each = sequence.span
    if each is None:
        reached = -(-(sequence.length - 1) * groups // max(1, int(rows.sum())))
        each = max(1, min(_GROUPS * reached, groups // _SPANS))
    return Spans(rows, np.append(np.arange(0, groups, each), groups), sequence.length)


@dataclass(frozen=True, slots=True)
class SpannedSelection:
    """A selection of first rows, span by span instead of row group by row group."""

    base: Selected
    spans: Spans

    @property
    def digest(self) -> str:
        """Of the selection, the spans and the length of the sequences."""
        text = f"{self.base.digest} {self.spans.length} ".encode() + self.spans.borders.astype("<i8").tobytes()
        return str(xxhash.xxh3_128_hexdigest(text))

    @property
    def usual(self) -> int:
        """Number of selected rows of an epoch on average, rounded up."""
        return self.base.usual

    @property
    def most(self) -> np.ndarray:
        """Selected rows of each span in an epoch at most, int64 [spans]."""
        return np.asarray(np.add.reduceat(self.base.most, self.spans.borders[:-1]))

    def of_epoch(self, seed: int, epoch: int, /) -> "SpannedRows":
        """Return what is selected in one epoch."""
        return SpannedRows(self.base.of_epoch(seed, epoch), self.spans)


@dataclass(frozen=True)
class SpannedRows:
    """The first rows of one epoch, span by span."""

    base: EpochRows
    spans: Spans

    @cached_property
    def counts(self) -> np.ndarray:
        """Selected rows of each span, copies counted, int64 [spans]."""
        return np.asarray(np.add.reduceat(self.base.counts, self.spans.borders[:-1]))

    @property
    def total(self) -> int:
        """Number of selected rows, copies counted."""
        return self.base.total

    def entries(self, span: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a span's selected rows, counted from its first, and the number of each one's copy; see `EpochRows.entries`."""
        begin, end = self.spans.borders[span : span + 2].tolist()
        entries = [self.base.entries(group) for group in range(begin, end) if self.base.counts[group]]
        before = (self.spans.ends[begin:end] - self.spans.ends[begin])[self.base.counts[begin:end] > 0]
        rows = np.concatenate([entry[0] + start for entry, start in zip(entries, before.tolist(), strict=True)]).astype(np.int32)
        copies = [entry[1] for entry in entries if entry[1] is not None]
        return rows, np.concatenate(copies) if copies else None


class SpanSource:
    """Reads spans, and the rows after each that its last sequences reach into."""

    def __init__(self, source: GroupSource, spans: Spans) -> None:
        self._source, self._spans = source, spans
        self.schema = source.schema

    def read(self, span: int) -> dict[str, pa.Array]:
        """Return the columns of a span and of the rows after it, each one array; see `GroupSource.read`."""
        spans = self._spans
        begin, end = int(spans.borders[span]), int(spans.last_groups[span])
        pieces = [self._source.read(group) for group in range(begin, end)]
        if end > spans.borders[span + 1]:
            behind = int(spans.ends[end] - spans.ends[spans.borders[span + 1]])
            unused = max(0, behind - (spans.length - 1))
            last = pieces[-1]
            pieces[-1] = {name: column[: len(column) - unused] for name, column in last.items()}
        if len(pieces) == 1:
            return pieces[0]
        try:
            return {name: pa.concat_arrays([piece[name] for piece in pieces]) for name in self.schema.names}
        except (pa.ArrowInvalid, pa.ArrowCapacityError) as error:
            raise DatasetInvalid(
                f"{self._source.place(begin, 0)}: the {end - begin} row groups from here on hold more than 2 GiB in a column "
                f"({error}); take Sequence(span=...) below {int(spans.borders[span + 1]) - begin}"
            ) from error

    def place(self, span: int, row: int) -> str:
        """Return where a row lies that is counted from a span's first, for messages: file, row group, row."""
        return self._source.place(*self._spans.place(span, row))

    @property
    def has_bad_values(self) -> bool:
        """Whether any row that was read has a value that does not fit."""
        return self._source.has_bad_values

    def bad_value(self, span: int, row: int) -> str | None:
        """Return why a value of a sequence that begins at a row does not fit, or None; see `GroupSource.bad_value`."""
        places = [self._spans.place(span, row + step) for step in range(self._spans.length)]
        return next((text for place in places if (text := self._source.bad_value(*place)) is not None), None)
