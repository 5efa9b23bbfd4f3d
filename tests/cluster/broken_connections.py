"""A proxy that breaks connections at the first requests of a kind, as a network that fails for a while does."""

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from configuration import HOST

__all__ = ["BreakingProxy", "broken_connections"]

_PIECE = 1 << 16


class BreakingProxy:
    """Passes bytes on to a server of HTTP; where it breaks, the server has the request, and the answer is cut.

    Args:
        target: the server's host and port.
        at: how many requests of each method are broken, the first ones.
    """

    def __init__(self, target: tuple[str, int], at: Mapping[bytes, int]) -> None:
        self._target = target
        self.left = dict(at)
        self.broken = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"
        self.url = f"http://{self.address}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            breaking = threading.Event()
            threading.Thread(target=self._answer, args=(server, client, breaking), daemon=True).start()
            while data := client.recv(_PIECE):
                if self._is_to_break(data.partition(b" ")[0]):
                    breaking.set()
                server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket, breaking: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(_PIECE):
                if breaking.is_set() and not data.startswith(b"HTTP/1.1 100"):
                    client.sendall(data[: len(data) // 2])
                    # Closed so, the other side gets a reset.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def _is_to_break(self, method: bytes) -> bool:
        with self._lock:
            if not self.left.get(method):
                return False
            self.left[method] -= 1
            self.broken += 1
            return True


@contextmanager
def broken_connections(url: str, at: Mapping[bytes, int]) -> Iterator[BreakingProxy]:
    """Run a proxy in front of a server while the body runs."""
    place = urlsplit(url)
    proxy = BreakingProxy((place.hostname or "", place.port or 80), at)
    try:
        yield proxy
    finally:
        proxy.close()
