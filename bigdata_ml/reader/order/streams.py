"""Row groups laid end to end and cut into streams, and the walk along one stream's order."""

from dataclasses import dataclass

import numpy as np

from bigdata_ml.reader.order.hashing import block_of, delayed

__all__ = ["Layout", "Stream", "StreamWalk", "cut"]

_UNKNOWN = np.iinfo(np.int64).min
# Rows planned at once, unless the window asks for more.
_BLOCK = 1 << 15


@dataclass(frozen=True, slots=True)
class Layout:
    """The row groups of an epoch laid end to end.

    Attributes:
        groups: indices of the groups that have selected rows, in the epoch's order, int64 [used].
        starts: position of each group's first row, and the number of rows, int64 [used + 1].
        bounds: position of each stream's first row, and the number of rows, int64 [streams + 1].
    """

    groups: np.ndarray
    starts: np.ndarray
    bounds: np.ndarray

    @property
    def rows(self) -> int:
        """Selected rows."""
        return int(self.starts[-1])

    def places(self, positions: np.ndarray) -> np.ndarray:
        """Return where in `groups` the rows at those positions lie, int64 of the same shape."""
        return np.searchsorted(self.starts, positions, side="right") - 1


@dataclass(frozen=True, slots=True)
class Stream:
    """One of the canonical sequences of rows.

    Attributes:
        key: of its delays in this epoch.
        begin: position of its first row in the layout.
        rows: how many it has.
        delay: its share of the window, in rows.
    """

    key: int
    begin: int
    rows: int
    delay: int

    def leaving(self, begin: int, end: int) -> np.ndarray:
        """Return positions in the layout of the rows that leave at ranks begin … end − 1, int64."""
        return delayed(self.key, self.rows, self.delay, begin, end) + self.begin


def cut(counts: np.ndarray, order: np.ndarray, streams: int) -> Layout:
    """Lay groups end to end and cut them into streams whose lengths differ by one row at most, the longer ones first.

    Args:
        counts: selected rows of each group, int64 [groups].
        order: indices of the groups that have any, in the epoch's order, int64 [used].
        streams: how many, 1 or more.
    """
    starts = np.zeros(len(order) + 1, np.int64)
    np.cumsum(counts[order], out=starts[1:])
    each, longer = divmod(int(starts[-1]), streams)
    bounds = np.arange(streams + 1, dtype=np.int64) * each + np.minimum(np.arange(streams + 1), longer)
    return Layout(order, starts, bounds)


class StreamWalk:
    """Follows a stream's order from one rank on: how far it has to be read, and at which rank each row leaves.

    Positions are those of the stream, 0 … rows − 1. It plans ahead in blocks and forgets what was asked for.

    Args:
        stream: which one.
        first: the rank it begins at.
        lowest: the lowest position that will be asked for.
    """

    def __init__(self, stream: Stream, first: int, *, lowest: int) -> None:
        self._stream = stream
        self._first = first
        self._planned = first
        # The largest position that has left by each rank.
        self._reached = _Sliding(first)
        self._ranks = _Sliding(lowest)
        self._block = min(block_of(stream.delay), max(4 * stream.delay, _BLOCK))

    def due(self, position: int) -> int:
        """Return the first rank, from the walk's first on, at which a row at `position` or above leaves; `rows` if none does.

        Positions must not fall from call to call.
        """
        while True:
            rank = self._reached.base + int(np.searchsorted(self._reached.values, position))
            if rank < self._planned or self._planned == self._stream.rows:
                self._reached.forget(min(rank, self._planned - 1))
                return rank
            self._plan()

    def ranks(self, begin: int, end: int) -> np.ndarray:
        """Return the ranks at which rows begin … end − 1 leave, int64; negative for those that left before the walk's first.

        What lies below `begin` must not be asked for again.
        """
        while self._planned < min(self._stream.rows, end + self._stream.delay):
            self._plan()
        self._ranks.grow(end)
        self._ranks.forget(begin)
        return self._ranks.of(begin, end)

    def _plan(self) -> None:
        stream, begin = self._stream, self._planned
        end = min(stream.rows, begin + self._block)
        positions = delayed(stream.key, stream.rows, stream.delay, begin, end)
        # Rows that are not known yet leave after the block, or left before the walk began.
        self._ranks.grow(min(stream.rows, end + stream.delay))
        self._ranks.put(positions, np.arange(begin, end))
        if begin > self._first:
            positions[0] = max(positions[0], self._reached.values[-1])
        self._reached.grow(end)
        self._reached.values[begin - self._reached.base :] = np.maximum.accumulate(positions)
        self._planned = end


class _Sliding:
    """An array of int64 whose indices begin at `base`, cut off at the front as it is used up."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.values = np.zeros(0, np.int64)

    def of(self, begin: int, end: int) -> np.ndarray:
        return self.values[begin - self.base : end - self.base]

    def put(self, indices: np.ndarray, values: np.ndarray) -> None:
        if indices.min() < self.base:
            kept = indices >= self.base
            indices, values = indices[kept], values[kept]
        self.values[indices - self.base] = values

    def grow(self, end: int) -> None:
        """Make room up to `end`, with `_UNKNOWN` in it."""
        kept, size = len(self.values), end - self.base
        if size > kept:
            grown = np.empty(size, np.int64)
            grown[:kept] = self.values
            grown[kept:] = _UNKNOWN
            self.values = grown

    def forget(self, begin: int) -> None:
        """Drop what lies below `begin`; the memory goes when more room is made."""
        if begin > self.base:
            self.values = self.values[begin - self.base :]
            self.base = begin
