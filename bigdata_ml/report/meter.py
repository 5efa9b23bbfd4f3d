"""The rates of a training loop: rows a second, and the share of time in which the device waited for data."""

import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Meter", "peak_rss_mb"]


class Meter:
    """Measures one pass of a loop, from its making to the last `step`.

    On a GPU, where steps run on after the call returns, wait for the device before the last `step`.

    Attributes:
        rows, steps: counted so far.
        seconds: from making the meter to the end of the last step or wait, or `stop`.
        wait_seconds: of them, spent inside `waiting`.

    >>> meter = Meter()
    >>> for batch in [[1, 2], [3]]:
    ...     with meter.waiting():
    ...         pass
    ...     meter.step(len(batch))
    >>> meter.rows
    3
    """

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._start = clock()
        self.rows = 0
        self.steps = 0
        self.seconds = 0.0
        self.wait_seconds = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the body as waiting for data."""
        start = self._clock()
        try:
            yield
        finally:
            end = self._clock()
            self.wait_seconds += end - start
            self.seconds = end - self._start

    def step(self, rows: int) -> None:
        """Count a step of `rows` rows that has just ended."""
        self.rows += rows
        self.steps += 1
        self.seconds = self._clock() - self._start

    def stop(self) -> None:
        """Count the time up to now, such as that in which a device finished its last step."""
        self.seconds = self._clock() - self._start

    @property
    def rows_per_second(self) -> float:
        """Rows a second over the whole time, waiting included; 0 before any time has passed."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def stall(self) -> float:
        """Share of the time spent waiting for data, 0 … 1."""
        return min(1.0, self.wait_seconds / self.seconds) if self.seconds > 0 else 0.0


def peak_rss_mb() -> float:
    """Return this process's peak resident memory, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
