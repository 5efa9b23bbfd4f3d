"""An error while items were assigned, for example in pickling, ended only that thread, and the reader waited forever."""

import functools
from types import ModuleType
from typing import Any

__all__ = ["mend", "raise_failure"]


def mend(module: ModuleType) -> None:
    """Keep the error, and raise it when results are requested."""
    ventilate = module.ConcurrentVentilator._ventilate

    @functools.wraps(ventilate)
    def wrapped(self: Any) -> None:
        try:
            ventilate(self)
        except Exception as error:  # noqa: BLE001 - it is raised again in the reader's thread
            self._bridge_failure = error

    module.ConcurrentVentilator._ventilate = wrapped


def raise_failure(pool: Any) -> None:
    """Raise what ended the pool's ventilator, if an error did."""
    failure = getattr(pool._ventilator, "_bridge_failure", None)
    if failure is not None:
        pool.stop()
        pool.join()
        raise RuntimeError(f"row groups could not be handed to the workers: {failure}") from failure
