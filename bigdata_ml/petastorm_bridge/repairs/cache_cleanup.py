"""A disk cache that was removed while worker threads stored into it was there again, or was left half removed."""

import functools
import threading
from types import ModuleType
from typing import Any


def mend(module: ModuleType) -> None:
    """Let stores that have begun end before a cache is removed, and store nothing after."""
    cache = module.LocalDiskCache
    get, cleanup = cache.get, cache.cleanup

    @functools.wraps(get)
    def wrapped_get(self: Any, key: Any, fill_cache_func: Any) -> Any:
        gate = self.__dict__.setdefault("_bridge_gate", _Gate())
        if not gate.enter():
            return fill_cache_func()
        try:
            return get(self, key, fill_cache_func)
        finally:
            gate.leave()

    @functools.wraps(cleanup)
    def wrapped_cleanup(self: Any) -> None:
        if self._cleanup:
            self.__dict__.setdefault("_bridge_gate", _Gate()).shut()
        cleanup(self)

    cache.get, cache.cleanup = wrapped_get, wrapped_cleanup


class _Gate:
    """Open, with a number of threads inside, or shut; in another process it is a gate of its own."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._open = True

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return type(self), ()

    def enter(self) -> bool:
        with self._condition:
            self._inside += self._open
            return self._open

    def leave(self) -> None:
        with self._condition:
            self._inside -= 1
            self._condition.notify_all()

    def shut(self) -> None:
        with self._condition:
            self._open = False
            self._condition.wait_for(lambda: self._inside == 0)
