"""A row group without rows, as empty parts written by Spark or pyarrow have, ended the read.

Rows: dividing by the number of rows raised ZeroDivisionError. Batches with `convert_early_to_numpy`: a batch without rows was
given, which loaders take for the end of the data.
"""

import functools
from types import ModuleType
from typing import Any


def mend(module: ModuleType) -> None:
    """Give no rows for a row group that has none."""
    if hasattr(module, "PyDictReaderWorker"):
        _give_no_rows(module.PyDictReaderWorker)
    else:
        _publish_no_empty_batch(module.ArrowReaderWorker)


def _give_no_rows(worker: Any) -> None:
    read = worker._read_with_shuffle_row_drop

    @functools.wraps(read)
    def wrapped(self: Any, *args: Any) -> Any:
        try:
            return read(self, *args)
        except ZeroDivisionError:  # min(rows, partitions) is its only divisor
            return []

    worker._read_with_shuffle_row_drop = wrapped


def _publish_no_empty_batch(worker: Any) -> None:
    start = worker.__init__

    @functools.wraps(start)
    def wrapped(self: Any, worker_id: int, publish_func: Any, args: Any) -> None:
        def publish(data: Any) -> None:
            if not isinstance(data, dict) or any(len(column) for column in data.values()):
                publish_func(data)

        # A pool calls `worker.publish_func` itself, with its own messages; they are no dicts.
        start(self, worker_id, publish, args)

    worker.__init__ = wrapped
