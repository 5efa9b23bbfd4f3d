"""Reading and decoding in parallel: one thread reads, others decode its batches, in order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from bigdata_ml.reader.assemble.step_batch import StepBatch
from bigdata_ml.reader.epoch_batches import EpochBatches
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.reader.iteration import Ready

__all__ = ["DecodedBatches"]

_Batch = TypeVar("_Batch")
Finish = Callable[[EpochBatches, StepBatch], Ready[_Batch]]


class DecodedBatches(Iterator[Ready[_Batch]]):
    """The result of `finish` for each step, in order.

    At the end, after an error and in `close` it waits for its threads. The finaliser only asks them to end: the garbage
    collector may run it in a thread that holds a lock which they need to end.

    Args:
        batches: the stored rows of each step.
        finish: decodes a step's rows; several threads call it.
        num_workers: decoding threads; 0 reads and decodes in the calling thread.
        prefetch: steps to read ahead, 1 or more.
        light: whether `finish` is little work, which the reading thread then does too: threads that compete for Python's lock
            slow each other down.
    """

    def __init__(self, batches: EpochBatches, finish: Finish[_Batch], *, num_workers: int, prefetch: int, light: bool) -> None:
        self._stored, self._finish, self._stop = batches, finish, Stop()
        self._steps = iter(batches.steps)
        self._prefetch, self._light = prefetch, light
        self._waiting: deque[Future[Ready[_Batch]]] = deque()
        # One thread reads, in order, so that a row group is read once.
        self._read = ThreadPoolExecutor(1, "read") if num_workers else None
        self._decode = ThreadPoolExecutor(num_workers, "decode") if num_workers else None

    def __next__(self) -> Ready[_Batch]:
        try:
            if self._read is None or self._decode is None:
                next(self._steps)
                return self._finish(self._stored, self._stored.next())
            self._submit(self._read, self._decode)
            if not self._waiting:
                raise StopIteration
            return self._waiting.popleft().result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the reading and wait for its threads."""
        self._stop.is_said = True
        self._steps = iter(range(0))
        pools = [pool for pool in (self._read, self._decode) if pool is not None]
        for pool in pools:
            pool.shutdown(wait=False, cancel_futures=True)
        for pool in pools:
            pool.shutdown(wait=True)
        self._waiting.clear()
        self._stored.close()

    def __del__(self) -> None:
        # Ctrl-C may interrupt the constructor before its first line.
        if hasattr(self, "_stop"):
            self._stop.is_said = True
            self._stored.stop()

    def _submit(self, read: ThreadPoolExecutor, decode: ThreadPoolExecutor) -> None:
        """Submit the next step and those to read ahead."""
        while len(self._waiting) <= self._prefetch and next(self._steps, None) is not None:
            if self._light:
                self._waiting.append(read.submit(_read_and_finish, self._stored, self._finish, self._stop))
            else:
                step_batch = read.submit(_read, self._stored, self._stop)
                self._waiting.append(decode.submit(_finish, self._stored, self._finish, step_batch))


def _read(batches: EpochBatches, stop: Stop) -> StepBatch:
    try:
        stop.check()
        return batches.next()
    finally:
        if stop.is_said:
            # Unlike the finaliser that asked to stop, this thread may wait for those that read ahead.
            batches.close()


def _finish(batches: EpochBatches, finish: Finish[_Batch], step_batch: "Future[StepBatch]") -> Ready[_Batch]:
    return finish(batches, step_batch.result())


def _read_and_finish(batches: EpochBatches, finish: Finish[_Batch], stop: Stop) -> Ready[_Batch]:
    return finish(batches, _read(batches, stop))
