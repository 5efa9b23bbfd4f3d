"""Process pool: readers could end early, as with threads, and waited forever for a killed worker."""

import pickle
import time
from types import ModuleType
from typing import Any

from bigdata_ml.petastorm_bridge.repairs.ventilator_failure import raise_failure

__all__ = ["ended_worker", "mend"]

_SECONDS_BETWEEN_LOOKS = 0.5


def mend(module: ModuleType) -> None:
    """Ask whether the ventilator has finished first; look at the worker processes while waiting."""
    end = module.EmptyResultError
    processed = module.VentilatedItemProcessedMessage
    patience_ms = module._VERIFY_END_OF_VENTILATION_PERIOD * 1000

    def get_results(self: Any) -> Any:
        """Return the next result; raise EmptyResultError after the last, and what a worker raised."""
        while True:
            raise_failure(self)
            finished = self._ventilator is None or self._ventilator.completed()
            if finished and self._ventilated_items == self._ventilated_items_processed:
                raise end
            dead = _dead_worker(self)
            # What a worker sent before it died comes first: it may be the reason.
            if not self._results_receiver_poller.poll(0 if dead else patience_ms):
                if dead:
                    _stop_and_raise(self, dead)
                continue
            result, message = self._results_receiver.recv_multipart(copy=self._zmq_copy_buffers)
            message = pickle.loads(message)
            if isinstance(message, processed):
                self._ventilated_items_processed += 1
                if self._ventilator is not None:
                    self._ventilator.processed_item()
            elif isinstance(message, Exception):
                self.stop()
                self.join()
                raise message
            else:
                return self._serializer.deserialize(result if self._zmq_copy_buffers else result.buffer)

    module.ProcessPool.get_results = get_results


def _dead_worker(self: Any) -> str | None:
    """Return a message about a process that has ended; checks every half second."""
    now = time.monotonic()
    if now < getattr(self, "_bridge_next_look", 0.0):
        return None
    message = ended_worker(self)
    if message is None:
        self._bridge_next_look = now + _SECONDS_BETWEEN_LOOKS
    return message


def ended_worker(pool: Any) -> str | None:
    """Return a message about the first process of a pool that has ended, or None."""
    ended = next(((number, process) for number, process in enumerate(pool._workers) if process.poll() is not None), None)
    if ended is None:
        return None
    number, process = ended
    code = process.returncode
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    return (
        f"worker process {number} (pid {process.pid}) {how} before its work was done: the rows it held are lost, so reading stops"
    )


def _stop_and_raise(self: Any, text: str) -> None:
    for process in self._workers:
        process.kill()
    self.stop()
    self.join()
    raise RuntimeError(text)
