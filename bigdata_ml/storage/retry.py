"""A store that fails for a while, told from a file that is broken: it is asked again, and then the failure is said to be its."""

import errno
import logging
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.shown import shown

__all__ = ["Retry", "is_store_failure"]

_log = logging.getLogger(__name__)
_Made = TypeVar("_Made")

# Seconds between two looks at whether anybody still waits.
_LOOK = 0.05
_NUMBERS = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EIO,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.ESHUTDOWN,
        errno.ESTALE,
        errno.ETIMEDOUT,
        # Linux alone has this one.
        getattr(errno, "EREMOTEIO", errno.EIO),
        # libhdfs: an exception in Java for which it has no number.
        255,
    }
)
# By package and name, since none of them need be installed; some are no OSErrors.
_CLASSES = {
    ("aiohttp", "ClientError"),
    ("asyncio", "TimeoutError"),
    ("azure", "AzureError"),
    ("botocore", "BotoCoreError"),
    ("gcsfs", "HttpError"),
    ("http", "HTTPException"),
    ("requests", "RequestException"),
    ("urllib3", "HTTPError"),
}
# What Arrow's own clients raise has neither class nor number. Its S3 client calls a missing key a FileNotFoundError.
_TEXT = re.compile(
    r"AWS Error (?!ACCESS_DENIED|NO_SUCH|INVALID_)|google::cloud::Status\((UNAVAILABLE|DEADLINE|INTERNAL|RESOURCE)"
)
_OF_THE_FILE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
# Not the module's own, whose seed is the caller's.
_jitter = random.SystemRandom()


def is_store_failure(error: BaseException | None) -> bool:
    """Whether an error says that a store or the way to it failed, and nothing about the file that was read."""
    if error is None or isinstance(error, _OF_THE_FILE):
        return False
    if isinstance(error, StorageUnavailable):
        return is_store_failure(error.__cause__)
    if isinstance(error, ConnectionError | TimeoutError) or any(
        (error_class.__module__.partition(".")[0], error_class.__name__) in _CLASSES for error_class in type(error).__mro__
    ):
        return True
    if not isinstance(error, OSError):
        return False
    if error.errno is not None:
        return error.errno in _NUMBERS
    return _TEXT.search(str(error)) is not None or is_store_failure(error.__cause__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a store is asked, and the seconds after its first failure: twice as many each time, up to half of it left out."""

    attempts: int = 4
    first_wait: float = 0.1

    def reading(self, read: Callable[[], _Made], what: str, *, check: Callable[[], None] = lambda: None) -> _Made:
        """Return what `read` does, which is called again while the store fails.

        Args:
            read: raises an error that is the store's by `is_store_failure`, or another, which goes on as it is, as
                StorageUnavailable does.
            what: is said to have failed, such as "URL row group 3: the store".
            check: raises where nobody waits any more; called before every further attempt and while it is waited.

        Raises:
            StorageUnavailable: it failed `attempts` times.
        """
        attempt = 1
        while True:
            try:
                return read()
            except StorageUnavailable:
                # Who raised it has asked often enough.
                raise
            except Exception as error:
                if not is_store_failure(error):
                    raise
                reason = f"{type(error).__name__}: {error}"
                if attempt == self.attempts:
                    text = f"{what} failed {attempt} times, at last with {reason}; the data may be whole: run it again"
                    raise StorageUnavailable(text) from error
            _log.warning("%s failed, it is asked again: %s", shown(what), shown(reason))
            self._wait(self.first_wait * 2 ** (attempt - 1) * _jitter.uniform(0.5, 1), check)
            attempt += 1

    @staticmethod
    def _wait(seconds: float, check: Callable[[], None]) -> None:
        end = time.monotonic() + seconds
        check()
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK))
            check()
