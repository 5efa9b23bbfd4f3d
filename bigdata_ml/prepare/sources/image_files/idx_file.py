"""Read parts of an IDX file, plain or gzip, and verify its header before using memory for it."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigdata_ml.errors import JobRefused
from bigdata_ml.storage import Location, way_out

__all__ = ["IdxHeader", "read_idx_header", "read_idx_items"]

_PIECE = 1 << 20
# Most bytes of one picture, and of an unpacked gzip file: more is a bomb.
_MOST_ITEM, _LEAST_BOUND, _MOST_RATIO = 178_956_970, 1 << 30, 200


@dataclass(frozen=True, slots=True)
class IdxHeader:
    """Header of a file of uint8: number of items, shape and bytes of each, and offset of the first."""

    count: int
    shape: tuple[int, ...]
    item: int
    begin: int


def read_idx_header(place: Location, *, dimensions: int, whole: bool = False) -> IdxHeader:
    """Return the header of a file with that many dimensions; `whole` verifies the size of the data piece by piece.

    Raises:
        JobRefused: the file does not exist, its size differs from the header, or pictures are too large.
    """
    begin = 4 + 4 * dimensions
    with _unzipped(place) as stream:
        data = stream.read(begin)
        if data[:4] != bytes([0, 0, 8, dimensions]):
            raise JobRefused(
                f"{place.url}: begins with {data[:4].hex()}; an IDX file of {dimensions} dimensions of uint8 begins with "
                f"0000080{dimensions}"
            )
        if len(data) < begin:
            raise JobRefused(f"{place.url}: its header has {len(data)} bytes, {begin} are a whole one; was it cut short?")
        count, *shape = (int(number) for number in np.frombuffer(data, ">u4", dimensions, 4))
        item = int(np.prod(shape, dtype=object))
        if not 1 <= item <= _MOST_ITEM:
            raise JobRefused(f"{place.url}: its header says {item} pixels a picture; they are 1 to {_MOST_ITEM}")
        if whole:
            _check_size(place, stream, count * item)
    return IdxHeader(count, tuple(shape), item, begin)


def read_idx_items(place: Location, header: IdxHeader, first: int, count: int) -> bytes:
    """Return the bytes of `count` items from `first` on; raises JobRefused if they are missing."""
    left, wanted = header.begin + first * header.item, count * header.item
    with _unzipped(place) as stream:
        while left > 0:
            piece = len(stream.read(min(left, _PIECE)))
            if not piece:
                break
            left -= piece
        data = bytes(stream.read(wanted))
    if len(data) != wanted:
        raise JobRefused(f"{place.url}: ends before item {first + count}; it changed while the job read it")
    return data


def _check_size(place: Location, stream: Any, wanted: int) -> None:
    packed = int(place.info().size)
    bound = max(_LEAST_BOUND, _MOST_RATIO * packed)
    if wanted > bound:
        raise JobRefused(
            f"{place.url}: its header says {wanted} bytes of data, and its {packed} bytes may unpack to {bound} at most"
        )
    size = 0
    while size <= wanted and (piece := stream.read(_PIECE)):
        size += len(piece)
    if size != wanted:
        there = f"more than {wanted}" if size > wanted else str(size)
        raise JobRefused(f"{place.url}: its header says {wanted} bytes of data, {there} are there; was it cut short?")


@contextmanager
def _unzipped(place: Location) -> Iterator[Any]:
    try:
        with place.filesystem.open_input_file(place.path) as stream:
            begins = stream.read(2)
            stream.seek(0)
            if begins == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=stream) as unpacked:
                    yield unpacked
            else:
                yield stream
    except (OSError, EOFError, zlib.error) as error:
        raise JobRefused(f"{place.url}: cannot be read: {error}{way_out(error)}") from error
