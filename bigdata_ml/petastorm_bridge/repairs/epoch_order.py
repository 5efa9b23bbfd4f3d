"""Row groups were shuffled once, so every epoch repeated the first; 0.12 shuffled at each epoch, as the argument still says."""

from time import sleep
from types import ModuleType
from typing import Any

import numpy as np


def mend(module: ModuleType) -> None:
    """Shuffle at the start of each epoch; the first epoch's order stays what its seed gave before."""
    module.ConcurrentVentilator._ventilate = _ventilate


def _ventilate(self: Any) -> None:
    while not self.completed():
        if self._current_item_to_ventilate == 0 and self._randomize_item_order:
            self._items_to_ventilate = _shuffled(self)
        for item in self._items_to_ventilate[self._current_item_to_ventilate :]:
            while self._ventilated_items_count - self._processed_items_count >= self._max_ventilation_queue_size:
                if self._stop_requested:
                    return
                sleep(self._ventilation_interval)
            if self._stop_requested:
                return
            # Counted before it is sent: its results may be there before this thread goes on.
            self._ventilated_items_count += 1
            self._ventilate_fn(**item)
            self._current_item_to_ventilate += 1
        self._current_item_to_ventilate = 0
        if self._iterations_remaining is not None:
            self._iterations_remaining -= 1


def _shuffled(self: Any) -> list[dict[str, Any]]:
    # Petastorm takes a seed of 0 for none.
    permute = self._rng.permutation if self._random_seed else np.random.permutation
    return list(permute(self._items_to_ventilate))
