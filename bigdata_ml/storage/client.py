"""Storage clients: each is imported when an URL asks for it, and made once per process."""

import importlib
import os
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from bigdata_ml.errors import StorageUnavailable

__all__ = ["OnePerProcess", "storage_client"]

_Client = TypeVar("_Client")


def storage_client(module: str, *, extra: str, url: str) -> Any:
    """Return the client's module.

    Raises:
        StorageUnavailable: it is not installed; the text names the extra and how it is installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise StorageUnavailable(
            f"{url} needs {module}: install the extra {extra!r} of bigdata_ml (pip install 'bigdata_ml[{extra}]')"
        ) from error


class OnePerProcess(Generic[_Client]):
    """Calls `make` once per process and arguments, and returns the same client to every thread.

    A client's threads do not outlive a fork, and two processes may not share a connection. So a forked process makes its own
    client. It keeps the inherited one untouched: closing it could end the parent's connections.

    Args:
        make: makes a client.
        pause_seconds: a forked process that inherits a client makes its own no sooner after the fork.
    """

    def __init__(self, make: Callable[..., _Client], *, pause_seconds: float = 0.0) -> None:
        self._make, self._pause_seconds = make, pause_seconds
        self._clients: dict[tuple[Hashable, ...], _Client] = {}
        self._lock = threading.Lock()
        self._earliest = 0.0
        os.register_at_fork(after_in_child=self._begin_process)

    def __call__(self, *arguments: Hashable) -> _Client:
        """Return this process's client for these arguments."""
        key = (os.getpid(), *arguments)
        with self._lock:
            if key not in self._clients:
                time.sleep(max(0.0, self._earliest - time.monotonic()))
                self._clients[key] = self._make(*arguments)
            return self._clients[key]

    def _begin_process(self) -> None:
        # Another thread may have held the old one when the process forked.
        self._lock = threading.Lock()
        if self._clients:
            self._earliest = time.monotonic() + self._pause_seconds
