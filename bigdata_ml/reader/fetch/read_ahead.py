"""Row groups read by threads before they are needed, in the order of their need."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

__all__ = ["Need", "ReadAhead", "Stop"]

_Use = TypeVar("_Use")
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class Need(Generic[_Use]):
    """A row group that a step is the first to need, and what for."""

    step: int
    group: int
    use: _Use


class Stop:
    """Says to threads that nobody wants what they read; a finaliser may say it, since it takes no lock."""

    def __init__(self) -> None:
        self.is_said = False

    def check(self) -> None:
        """Raise RuntimeError if it was said."""
        if self.is_said:
            raise RuntimeError("the iteration was left: nothing more is read for it")


class ReadAhead(Generic[_Use, _Read]):
    """Hands out row groups as steps need them; the next ones are being read meanwhile.

    Args:
        needs: in the order of their steps; taken from the thread that calls `due`, some before their step.
        read: returns what is read of a row group; called from several threads at once where groups are read ahead.
        groups: how many are read ahead, each by a thread of its own; 0 reads a group when it is asked for.
    """

    def __init__(self, needs: Iterator[Need[_Use]], read: Callable[[Need[_Use]], _Read], *, groups: int = 0) -> None:
        self._needs, self._read = needs, read
        self._ahead = max(1, groups)
        self._threads = ThreadPoolExecutor(groups, "fetch") if groups else None
        self._waiting: deque[tuple[Need[_Use], Callable[[], _Read]]] = deque()
        self._stop = Stop()

    def due(self, step: int) -> Iterator[tuple[Need[_Use], Callable[[], _Read]]]:
        """Yield what a step needs and none before it did; calling the second returns the columns, or raises as `read` does."""
        self._fill()
        while self._waiting and self._waiting[0][0].step <= step:
            pending = self._waiting.popleft()
            self._fill()
            yield pending

    def stop(self) -> None:
        """Have the threads end by themselves, without waiting for them nor for any lock: a finaliser may call it."""
        self._stop.is_said = True
        # A generator of the caller's holds the caller, and would keep what that holds until the garbage is collected.
        self._needs = iter(())

    def close(self) -> None:
        """Read no further: groups that a thread has begun are read to their end."""
        self.stop()
        self._waiting.clear()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _fill(self) -> None:
        while len(self._waiting) < self._ahead:
            need = next(self._needs, None)
            if need is None or self._stop.is_said:
                return
            if self._threads is None:
                self._waiting.append((need, partial(self._read, need)))
            else:
                self._waiting.append((need, self._threads.submit(_read_unless, self._stop, self._read, need).result))


def _read_unless(stop: Stop, read: Callable[[Need[_Use]], _Read], need: Need[_Use]) -> _Read:
    stop.check()
    return read(need)
