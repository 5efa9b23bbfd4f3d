"""A file by WebHDFS: when the DataNode that serves it is lost, the NameNode is asked for another one."""

import importlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from urllib.parse import urlsplit

__all__ = ["WebHdfsReadFile", "send_by_webhdfs", "webhdfs_errors"]

# DataNodes lost one after the other, without a byte between, before a read or a write gives up.
_ATTEMPTS = 4
_PIECE = 2**20
_OF_JAVA = {
    "AccessControlException": PermissionError,
    "BlockMissingException": ConnectionError,
    "ConnectException": ConnectionError,
    "ConnectTimeoutException": TimeoutError,
    "FileAlreadyExistsException": FileExistsError,
    "FileNotFoundException": FileNotFoundError,
    "IOException": ConnectionError,
    "NoRouteToHostException": ConnectionError,
    "ParentNotDirectoryException": NotADirectoryError,
    "RetriableException": ConnectionError,
    "SecurityException": PermissionError,
    "SocketTimeoutException": TimeoutError,
    "StandbyException": ConnectionError,
}


@contextmanager
def webhdfs_errors(path: str) -> Iterator[None]:
    """Raise what HDFS refuses of `path` as the OSError that Python has for it; failures of connections are OSErrors already."""
    try:
        yield
    except importlib.import_module("hdfs").HdfsError as error:
        raise _os_error(path, error.exception, str(error)) from error


class WebHdfsReadFile(io.RawIOBase):
    """A file that is read by ranges: each `read` asks for just its bytes, and goes on elsewhere when a DataNode is lost.

    Args:
        client: of the package hdfs.
        path: the file's, on HDFS.
        size: its bytes.
    """

    def __init__(self, client: Any, path: str, size: int) -> None:
        super().__init__()
        self._client, self._path, self._size, self._position = client, path, size, 0
        self._lost = _LostDataNodes(client, path)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the file."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the file and return it."""
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes from the position on, or those up to the end.

        Raises:
            OSError: no DataNode gives them.
        """
        end = self._size if size < 0 else min(self._position + size, self._size)
        data = bytearray()
        while self._position < end:
            before = len(data)
            with self._lost.noting():
                for piece in self._pieces(end - self._position):
                    data += piece
                    self._position += len(piece)
                if len(data) == before:
                    raise OSError(f"{self._path}: ends at byte {self._position}, and had {self._size} when it was opened")
            if len(data) > before:
                self._lost.in_a_row = 0
        return bytes(data)

    def _pieces(self, length: int) -> Iterator[bytes]:
        with webhdfs_errors(self._path):
            names = self._lost.names
            response = self._client._open(self._path, offset=self._position, length=length, excludedatanodes=names)
        with response:
            self._lost.asked = response.url
            yield from response.iter_content(_PIECE)


def send_by_webhdfs(client: Any, path: str, file: IO[bytes]) -> None:
    """Make the file at `path`, which is replaced if it is there; it is sent again elsewhere when a DataNode is lost.

    Args:
        client: of the package hdfs.
        path: the file's, on HDFS.
        file: its bytes.

    Raises:
        OSError: no DataNode takes it.
    """
    lost = _LostDataNodes(client, path)
    answer = None
    while answer is None:
        with lost.noting(), webhdfs_errors(path):
            lost.asked = client._create(path, overwrite=True, excludedatanodes=lost.names).headers["location"]
            # Of an empty file requests would not say the length, and the DataNode waits for it.
            data = file if file.seek(0, os.SEEK_END) else b""
            file.seek(0)
            answer = client._request("PUT", lost.asked, data=data)
    if not answer.ok:
        raise _refusal(path, answer)


class _LostDataNodes:
    """The DataNodes that failed while one file was read or written, as `excludedatanodes` names them."""

    def __init__(self, client: Any, path: str) -> None:
        self._client, self._path = client, path
        self._names: list[str] = []
        self._connection_error = importlib.import_module("requests").exceptions.RequestException
        self.asked: str | None = None
        self.in_a_row = 0

    @property
    def names(self) -> str | None:
        """What the NameNode is told; None if none was lost."""
        return ",".join(self._names) or None

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note the DataNode if the connection to it fails in the body, so that the caller can try another one.

        Raises:
            ConnectionError: the NameNode does not answer, or too many DataNodes failed in a row.
        """
        self.asked = None
        try:
            yield
        except self._connection_error as error:
            # Where the answer did not begin, the error knows to whom the NameNode had pointed.
            request = getattr(error, "request", None)
            place = urlsplit(self.asked or (request.url if request is not None else "") or "").netloc
            self.in_a_row += 1
            if place in ("", urlsplit(self._client.url).netloc) or self.in_a_row == _ATTEMPTS:
                raise ConnectionError(f"{self._path}: {place or self._client.url} failed: {error}") from error
            self._names.append(_transfer_address(self._client, place))


def _transfer_address(client: Any, web_address: str) -> str:
    """Return the name by which the NameNode excludes the DataNode at an HTTP address.

    That is host and port of block transfer, which its list of DataNodes has; where the list cannot be read, the host
    alone, which stands for any DataNode there.
    """
    host, _, port = web_address.partition(":")
    try:
        answer = client._request("GET", f"{client.url}/jmx", params={"qry": "Hadoop:service=NameNode,name=NameNodeInfo"})
        nodes = json.loads(answer.json()["beans"][0]["LiveNodes"])
    except (OSError, ValueError, LookupError):
        return host
    for name, node in nodes.items():
        of_node, _, its_port = node["infoAddr"].rpartition(":")
        if its_port == port and host in (of_node, name.partition(":")[0]):
            return str(node["xferaddr"])
    return host


def _refusal(path: str, answer: Any) -> OSError:
    try:
        said = answer.json()["RemoteException"]
    except (ValueError, LookupError):
        return ConnectionError(f"{path}: {answer.url} answered {answer.status_code} {answer.reason}")
    return _os_error(path, said.get("exception"), str(said.get("message")))


def _os_error(path: str, java_class: str | None, text: str) -> OSError:
    # A Java stack trace follows what a reader needs.
    return _OF_JAVA.get(java_class or "", OSError)(f"{path}: {text.split(chr(10), maxsplit=1)[0][:300]}")
