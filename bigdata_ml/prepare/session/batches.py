"""Batches of a bounded number of bytes, one row at least: a row can be an image of 50 MB, and each step holds a batch or two."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from bigdata_ml.dataset.writer import row_bytes

__all__ = ["cut_by_bytes"]

_BYTES = 16 << 20


def cut_by_bytes(batch: pa.RecordBatch, *, size: int = _BYTES) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a batch, in their order, in slices of at most `size` bytes, or of one row that has more."""
    if batch.nbytes <= size:
        yield batch
        return
    ends = np.cumsum(row_bytes(batch))
    start = done = 0
    while start < batch.num_rows:
        stop = max(start + 1, int(np.searchsorted(ends, done + size, side="right")))
        yield batch.slice(start, stop - start)
        start, done = stop, int(ends[stop - 1])
