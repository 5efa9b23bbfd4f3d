"""Converts between the column types in Parquet files and those of the schema.

Files may also hold a field as another type that widens to its own; see `widening.py`.

Parquet stores a list of bytes as 32-bit numbers, which is ten times slower than one binary value. So each image's pixels are
stored as one binary value. Both directions share the values' memory, unless there are nulls.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bigdata_ml.errors import SchemaMismatch
from bigdata_ml.schema.codec import Codec
from bigdata_ml.schema.converting import converted, is_held_as, refused_rows
from bigdata_ml.schema.field import Field, Schema

__all__ = ["BadValue", "from_stored", "stored_schema", "stored_table", "stored_type"]

# Called with a row and the reason why its value does not fit.
BadValue = Callable[[int, str], object]


def stored_type(field: Field) -> pa.DataType:
    """Return the Arrow type of a field's column in Parquet."""
    # Of fixed size they would lose their last zeros in fastparquet.
    return pa.binary() if field.codec is Codec.RAW_IMAGE else field.type


def stored_schema(schema: Schema) -> pa.Schema:
    """Return the Arrow schema of the Parquet files."""
    return pa.schema([pa.field(field.name, stored_type(field), nullable=field.nullable) for field in schema])


def stored_table(table: pa.Table, schema: Schema) -> pa.Table:
    """Return rows of the types of `schema` as they are written."""
    for place, field in enumerate(stored_schema(schema)):
        if field.type != table.schema.field(place).type:
            table = table.set_column(place, field, pa.chunked_array(map(_bytes, table.column(place).chunks), field.type))
    return table


def from_stored(table: pa.Table, schema: Schema, where: str, on_bad_value: BadValue | None = None) -> pa.Table:
    """Return the columns of a row group with the types of `schema`; those of types that do not widen to these stay as they are.

    Args:
        table: the columns as they are stored.
        schema: the fields.
        where: names file and row group in errors.
        on_bad_value: told each row of `table` whose value does not fit its field's type; the row then holds zero or an empty list
            there. None raises.

    Raises:
        SchemaMismatch: a value that has not the bytes of the field's shape, or does not fit its type; it names `where`, the
            field, and the row or the shape.
    """
    for field in schema:
        place = table.schema.get_field_index(field.name)
        if place < 0 or (stored_field := table.schema.field(place)).type == field.type:
            continue
        if stored_type(field) != field.type and stored_field.type == stored_type(field):
            chunks = [_pixels(chunk, field, where) for chunk in table.column(place).chunks]
        elif is_held_as(stored_field.type, field.type):
            chunks = _converted(table.column(place), field, where, on_bad_value)
        else:
            continue
        column = pa.chunked_array(chunks, field.type)
        table = table.set_column(place, pa.field(field.name, field.type, nullable=stored_field.nullable), column)
    return table


def _converted(column: pa.ChunkedArray, field: Field, where: str, on_bad_value: BadValue | None) -> list[pa.Array]:
    chunks, before = [], 0
    for chunk in column.chunks:
        try:
            chunks.append(converted(chunk, field.type))
        except pa.ArrowInvalid as error:
            bad = refused_rows(chunk, field.type)
            for row in bad.tolist():
                text = f"{where} row {before + row} field {field.name!r}: a value of type {chunk.type} is no {field.type} exactly"
                if on_bad_value is None:
                    raise SchemaMismatch(f"{text} ({error}); write the files with one type") from error
                on_bad_value(before + row, f"{text}; write the files with one type")
            chunks.append(_converted_without(chunk, bad, field.type))
        before += len(chunk)
    return chunks


def _converted_without(column: pa.Array, rows: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Return a column as another type, with zero or an empty list in the place of some rows."""
    others = np.delete(np.arange(len(column)), rows)
    indices = np.full(len(column), len(others))
    indices[others] = np.arange(len(others))
    values = pa.concat_arrays([converted(column.take(pa.array(others)), kind), pa.array([_zero(kind)], kind)])
    return values.take(pa.array(indices))


def _zero(kind: pa.DataType) -> int | list[int]:
    if pa.types.is_fixed_size_list(kind):
        return [0] * kind.list_size
    return [] if pa.types.is_nested(kind) else 0


def _bytes(column: pa.FixedShapeTensorArray) -> pa.BinaryArray:
    storage, size, there = column.drop_null().storage, column.type.storage_type.list_size, _valid(column)
    values = storage.flatten()
    if values.null_count:
        # As it is read in a tensor.
        values = pc.fill_null(values, 0)
    ends = np.concatenate([[0], np.cumsum(there, dtype=np.int64)]) * size
    data = values.buffers()[1].slice(values.offset) if len(values) else pa.py_buffer(b"")
    # Refused where they do not fit into 32 bits.
    offsets = pa.array(ends).cast(pa.int32()).buffers()[1]
    return pa.Array.from_buffers(pa.binary(), len(column), [_bits(there), offsets, data])


def _pixels(column: pa.BinaryArray, field: Field, where: str) -> pa.FixedShapeTensorArray:
    size, known, there = field.type.storage_type.list_size, column.drop_null(), _valid(column)
    data = pa.py_buffer(b"")
    if len(known):
        ends = np.frombuffer(known.buffers()[1], np.int32)[known.offset : known.offset + len(known) + 1]
        for size_there in np.diff(ends)[np.diff(ends) != size][:1].tolist():
            shape = field.type.shape
            raise SchemaMismatch(
                f"{where} field {field.name!r}: a value of {size_there} bytes, the schema's shape {shape} has {size}"
            )
        data = known.buffers()[2].slice(int(ends[0]), len(known) * size)
    if not there.all():
        values = np.zeros((len(column), size), np.uint8)
        values[there] = np.frombuffer(data, np.uint8).reshape(-1, size)
        data = pa.py_buffer(values)
    flat = pa.Array.from_buffers(field.type.value_type, len(column) * size, [None, data])
    storage = pa.Array.from_buffers(field.type.storage_type, len(column), [_bits(there)], children=[flat])
    return pa.ExtensionArray.from_storage(field.type, storage)


def _valid(column: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_valid(column).to_numpy(zero_copy_only=False))


def _bits(there: np.ndarray) -> pa.Buffer | None:
    return None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little"))
