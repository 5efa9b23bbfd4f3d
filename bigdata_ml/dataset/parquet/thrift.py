"""Thrift's compact protocol, in which Parquet writes its footers: read without a schema, and never past the bytes there are."""

import struct
from collections.abc import Iterator
from typing import Any

__all__ = ["BINARY", "I32", "I64", "LIST", "STRUCT", "Fields", "Thrift", "key", "list_key"]

Fields = dict[int, Any]

_TRUE, _FALSE, _BYTE, _I16, I32, I64, _DOUBLE, BINARY, LIST, _SET, _MAP, STRUCT = range(1, 13)
_DEPTH = 32
_NUMBERS = range(1, 1 << 15)


def key(number: int, kind: int) -> int:
    """Return under what a field of that number and type stands: readers that expect another type there pass over it."""
    return number << 8 | kind


def list_key(number: int, item: int) -> int:
    """Return under what a list of items of that type stands."""
    return number << 8 | item << 4 | LIST


class Thrift:
    """Reads the fields of a struct, or the items of a list, one by one; what is broken is a ValueError.

    A struct is a dict of its fields by `key`, a list a list, text bytes. A field that stands twice has its last value.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and type of each field of the struct that begins here; the caller reads each by `value` or `items`."""
        number = 0
        while True:
            head, self._at = _guarded(self._data, self._at, _BYTE)
            if not head:
                return
            if head >> 4:
                number += head >> 4
            else:
                number = self.value(_I16)
            if number not in _NUMBERS or not head & 15:
                raise ValueError(f"it has a field of number {number}")
            yield number, head & 15

    def items(self) -> Iterator[int]:
        """Yield the type of each item of the list that begins here; the caller reads each by `value`."""
        (size, kind), self._at = _guarded(self._data, self._at, None)
        for _ in range(size):
            yield kind

    def value(self, kind: int) -> Any:
        """Return the value of that type that begins here."""
        if kind in (_TRUE, _FALSE):
            return kind == _TRUE
        value, self._at = _guarded(self._data, self._at, kind)
        return value


def _guarded(data: bytes, at: int, kind: int | None) -> tuple[Any, int]:
    try:
        return _list_head(data, at) if kind is None else _value(data, at, kind, _DEPTH)
    except (IndexError, struct.error) as error:
        raise ValueError("it ends too early") from error


# Functions of bytes and a place, which return the place behind: a footer of 10,000 column chunks has a million of these values.


def _struct(data: bytes, at: int, depth: int) -> tuple[Fields, int]:
    found: Fields = {}
    number = 0
    while head := data[at]:
        at += 1
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _value(data, at, _I16, 0)
        if number not in _NUMBERS or not kind:
            raise ValueError(f"it has a field of number {number}")
        if kind in (I32, I64):
            byte = data[at]
            at += 1
            if byte > 127:
                byte, at = _long(data, at, byte)
            found[number << 8 | kind] = (byte >> 1) ^ -(byte & 1)
        elif kind == LIST:
            item = data[at] & 15
            found[number << 8 | item << 4 | kind], at = _value(data, at, kind, depth)
        elif kind > _FALSE:
            found[number << 8 | kind], at = _value(data, at, kind, depth)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind == BINARY:
        size = data[at]
        at += 1
        if size > 127:
            size, at = _long(data, at, size)
        if size > len(data) - at:
            raise ValueError(f"it promises {size} bytes where {len(data) - at} are left")
        return data[at : at + size], at + size
    if kind in (_I16, I32, I64):
        number, at = _long(data, at, 0, 0)
        return (number >> 1) ^ -(number & 1), at
    if kind in (_TRUE, _FALSE, _BYTE):
        # Items of a list: as a field a truth has no byte of its own.
        return data[at], at + 1
    if kind == _DOUBLE:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if depth == 0:
        raise ValueError("it is nested too deeply")
    if kind == STRUCT:
        return _struct(data, at, depth - 1)
    if kind in (LIST, _SET):
        (size, item), at = _list_head(data, at)
        items = []
        for _ in range(size):
            value, at = _value(data, at, item, depth - 1)
            items.append(value)
        return items, at
    if kind == _MAP:
        return _map(data, at, depth)
    raise ValueError(f"it has a value of the unknown type {kind}")


def _list_head(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Return size and item type of a list, and the place behind its head."""
    size, item = data[at] >> 4, data[at] & 15
    at += 1
    if size == 15:
        size, at = _long(data, at, 0, 0)
    # Every item takes a byte at least.
    if size > len(data) - at:
        raise ValueError(f"it promises {size} items in {len(data) - at} bytes")
    return (size, item), at


def _map(data: bytes, at: int, depth: int) -> tuple[None, int]:
    """Pass over a map: Parquet has none."""
    size, at = _long(data, at, 0, 0)
    if size > len(data) - at:
        raise ValueError(f"it promises {size} pairs in {len(data) - at} bytes")
    if size:
        kinds = data[at]
        at += 1
        for _ in range(size):
            _, at = _value(data, at, kinds >> 4, depth - 1)
            _, at = _value(data, at, kinds & 15, depth - 1)
    return None, at


def _long(data: bytes, at: int, first: int, shift: int = 7) -> tuple[int, int]:
    """Return a number whose first byte was read (or none, with shift 0), and the place behind it."""
    number = first & 127
    while shift < 70:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
    raise ValueError("it has a number that does not end")
