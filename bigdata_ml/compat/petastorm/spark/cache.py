"""DataFrames that this process has written, found again by plan and data."""

import atexit
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bigdata_ml.compat.petastorm.reading.opening import reader_url
from bigdata_ml.compat.petastorm.spark.fingerprint import analyzed_plan, data_fingerprint
from bigdata_ml.compat.petastorm.spark.materialize import WriteSettings
from bigdata_ml.errors import BigDataMLError
from bigdata_ml.storage import locate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Cache", "delete_directory", "register_delete_dir_handler"]

DeleteHandler = Callable[[str], None]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A DataFrame that is being written or has been; of its plan the JVM's object alone is held."""

    application: str
    plan: Any
    data: str | None
    settings: WriteSettings
    url: "Future[str]" = field(default_factory=Future)

    def is_same(self, other: "_Entry") -> bool:
        if self.data is None or (self.application, self.data, self.settings) != (other.application, other.data, other.settings):
            return False
        return bool(self.plan.sameResult(other.plan))


class Cache:
    """What has been written. Threads share it: those that ask for the same rows wait for the one that writes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []

    def url_of(self, rows: "DataFrame", settings: WriteSettings, write: Callable[["DataFrame", WriteSettings], str]) -> str:
        """Return where the rows lie, written by `write` unless rows of the same plan, data and settings lie there already."""
        application = str(rows.sparkSession.sparkContext.applicationId)
        wanted = _Entry(application, analyzed_plan(rows), data_fingerprint(rows), settings)
        if wanted.data is None:
            _log.info("the DataFrame's data may change unseen, so it is written anew whenever a converter is made of it")
        while True:
            with self._lock:
                known = next((entry for entry in self._entries if entry.is_same(wanted)), None)
                if known is None:
                    self._entries.append(wanted)
            if known is None:
                return self._written(wanted, rows, write)
            url = known.url.result()
            if locate(reader_url(url)).exists():
                return url
            # Somebody else deleted it.
            self._forget(known)

    def forget(self, url: str) -> bool:
        """Drop what lies at `url`, and return whether it was known."""
        with self._lock:
            to_delete = [
                entry for entry in self._entries if entry.url.done() and not entry.url.exception() and entry.url.result() == url
            ]
        for entry_to_delete in to_delete:
            self._forget(entry_to_delete)
        return bool(to_delete)

    def delete_all(self) -> None:
        """Delete everything, as far as that can be done; what cannot is logged."""
        with self._lock:
            written = [entry.url.result() for entry in self._entries if entry.url.done() and not entry.url.exception()]
            self._entries.clear()
        for url in written:
            try:
                delete_directory(url)
            # The process ends, and the handler may be the user's own.
            except Exception as error:  # noqa: BLE001
                _log.warning("%s could not be deleted, do it by hand: %s", url, error)

    def _written(self, entry: _Entry, rows: "DataFrame", write: Callable[["DataFrame", WriteSettings], str]) -> str:
        try:
            url = write(rows, entry.settings)
        except BaseException as error:
            self._forget(entry)
            # Those who wait get the error too.
            entry.url.set_exception(error)
            raise
        entry.url.set_result(url)
        return url

    def _forget(self, entry: _Entry) -> None:
        with self._lock:
            # By identity: entries hold objects of the JVM.
            self._entries[:] = [other for other in self._entries if other is not entry]


def delete_directory(url: str) -> None:
    """Delete a directory by the handler that is registered, else by `bigdata_ml.storage`."""
    _handlers[-1](url)


def register_delete_dir_handler(handler: DeleteHandler | None) -> None:
    """Let `handler`, a function of a directory's URL, delete what converters wrote; None is this package's own way again."""
    _handlers[1:] = [] if handler is None else [handler]


def _delete_by_storage(url: str) -> None:
    try:
        locate(reader_url(url)).delete()
    except (OSError, ValueError) as error:
        raise BigDataMLError(
            f"{url} cannot be deleted: {error}; delete it by hand, or give your own way to register_delete_dir_handler()"
        ) from error


_handlers: list[DeleteHandler] = [_delete_by_storage]
# One a process, like Spark's session: a converter made anywhere finds what another wrote.
CACHE = Cache()
atexit.register(CACHE.delete_all)
