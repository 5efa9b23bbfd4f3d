"""Reading and decoding side by side: one thread reads, others finish what it has read, in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from bigdata_ml.reader.assemble.gather import Gathered
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.reader.iteration import Ready
from bigdata_ml.reader.reader import Gathering

__all__ = ["Finished"]

_Batch = TypeVar("_Batch")
Finish = Callable[[Gathering, Gathered], Ready[_Batch]]


class Finished(Iterator[Ready[_Batch]]):
    """What `finish` makes of each step, in order.

    At its end, at an error and by `close` its threads are waited for. One that is let go of tells them to end and waits for
    nothing: the garbage collector may do that anywhere, in a thread that holds the lock which they need to end, too.

    Args:
        gathering: what is read.
        finish: decodes a step's rows; called from several threads.
        num_workers: decoding threads; 0 reads and decodes in the caller's.
        prefetch: steps that are read ahead, 1 or more.
        light: whether `finish` is so little work that the reading thread does it too: threads that take turns at Python's lock
            for small steps hinder each other.
    """

    def __init__(self, gathering: Gathering, finish: Finish[_Batch], *, num_workers: int, prefetch: int, light: bool) -> None:
        self._gathering, self._finish, self._stop = gathering, finish, Stop()
        self._steps = iter(gathering.steps)
        self._prefetch, self._light = prefetch, light
        self._waiting: deque[Future[Ready[_Batch]]] = deque()
        # One thread reads, in order, so that a row group is read once.
        self._read = ThreadPoolExecutor(1, "read") if num_workers else None
        self._decode = ThreadPoolExecutor(num_workers, "decode") if num_workers else None

    def __next__(self) -> Ready[_Batch]:
        try:
            if self._read is None or self._decode is None:
                next(self._steps)
                return self._finish(self._gathering, self._gathering.next())
            self._ask(self._read, self._decode)
            if not self._waiting:
                raise StopIteration
            return self._waiting.popleft().result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the reading and wait for the threads."""
        self._stop.is_said = True
        self._steps = iter(range(0))
        pools = [pool for pool in (self._read, self._decode) if pool is not None]
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in pools:
            pool.shutdown(wait=True)
        self._waiting.clear()
        self._gathering.close()

    def __del__(self) -> None:
        self._stop.is_said = True
        self._gathering.stop()

    def _ask(self, read: ThreadPoolExecutor, decode: ThreadPoolExecutor) -> None:
        """Have as many steps made ahead as are asked for, and the one that is handed out."""
        while len(self._waiting) <= self._prefetch and next(self._steps, None) is not None:
            if self._light:
                self._waiting.append(read.submit(_read_and_finish, self._gathering, self._finish, self._stop))
            else:
                gathered = read.submit(_read, self._gathering, self._stop)
                self._waiting.append(decode.submit(_finish, self._gathering, self._finish, gathered))


def _read(gathering: Gathering, stop: Stop) -> Gathered:
    try:
        stop.check()
        return gathering.next()
    finally:
        if stop.is_said:
            # This thread may wait for those that read ahead, as the finaliser that said it may not.
            gathering.close()


def _finish(gathering: Gathering, finish: Finish[_Batch], gathered: "Future[Gathered]") -> Ready[_Batch]:
    return finish(gathering, gathered.result())


def _read_and_finish(gathering: Gathering, finish: Finish[_Batch], stop: Stop) -> Ready[_Batch]:
    return finish(gathering, _read(gathering, stop))
