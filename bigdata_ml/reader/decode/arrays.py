"""Arrays in numpy's own file formats, npy and npz: read in place, never unpickled."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import numpy as np

__all__ = ["fits", "read_npy", "read_npz"]

_MAGIC = b"\x93NUMPY"
_MEMBER = "arr.npy"
_HEADER_BYTES = 1 << 14
_UNKNOWN_BYTES = 1 << 30
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(data: bytes | memoryview) -> np.ndarray:
    """Return the array of an npy file, read-only and in the file's memory; 0-d if it is a scalar.

    Raises:
        ValueError: no npy file, one of Python objects, or fewer or more bytes than its header says.
    """
    with _refusing("it is no npy file that numpy reads"):
        return _read_npy(memoryview(data).cast("B"))


def _read_npy(view: memoryview) -> np.ndarray:
    if bytes(view[:6]) != _MAGIC or len(view) < 12:
        raise ValueError("it is no npy file")
    if (view[6], view[7]) not in _READERS:
        raise ValueError(f"its npy version {view[6]}.{view[7]} is not read")
    begin, size = (10, view[8:10]) if view[6] == 1 else (12, view[8:12])
    end = begin + int.from_bytes(size, "little")
    if end > min(len(view), _HEADER_BYTES):
        raise ValueError("its npy header is cut short or too long")
    shape, fortran, dtype = _header(bytes(view[6:end]))
    # One division of exact integers, so that sizes whose product does not fit any number are refused as well.
    count = 1
    for length in shape:
        count *= length
    if count * dtype.itemsize != len(view) - end:
        raise ValueError(f"its npy header promises {shape} of {dtype}, {len(view) - end} bytes are there")
    if not dtype.itemsize:
        return np.zeros(shape, dtype)
    values = np.frombuffer(view, dtype, count, end) if count else np.zeros(0, dtype)
    return values.reshape(shape, order="F" if fortran else "C")


def read_npz(data: bytes | memoryview, *, limit: int | None) -> np.ndarray:
    """Return the array that an npz file holds under the name `arr`.

    Args:
        data: the file.
        limit: bytes the array may have; None where its shape is not known: it then has 1 GiB at most.

    Raises:
        ValueError: no such file, or a larger array.
    """
    with _refusing(f"it is no npz file that holds {_MEMBER!r}"), zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo(_MEMBER)
        if info.file_size > (_UNKNOWN_BYTES if limit is None else limit) + _HEADER_BYTES:
            rule = f"{limit} are the schema's" if limit is not None else f"{_UNKNOWN_BYTES} are the most; give it a shape"
            raise ValueError(f"its npz file unpacks to {info.file_size} bytes, {rule}")
        return read_npy(archive.read(info))


def fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether an array's shape is the schema's, of which None is any size."""
    return len(shape) == len(wanted) and all(size in (None, length) for length, size in zip(shape, wanted, strict=True))


@contextmanager
def _refusing(subject: str) -> Iterator[None]:
    """Raise ValueError for whatever numpy or a decompressor raises about bytes in memory: it is about these bytes.

    Only the want of memory says nothing about them.
    """
    try:
        yield
    except (ValueError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"{subject} ({str(error) or type(error).__name__})") from error


@lru_cache(maxsize=1024)
def _header(header: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Parse version, length and text of a header: the same few ones stand before all values of a column."""
    try:
        shape, fortran, dtype = _READERS[header[0], header[1]](io.BytesIO(header[2:]))
    except Exception as error:
        # Of whatever class: so do nested brackets raise MemoryError.
        raise ValueError(f"its npy header cannot be read ({type(error).__name__})") from error
    if dtype.hasobject or dtype.names is not None:
        raise ValueError(f"it holds {dtype}, which is not read")
    if any(size < 0 for size in shape):
        raise ValueError(f"its npy header promises the shape {shape}")
    return shape, fortran, dtype
