"""Reading and decoding side by side: one thread reads, others finish what it has read, in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

from bigdata_ml.reader.arrow import Gathering
from bigdata_ml.reader.cursor import Ready
from bigdata_ml.reader.gather import Gathered

__all__ = ["finished"]

_Batch = TypeVar("_Batch")
Finish = Callable[[Gathering, Gathered], Ready[_Batch]]


def finished(
    gathering: Gathering, finish: Finish[_Batch], *, num_workers: int, prefetch: int, light: bool
) -> Iterator[Ready[_Batch]]:
    """Yield what `finish` makes of each step, in order; an iteration that is left early ends its threads.

    Args:
        gathering: what is read.
        finish: decodes a step's rows; called from several threads.
        num_workers: decoding threads; 0 reads and decodes in the caller's.
        prefetch: steps that are read ahead, 1 or more.
        light: whether `finish` is so little work that the reading thread does it too: threads that take turns at Python's lock
            for small steps hinder each other.
    """
    with closing(gathering):
        if num_workers == 0:
            for _ in gathering.steps:
                yield finish(gathering, gathering.next())
            return
        yield from _by_threads(gathering, finish, num_workers=num_workers, prefetch=prefetch, light=light)


def _by_threads(
    gathering: Gathering, finish: Finish[_Batch], *, num_workers: int, prefetch: int, light: bool
) -> Iterator[Ready[_Batch]]:
    waiting: deque[Future[Ready[_Batch]]] = deque()
    # One thread reads, in order, so that a row group is read once.
    with ThreadPoolExecutor(1, "read") as read, ThreadPoolExecutor(num_workers, "decode") as decode:
        try:
            for _ in gathering.steps:
                if light:
                    waiting.append(read.submit(lambda: finish(gathering, gathering.next())))
                else:
                    waiting.append(decode.submit(_finish_read, gathering, finish, read.submit(gathering.next)))
                if len(waiting) > prefetch:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            read.shutdown(wait=False, cancel_futures=True)
            decode.shutdown(wait=False, cancel_futures=True)


def _finish_read(gathering: Gathering, finish: Finish[_Batch], gathered: "Future[Gathered]") -> Ready[_Batch]:
    return finish(gathering, gathered.result())
