"""A file that is sent to its store when it is closed."""

import io
import tempfile
from collections.abc import Callable
from typing import IO, Any

__all__ = ["SpooledFile"]


class SpooledFile(io.RawIOBase):
    """Bytes that wait in a temporary file (in TMPDIR) until they are sent as a whole.

    So they can be sent again: a DataNode that is lost half-way takes with it what it was sent.

    Args:
        send: sends a file, which it reads from the beginning as often as it likes.
    """

    def __init__(self, send: Callable[[IO[bytes]], None]) -> None:
        super().__init__()
        self._send = send
        self._waiting = tempfile.TemporaryFile()  # noqa: SIM115  `close` closes it

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written so far."""
        return self._waiting.tell()

    def write(self, data: Any) -> int:
        """Take bytes."""
        return self._waiting.write(data)

    def close(self) -> None:
        """Send the file.

        Raises:
            OSError: the store does not take it.
        """
        if not self.closed:
            super().close()
            with self._waiting:
                self._send(self._waiting)
