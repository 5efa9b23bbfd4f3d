"""Columns of types that Arrow cannot make, by name, of files that are whole.

Writers keep a column's type in other words beside Parquet's own, as Arrow's schema in the footer (`ARROW:schema`, a message of
flatbuffers). Where that names a type that this Arrow does not know, such as Polars' integers of 128 bits, it opens no column of
the file and does not say which one is at fault.
"""

import base64
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["unsupported_columns"]

_KEY, _SET_ASIDE = b"ARROW:schema", b"ARROW:schemA"
_CONTINUES = b"\xff\xff\xff\xff"
# Of Arrow's Schema.fbs: places of what a table holds, numbers of types, and the last type that this version names.
_HEADER, _FIELDS = 2, 1
_NAME, _TYPE_NUMBER, _TYPE, _CHILDREN = 0, 2, 3, 5
_INT, _FLOATING, _LAST = 2, 3, 26
_DEPTH = 64


def unsupported_columns(footer: bytes) -> str:
    """Return the columns of types that Arrow does not know, with the type where it has a name, as text.

    Args:
        footer: the end of a Parquet file, its whole footer.

    Raises:
        pa.ArrowException, OSError: no Parquet file.
    """
    # Without the hint Arrow reads the columns as Parquet calls them.
    metadata = pq.read_metadata(pa.BufferReader(footer.replace(_KEY, _SET_ASIDE)))
    hinted = _hinted((metadata.metadata or {}).get(_SET_ASIDE, b""))
    return ", ".join(hinted or [f"one of {', '.join(map(repr, metadata.schema.names[:8]))}"])


def _hinted(hint: bytes) -> list[str]:
    try:
        data = base64.b64decode(hint)
        begin = 8 if data[:4] == _CONTINUES else 4
        message = _Table(data, begin + struct.unpack_from("<I", data, begin)[0])
        return [text for field in message.table(_HEADER).tables(_FIELDS) if (text := _unknown(field, _DEPTH))]
    except (struct.error, ValueError, UnicodeDecodeError):
        return []


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of flatbuffers: its fields lie where a table of their offsets says."""

    data: bytes
    place: int

    def _offset(self, field: int) -> int:
        """Return where a field lies, 0 if it is left out."""
        offsets = self.place - struct.unpack_from("<i", self.data, self.place)[0]
        if offsets < 0 or 4 + 2 * field >= struct.unpack_from("<H", self.data, offsets)[0]:
            return 0
        offset = int(struct.unpack_from("<H", self.data, offsets + 4 + 2 * field)[0])
        return self.place + offset if offset else 0

    def _target(self, field: int) -> int:
        place = self._offset(field)
        return place + int(struct.unpack_from("<I", self.data, place)[0]) if place else 0

    def number(self, field: int, form: str) -> int:
        place = self._offset(field)
        return int(struct.unpack_from(form, self.data, place)[0]) if place else 0

    def text(self, field: int) -> str:
        place = self._target(field)
        length = struct.unpack_from("<I", self.data, place)[0] if place else 0
        return self.data[place + 4 : place + 4 + length].decode()

    def table(self, field: int) -> "_Table":
        return _Table(self.data, self._target(field))

    def tables(self, field: int) -> Iterator["_Table"]:
        place = self._target(field)
        count = struct.unpack_from("<I", self.data, place)[0] if place else 0
        for entry in range(place + 4, place + 4 + 4 * count, 4):
            yield _Table(self.data, entry + struct.unpack_from("<I", self.data, entry)[0])


def _unknown(field: _Table, depth: int) -> str | None:
    """Return the name of a field, and its type, if Arrow does not know it or a type in it."""
    kind, said = field.number(_TYPE_NUMBER, "<B"), field.table(_TYPE)
    name = repr(field.text(_NAME))
    if kind == _INT and said.number(0, "<i") not in (8, 16, 32, 64):
        return f"{name} (integers of {said.number(0, '<i')} bits)"
    if kind > _LAST or (kind == _FLOATING and said.number(0, "<h") > 2):
        return name
    if depth and any(_unknown(child, depth - 1) for child in field.tables(_CHILDREN)):
        return name
    return None
