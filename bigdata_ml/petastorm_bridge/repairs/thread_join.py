"""A worker thread that failed while its results queue was full waited forever, and so did the caller that left the reader."""

import functools
import queue
from types import ModuleType
from typing import Any


def mend(module: ModuleType) -> None:
    """Empty the queues while waiting for the threads to end."""
    join = module.ThreadPool.join

    @functools.wraps(join)
    def wrapped(self: Any) -> None:
        for worker, results in zip(self._workers, getattr(self, "_results_queues", ()), strict=False):
            while worker.is_alive() and self._stop_event.is_set():
                _empty(results)
                worker.join(0.01)
        join(self)

    module.ThreadPool.join = wrapped


def _empty(results: "queue.Queue[Any]") -> None:
    while True:
        try:
            results.get_nowait()
        except queue.Empty:
            return
