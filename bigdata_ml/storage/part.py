"""A file of which one part is in memory."""

import io

__all__ = ["FilePart"]


class FilePart(io.RawIOBase):
    """Bytes at their place in a file; reading outside them is an OSError.

    Args:
        data: the part.
        offset: where it begins in the file.
        size: bytes of the whole file.
    """

    def __init__(self, data: bytes, offset: int, size: int) -> None:
        super().__init__()
        self._data, self._offset, self._size, self._position = memoryview(data), offset, size, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in the file."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place in the file and return it."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes from the position on.

        Raises:
            OSError: some of them lie outside the part.
        """
        begin = self._position - self._offset
        if size < 0 or not 0 <= begin <= begin + size <= len(self._data):
            raise OSError(f"{size} bytes at {self._position} lie outside the row group")
        self._position += size
        return bytes(self._data[begin : begin + size])
