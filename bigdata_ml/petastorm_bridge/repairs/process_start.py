"""Worker processes had 20 s to start and to take an item: too short on a busy machine, and wasted on dead processes."""

import time
from types import ModuleType
from typing import Any

from bigdata_ml.petastorm_bridge.repairs.process_results import ended_worker
from bigdata_ml.petastorm_bridge.worker_start import pickled_item

_SECONDS_TO_START = 600


def mend(module: ModuleType) -> None:
    """Wait for as long as the processes live; a reader that stops waits for none."""
    import zmq

    started = module._WORKER_STARTED_INDICATOR

    def wait_for_workers_to_start(self: Any) -> None:
        """Return when all processes have said that they run."""
        limit = time.monotonic() + _SECONDS_TO_START
        waiting = self.workers_count
        while waiting:
            if self._results_receiver_poller.poll(100):
                if self._results_receiver.recv_pyobj() != started:
                    raise RuntimeError("a worker process sent something before it said that it had started")
                waiting -= 1
                continue
            ended = [process for process in self._workers if process.poll() is not None]
            if ended or time.monotonic() > limit:
                _give_up(self, ended)

    def ventilate(self: Any, *args: Any, **kwargs: Any) -> None:
        """Send an item to a worker process; while none takes it, wait until one does or reading is stopped."""
        self._ventilated_items += 1
        item = pickled_item((args, kwargs))
        while self._ventilator is None or not self._ventilator._stop_requested:
            try:
                self._ventilator_send.send(item, flags=zmq.NOBLOCK)
                return
            except zmq.Again as error:
                if all(process.poll() is not None for process in self._workers):
                    raise RuntimeError(f"no worker process is left to take an item: {ended_worker(self)}") from error
                time.sleep(0.01)

    module.ProcessPool._wait_for_workers_to_start = wait_for_workers_to_start
    module.ProcessPool.ventilate = ventilate


def _give_up(self: Any, ended: list[Any]) -> None:
    for process in self._workers:
        process.kill()
        process.wait()
    for socket in (self._ventilator_send, self._control_sender, self._results_receiver):
        socket.close(linger=0)
    self._context.destroy()
    reason = (
        f"worker process (pid {ended[0].pid}) ended with code {ended[0].returncode} before it had started"
        if ended
        else (f"worker processes had not started after {_SECONDS_TO_START} s")
    )
    raise RuntimeError(f"{reason}: see its output on stderr above")
