"""Arrow columns to the values that Petastorm hands out: decoded by codec for rows, numpy columns for batches."""

import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa

from bigdata_ml.compat.petastorm.codecs import CompressedImageCodec
from bigdata_ml.compat.petastorm.unischema import Unischema, UnischemaField
from bigdata_ml.compat.petastorm.values.pictures import decode_pictures_into
from bigdata_ml.errors import DecodeFailed
from bigdata_ml.reader.decode.columns import HasColumns, raise_it, rows_that_change
from bigdata_ml.reader.decode.text import checked_text
from bigdata_ml.schema.converting import refused_rows

__all__ = ["Columns", "batch_columns", "row_columns", "rows_of"]

Columns = dict[str, Any]
Place = Callable[[int], str]


def row_columns(batch: pa.RecordBatch, schema: Unischema, *, place: Place) -> Columns:
    """Return a batch's fields decoded as `make_reader` hands them out, each a sequence with one value a row.

    Numbers are numpy scalars of the field's dtype (a numpy column [rows] where all are known), arrays and pictures numpy arrays,
    text `str`; a null is None, in a floating column NaN.

    Args:
        batch: columns as they are stored.
        schema: its fields, all of them in the batch.
        place: where a row lies, for messages.

    Raises:
        DecodeFailed: a value that its codec cannot decode, naming place and field.
    """
    return {
        name: _decoded(checked_text(batch.column(name), name, place=place, on_bad_row=raise_it), field, place)
        for name, field in schema.fields.items()
    }


def batch_columns(
    batch: HasColumns,
    schema: Unischema,
    *,
    numbers: Mapping[str, np.ndarray] = MappingProxyType({}),
    place: Place = lambda row: f"row {row}",
) -> Columns:
    """Return a batch's fields as `make_batch_reader` hands them out: numpy arrays with rows as their first dimension.

    Numbers and booleans keep their dtype; with nulls numbers are floating with NaN, booleans objects with None. Text is numpy
    text; with nulls it is objects with None. Lists of one length are a matrix [rows, *shape]; of several lengths, objects, an
    array a row. Timestamps are datetime64, dates, decimals and bytes objects.

    Args:
        batch: columns as they are stored.
        schema: its fields, all of them in the batch.
        numbers: columns of it that lie in memory as numpy has them, without nulls: handed on, not asked of `batch`.
        place: where a row lies, for messages.

    Raises:
        DecodeFailed: text that is no UTF-8, or, beside nulls, whole numbers beyond 2^53, naming place and field.
    """
    fields = schema.fields.items()
    return {
        name: numbers[name] if name in numbers else _column(_checked(batch.column(name), name, place), field)
        for name, field in fields
    }


def _checked(column: pa.Array, name: str, place: Place) -> pa.Array:
    """Return a column whose values numpy and Python have."""
    if column.null_count and pa.types.is_integer(column.type):
        for row in refused_rows(column, pa.float64())[:1].tolist():
            text = f"{place(row)} field {name!r}: {column[row]} stands beside nulls, and no float64 is equal to it"
            raise DecodeFailed(f"{text}; read it by Dataset.open, which gives nulls a mask")
    return checked_text(column, name, place=place, on_bad_row=raise_it)


def rows_of(columns: Mapping[str, Any], rows: int) -> list[dict[str, Any]]:
    """Return columns as one dict a row."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)] if columns else [{}] * rows


def _decoded(column: pa.Array, field: UnischemaField, place: Place) -> Any:
    dtype, codec = field.numpy_dtype, field.codec
    plain = codec is None or type(codec).__name__ == "ScalarCodec"
    if isinstance(column, pa.FixedShapeTensorArray):
        return _column(column, field)
    # An unknown number of floating point is NaN there.
    known = not column.null_count or pa.types.is_floating(column.type)
    if plain and known and not tuple(field.shape) and _is_number(dtype) and _is_number_column(column.type):
        found = column.to_numpy(zero_copy_only=False)
        for row in rows_that_change(found, np.dtype(dtype))[:1].tolist():
            raise DecodeFailed(f"{place(row)} field {field.name!r}: {found[row]} is no {np.dtype(dtype)}")
        return found.astype(dtype, copy=False)
    values = _stored(column)
    if type(codec) is CompressedImageCodec and not column.null_count:
        pictures = _together(values, field)
        if pictures is not None:
            return pictures
    if codec is not None:
        decode: Callable[[Any], Any] = lambda value: codec.decode(field, value)  # noqa: E731
    elif isinstance(dtype, type) and issubclass(dtype, (np.generic, Decimal)):
        decode = _by_dtype(dtype)
    else:
        return values
    for row, value in enumerate(values):
        if value is not None:
            try:
                values[row] = decode(value)
            # A codec may be the user's own, and raise whatever it likes.
            except Exception as error:
                raise DecodeFailed(f"{place(row)} field {field.name!r}: {codec or dtype} cannot decode it: {error}") from error
    return values


def _together(files: list[Any], field: UnischemaField) -> np.ndarray | None:
    """Return pictures of a known size, three channels and 8 bits, each decoded into its place, uint8 [rows, height, width, 3].

    None if the field's are of no such size, or one has another than the field says, or is broken.
    """
    match tuple(field.shape):
        case (int(height), int(width), 3) if field.numpy_dtype is np.uint8:
            made = np.empty((len(files), height, width, 3), np.uint8)
            return made if decode_pictures_into(files, made) else None
        case _:
            return None


def _by_dtype(dtype: Any) -> Callable[[Any], Any]:
    return lambda value: np.asarray(value, dtype) if isinstance(value, (list, np.ndarray)) else dtype(value)


def _stored(column: pa.Array) -> list[Any]:
    """Return the values as they are stored; bytes without a copy."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _files(column)
    if _is_list(column.type):
        return [None if one is None else one for one in _lists(column)]
    return list(column.to_pylist())


def _files(column: pa.Array) -> list[Any]:
    _, offsets, data = column.buffers()
    width = np.int64 if pa.types.is_large_binary(column.type) else np.int32
    bounds = np.frombuffer(offsets, width, len(column) + 1, column.offset * np.dtype(width).itemsize).tolist()
    # Of no bytes at all Arrow keeps no buffer.
    whole = memoryview(data or b"").cast("B")
    files = [whole[begin:end] for begin, end in itertools.pairwise(bounds)]
    if not column.null_count:
        return files
    return [file if known else None for file, known in zip(files, column.is_valid().to_pylist(), strict=True)]


def _column(column: pa.Array, field: UnischemaField) -> np.ndarray:
    kind = column.type
    if _is_number_column(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if pa.types.is_dictionary(kind):
        return _column(column.dictionary_decode(), field)
    if isinstance(column, pa.FixedShapeTensorArray):
        return _tensors(column)
    if _is_list(kind):
        return _matrix(_lists(column), field)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = np.asarray(column.to_numpy(zero_copy_only=False))
        return text if column.null_count else np.asarray(text, np.str_)
    if pa.types.is_date(kind) or pa.types.is_decimal(kind) or pa.types.is_time(kind):
        return _objects(column.to_pylist())
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _tensors(column: pa.FixedShapeTensorArray) -> np.ndarray:
    if not column.null_count:
        return np.asarray(column.to_numpy_ndarray())
    there = iter(column.drop_null().to_numpy_ndarray())
    return _objects([next(there) if known else None for known in column.is_valid().to_pylist()])


def _lists(column: pa.Array) -> list[np.ndarray | None]:
    """Return one array a row: views of the column's values where they are numbers."""
    if pa.types.is_fixed_size_list(column.type):
        starts = (np.arange(len(column) + 1) + column.offset) * column.type.list_size
        values = column.values
    else:
        starts, values = np.asarray(column.offsets), column.values
    inner = _column(values, UnischemaField("item", None, ()))
    whole = [inner[begin:end] for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
    if not column.null_count:
        return list(whole)
    return [one if known else None for one, known in zip(whole, column.is_valid().to_pylist(), strict=True)]


def _matrix(lists: list[np.ndarray | None], field: UnischemaField) -> np.ndarray:
    lengths = {-1 if one is None else len(one) for one in lists}
    if len(lengths) != 1 or -1 in lengths:
        return _objects(lists)
    matrix = np.stack([one for one in lists if one is not None])
    shape = tuple(field.shape)
    return matrix.reshape(len(lists), *shape) if len(shape) > 1 and None not in shape else matrix


def _objects(values: list[Any]) -> np.ndarray:
    made = np.empty(len(values), object)
    for row, value in enumerate(values):
        made[row] = value
    return made


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(dtype: Any) -> bool:
    return isinstance(dtype, type) and issubclass(dtype, (np.number, np.bool_))


def _is_number_column(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
