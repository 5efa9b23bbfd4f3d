"""Threads: readers ended early with rows missing, used a whole core while they waited, and gave another order each time.

The end was taken for reached when all that had been ventilated *so far* was done and then the ventilator had finished: what it
put in between was lost. A worker that had nothing yet was passed over, whence the order; and nobody slept. Item k goes to worker
k mod n, so its results can be awaited in that worker's queue, whether it has been ventilated yet or not.
"""

import queue
from time import sleep
from types import ModuleType
from typing import Any

from bigdata_ml.petastorm_bridge.repairs.ventilator_failure import raise_failure


def mend(module: ModuleType) -> None:
    """Give results in the order of the items, wait without spinning, end when the last item is done."""
    end = module.EmptyResultError
    processed = module.VentilatedItemProcessedMessage
    patience = module._VERIFY_END_OF_VENTILATION_PERIOD

    def get_results(self: Any) -> Any:
        """Return the next result; raise EmptyResultError after the last, and what a worker raised."""
        any_order = self._shuffle_rows and not self._seed
        while True:
            raise_failure(self)
            finished = self._ventilator is None or self._ventilator.completed()
            if finished and sum(self._ventilated_items_processed_by_worker) == self._ventilated_items:
                raise end
            try:
                result = (
                    _first_there(self) if any_order else self._results_queues[self._get_results_worker_id].get(timeout=patience)
                )
            except queue.Empty:
                _refuse_to_wait_for_the_dead(self)
                continue
            if isinstance(result, processed):
                self._ventilated_items_processed_by_worker[self._get_results_worker_id] += 1
                if self._ventilator is not None:
                    self._ventilator.processed_item()
                self._get_results_worker_id = (self._get_results_worker_id + 1) % self.workers_count
            elif isinstance(result, Exception):
                self.stop()
                self.join()
                raise result
            else:
                return result

    module.ThreadPool.get_results = get_results


def _first_there(self: Any) -> Any:
    """Return a result of the next worker that has one; without a seed no order is promised."""
    for step in range(self.workers_count):
        worker = (self._get_results_worker_id + step) % self.workers_count
        if not self._results_queues[worker].empty():
            self._get_results_worker_id = worker
            return self._results_queues[worker].get_nowait()
    sleep(0.001)
    raise queue.Empty


def _refuse_to_wait_for_the_dead(self: Any) -> None:
    if self._stop_event.is_set() and not any(worker.is_alive() for worker in self._workers):
        raise RuntimeError("reading was stopped, by an error or by stop(), before all rows were given")
    for number, (worker, results) in enumerate(zip(self._workers, self._results_queues, strict=True)):
        if not worker.is_alive() and results.empty() and not self._stop_event.is_set():
            self.stop()
            self.join()
            raise RuntimeError(
                f"worker thread {number} ended before its work was done: the rows it held are lost, so reading stops"
            )
