"""Arrow columns to the values that Petastorm returns: decoded by codec for rows, numpy columns for batches."""

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
    """Return a batch's fields decoded as `make_reader` returns them: a sequence per field, one value per row.

    Numbers are numpy scalars of the field's dtype (a numpy column [rows] if all are known), arrays and images numpy arrays, text
    `str`; a null is None, or NaN in a floating-point column.

    Args:
        batch: columns as they are stored.
        schema: its fields; the batch has all of them.
        place: location of a row, for messages.

    Raises:
        DecodeFailed: a codec cannot decode a value; names place and field.
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
    """Return a batch's fields as `make_batch_reader` returns them: numpy arrays with rows as the first dimension.

    Numbers and booleans keep their dtype; with nulls, numbers are floating-point with NaN, and booleans objects with None. Text
    is numpy text; with nulls, objects with None. Lists of equal length are a matrix [rows, *shape]; of several lengths, objects
    with one array per row. Timestamps are datetime64; dates, decimals and bytes are objects.

    Args:
        batch: columns as they are stored.
        schema: its fields; the batch has all of them.
        numbers: columns without nulls that are numpy arrays already; they are not read from `batch`.
        place: location of a row, for messages.

    Raises:
        DecodeFailed: text that is not UTF-8, or an integer beyond 2^53 in a column with nulls; names place and field.
    """
    fields = schema.fields.items()
    return {
        name: numbers[name] if name in numbers else _column(_checked(batch.column(name), name, place), field)
        for name, field in fields
    }


def _checked(column: pa.Array, name: str, place: Place) -> pa.Array:
    """Check that numpy and Python can represent the column's values, and return it."""
    if column.null_count and pa.types.is_integer(column.type):
        for row in refused_rows(column, pa.float64())[:1].tolist():
            text = f"{place(row)} field {name!r}: the column has nulls, and no float64 equals {column[row]}"
            raise DecodeFailed(f"{text}; read it by Dataset.open, which returns nulls as a mask")
    return checked_text(column, name, place=place, on_bad_row=raise_it)


def rows_of(columns: Mapping[str, Any], rows: int) -> list[dict[str, Any]]:
    """Return columns as one dict per row."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)] if columns else [{}] * rows


def _decoded(column: pa.Array, field: UnischemaField, place: Place) -> Any:
    dtype, codec = field.numpy_dtype, field.codec
    plain = codec is None or type(codec).__name__ == "ScalarCodec"
    if isinstance(column, pa.FixedShapeTensorArray):
        return _column(column, field)
    # In a floating-point column, an unknown number is NaN.
    known = not column.null_count or pa.types.is_floating(column.type)
    if plain and known and not tuple(field.shape) and _is_number(dtype) and _is_number_column(column.type):
        numbers = column.to_numpy(zero_copy_only=False)
        for row in rows_that_change(numbers, np.dtype(dtype))[:1].tolist():
            raise DecodeFailed(f"{place(row)} field {field.name!r}: {numbers[row]} is not a value of {np.dtype(dtype)}")
        return numbers.astype(dtype, copy=False)
    values = _stored(column)
    if type(codec) is CompressedImageCodec and not column.null_count:
        images = _images_together(values, field)
        if images is not None:
            return images
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
            # A user's own codec may raise any exception.
            except Exception as error:
                raise DecodeFailed(f"{place(row)} field {field.name!r}: {codec or dtype} cannot decode it: {error}") from error
    return values


def _images_together(files: list[Any], field: UnischemaField) -> np.ndarray | None:
    """Return images of a fixed size, decoded together: uint8 [rows, height, width, 3].

    None if the field's shape is not fixed or not RGB, or if an image is broken or has another shape.
    """
    match tuple(field.shape):
        case (int(height), int(width), 3) if field.numpy_dtype is np.uint8:
            images = np.empty((len(files), height, width, 3), np.uint8)
            return images if decode_pictures_into(files, images) else None
        case _:
            return None


def _by_dtype(dtype: Any) -> Callable[[Any], Any]:
    return lambda value: np.asarray(value, dtype) if isinstance(value, (list, np.ndarray)) else dtype(value)


def _stored(column: pa.Array) -> list[Any]:
    """Return the stored values; bytes are not copied."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return _files(column)
    if _is_list(column.type):
        return list(_lists(column))
    return list(column.to_pylist())


def _files(column: pa.Array) -> list[Any]:
    _, offsets, data = column.buffers()
    width = np.int64 if pa.types.is_large_binary(column.type) else np.int32
    bounds = np.frombuffer(offsets, width, len(column) + 1, column.offset * np.dtype(width).itemsize).tolist()
    # Arrow has no buffer if all values are empty.
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
    tensors = iter(column.drop_null().to_numpy_ndarray())
    return _objects([next(tensors) if known else None for known in column.is_valid().to_pylist()])


def _lists(column: pa.Array) -> list[np.ndarray | None]:
    """Return one array per row: views of the column's values if they are numbers."""
    if pa.types.is_fixed_size_list(column.type):
        starts = (np.arange(len(column) + 1) + column.offset) * column.type.list_size
        values = column.values
    else:
        starts, values = np.asarray(column.offsets), column.values
    inner = _column(values, UnischemaField("item", None, ()))
    whole = [inner[begin:end] for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)]
    if not column.null_count:
        return list(whole)
    return [values if known else None for values, known in zip(whole, column.is_valid().to_pylist(), strict=True)]


def _matrix(lists: list[np.ndarray | None], field: UnischemaField) -> np.ndarray:
    lengths = {-1 if values is None else len(values) for values in lists}
    if len(lengths) != 1 or -1 in lengths:
        return _objects(lists)
    matrix = np.stack([values for values in lists if values is not None])
    shape = tuple(field.shape)
    return matrix.reshape(len(lists), *shape) if len(shape) > 1 and None not in shape else matrix


def _objects(values: list[Any]) -> np.ndarray:
    objects = np.empty(len(values), object)
    for row, value in enumerate(values):
        objects[row] = value
    return objects


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_number(dtype: Any) -> bool:
    return isinstance(dtype, type) and issubclass(dtype, (np.number, np.bool_))


def _is_number_column(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
