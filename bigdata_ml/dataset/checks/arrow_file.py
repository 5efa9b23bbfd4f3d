"""Reads Arrow IPC files that others may have written: nothing is taken from a batch before all of it is validated."""

from collections.abc import Iterator

import pyarrow as pa

from bigdata_ml.errors import MetadataUnreadable

__all__ = ["arrow_batches", "arrow_schema"]

_MAGIC = b"ARROW1"
_UNPACKED_BYTES = 1 << 30


def arrow_schema(data: bytes, *, place: str) -> pa.Schema:
    """Return the schema of an Arrow IPC file; raises as `arrow_batches`."""
    try:
        schema = pa.ipc.open_file(pa.BufferReader(data)).schema
        # Names that are no UTF-8 are found here.
        _short(schema)
        return schema
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MetadataUnreadable(f"{place} cannot be read: {error}; publish the dataset again") from error


def arrow_batches(data: bytes, wanted: pa.Schema | None, *, place: str) -> Iterator[pa.RecordBatch]:
    """Yield the record batches of an Arrow IPC file, each validated in full: offsets, lengths, UTF-8.

    Args:
        data: the file.
        wanted: the schema that it must have, metadata apart; None for any of flat columns.
        place: file and what it is, for messages.

    Raises:
        MetadataUnreadable: no such file, another schema, a batch that is broken or unpacks to more than 1 GiB.
    """
    schema = arrow_schema(data, place=place)
    if wanted is not None and not schema.equals(wanted):
        raise MetadataUnreadable(f"{place} has other columns than it should have: {_short(schema)}; publish the dataset again")
    if any(pa.types.is_nested(kind) for kind in schema.types) and wanted is None:
        raise MetadataUnreadable(f"{place} has columns of nested types: {_short(schema)}; publish the dataset again")
    try:
        reader = pa.ipc.open_file(pa.BufferReader(data))
        # Between magic and footer an IPC file is a stream, whose parts follow one another.
        messages = pa.ipc.MessageReader.open_stream(pa.py_buffer(data)[8:])
        next(messages)
        for index in range(reader.num_record_batches):
            message = next(messages)
            while message.type == "dictionary":
                _check_unpacked(message)
                message = next(messages)
            _check_unpacked(message)
            with_dictionaries = any(map(pa.types.is_dictionary, schema.types))
            batch = reader.get_batch(index) if with_dictionaries else pa.ipc.read_record_batch(message, schema)
            batch.validate(full=True)
            yield batch
    except StopIteration:
        raise MetadataUnreadable(f"{place} ends too early; publish the dataset again") from None
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise MetadataUnreadable(f"{place} cannot be read: {error}; publish the dataset again") from error


def _short(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name[:40]!r} {str(field.type)[:40]}" for field in schema)[:500]


def _check_unpacked(message: pa.ipc.Message) -> None:
    """Raise ValueError if the compressed buffers of a record batch say that they unpack to too much."""
    if message.type not in ("record batch", "dictionary"):
        raise ValueError(f"a {message.type} stands where a record batch belongs")
    header = _Table.root(bytes(message.metadata)).table(2)
    if header is not None and message.type == "dictionary":
        header = header.table(1)
    # Fields of flatbuffers' `RecordBatch`: length, nodes, buffers, compression.
    if header is None or header.table(3) is None:
        return
    body, total = message.body, 0
    for offset, length in header.pairs(2):
        if not 0 <= offset <= len(body) - length or length < 0:
            raise ValueError("a buffer lies outside of its batch")
        if length >= 8:
            # −1: not compressed.
            total += max(0, int.from_bytes(body[offset : offset + 8].to_pybytes(), "little", signed=True))
    if total > _UNPACKED_BYTES:
        raise ValueError(f"a batch unpacks to {total} bytes, more than {_UNPACKED_BYTES}")


class _Table:
    """A table of a flatbuffer, whose parts pyarrow has verified."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, int.from_bytes(data[:4], "little"))

    def table(self, field: int) -> "_Table | None":
        """Return the table that a field holds."""
        place = self._field(field)
        return None if place is None else _Table(self._data, place + self._number(place, 4))

    def pairs(self, field: int) -> Iterator[tuple[int, int]]:
        """Yield the pairs of 64-bit numbers of a vector of structs."""
        place = self._field(field)
        if place is not None:
            place += self._number(place, 4)
            for begin in range(place + 4, place + 4 + 16 * self._number(place, 4), 16):
                yield self._number(begin, 8), self._number(begin + 8, 8)

    def _field(self, field: int) -> int | None:
        layout = self._place - self._number(self._place, 4)
        if 4 + 2 * field >= self._number(layout, 2):
            return None
        offset = self._number(layout + 4 + 2 * field, 2)
        return self._place + offset if offset else None

    def _number(self, place: int, width: int) -> int:
        if not 0 <= place <= len(self._data) - width:
            raise IndexError("a batch's header is broken")
        return int.from_bytes(self._data[place : place + width], "little", signed=width > 2)
