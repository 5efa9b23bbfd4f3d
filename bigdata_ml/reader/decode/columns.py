"""Arrow columns to numpy, as the schema says: nulls, vocabularies, tensors, encoded images. No torch."""

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bigdata_ml.dataset import Vocabulary
from bigdata_ml.errors import BigDataMLError, DecodeFailed, SchemaMismatch
from bigdata_ml.reader.decode.arrays import fits, read_npy, read_npz
from bigdata_ml.reader.decode.images import decode_image, decode_image16, resize_raw
from bigdata_ml.reader.decode.text import checked_text
from bigdata_ml.reader.decode.value_places import ValuePlaces
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema
from bigdata_ml.schema.codec import ARRAYS
from bigdata_ml.schema.converting import nearest_doubles, refused_rows
from bigdata_ml.schema.picture_file import MOST_PIXELS, ImageRefused

__all__ = ["Columns", "HasColumns", "OnBadRow", "decode_batch", "raise_it", "rows_that_change"]

Columns = dict[str, Any]
OnBadRow = Callable[[int, BigDataMLError], None]


class HasColumns(Protocol):
    """Rows of Arrow columns, such as a `pyarrow.RecordBatch`."""

    def column(self, name: str) -> pa.Array:
        """Return a column."""


def raise_it(_: int, error: BigDataMLError) -> None:
    """Raise a row's error."""
    raise error


def decode_batch(
    batch: HasColumns,
    schema: Schema,
    vocabularies: Mapping[str, Vocabulary],
    *,
    numbers: Mapping[str, np.ndarray] = MappingProxyType({}),
    image_size: tuple[int, int] | None = None,
    max_pixels: int = MOST_PIXELS,
    exact_decimals: bool = False,
    place: Callable[[int], str] = lambda row: f"row {row}",
    on_bad_row: OnBadRow = raise_it,
) -> Columns:
    """Return the columns of `batch` as the reader hands them on.

    Numbers become numpy [rows] of their own dtype (decimals the nearest float64; dates, times and timestamps int64 in the
    column's unit since 1970) or of the field's `dtype`, booleans bool, fields with a vocabulary int64 ids, tensors
    [rows, *shape], encoded images uint8 or uint16 [rows, height, width, channels] (a list of arrays if their sizes differ;
    without channels if the field's `shape` has two dimensions), text and bytes lists, ragged lists lists of arrays of what
    scalars become. Arrays in numpy's formats are [rows, *shape] of the field's dtype (dates and times int64), and a list of
    arrays if the shape varies, or if they hold text.
    A field whose nulls are masked brings a second column `NAME_valid`, bool.

    Args:
        batch: rows with the schema's columns.
        schema: their fields.
        vocabularies: by field.
        numbers: columns of `batch` that lie in memory as numpy has them, without nulls: handed on as they are, not asked of
            `batch`, where the field says nothing else.
        image_size: (height, width) that images are resized to; None keeps each one's own.
        max_pixels: height × width that an encoded image may have by its header; more is not decoded.
        exact_decimals: whether decimals are `decimal.Decimal` in lists, None for nulls, as they are stored.
        place: says where row i of the batch lies, for messages.
        on_bad_row: told the row and its error; returns, and zeros are put in the value's place, or raises it, as by default.

    Raises:
        SchemaMismatch: a null where none is allowed, or a value that is not in a closed vocabulary.
        DecodeFailed: an image or an array that cannot be decoded, or is not of the field's shape and dtype; text that is no
            UTF-8; a number that is none of the dtype; a null in a list of values that have none.
    """
    columns: Columns = {}
    for field in schema:
        if field.name in numbers and _is_as_it_lies(field, image_size):
            columns[field.name] = numbers[field.name]
            continue
        column = checked_text(batch.column(field.name), field.name, place=place, on_bad_row=on_bad_row)
        if field.vocabulary:
            columns[field.name] = _ids(column, vocabularies[field.name], field.name, place, on_bad_row)
            continue
        if column.null_count and not field.nullable:
            # A row group is read with this checked, so it is the caller's batch that is wrong, not a row.
            row = int(np.flatnonzero(pc.is_null(column).to_numpy(zero_copy_only=False))[0])
            raise SchemaMismatch(f"{place(row)} field {field.name!r}: is null, and the schema allows no null there")
        if field.null is NullPolicy.MASK:
            columns[f"{field.name}_valid"] = pc.is_valid(column).to_numpy(zero_copy_only=False)
        if exact_decimals and pa.types.is_decimal(field.type):
            columns[field.name] = _filled(column, field).to_pylist()
        else:
            columns[field.name] = _values(column, field, _Images(image_size, max_pixels), place, on_bad_row)
    return columns


class _Images(NamedTuple):
    """What images are resized to, and how many pixels an encoded one may have."""

    size: tuple[int, int] | None
    max_pixels: int


def _is_as_it_lies(field: Field, image_size: tuple[int, int] | None) -> bool:
    """Whether numbers without nulls need nothing done."""
    if field.codec is Codec.RAW_IMAGE and image_size not in (None, tuple(field.type.shape[:2])):
        return False
    floating = field.null is NullPolicy.NAN and not pa.types.is_floating(field.type)
    return not (field.vocabulary or field.dtype or field.null is NullPolicy.MASK or floating)


def _ids(column: pa.Array, vocabulary: Vocabulary, name: str, place: Callable[[int], str], on_bad_row: OnBadRow) -> np.ndarray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if kind not in vocabulary.lookups:
        vocabulary.lookups[kind] = ValuePlaces(vocabulary.values, kind)
    ids: np.ndarray = vocabulary.lookups[kind].of(column)
    if vocabulary.unknown:
        return ids + vocabulary.first_id
    for row in np.flatnonzero(ids < 0).tolist():
        text = f"{place(row)} field {name!r}: {column[row].as_py()!r} is not in the vocabulary"
        on_bad_row(row, SchemaMismatch(text))
    return np.asarray(np.maximum(ids, 0))


def _values(column: pa.Array, field: Field, images: "_Images", place: Callable[[int], str], on_bad_row: OnBadRow) -> Any:
    if field.codec is Codec.IMAGE:
        return _images(column, field, images, place, on_bad_row)
    if field.codec is Codec.RAW_IMAGE and images.size not in (None, tuple(field.type.shape[:2])):
        return np.stack([resize_raw(image, images.size) for image in _tensors(column)])
    if field.codec in (Codec.TENSOR, Codec.RAW_IMAGE):
        return _tensors(column)
    if field.codec in ARRAYS:
        return _arrays(column, field, place, on_bad_row)
    if field.codec is Codec.LIST:
        return _lists(column, field, place, on_bad_row)
    return _numbers(column, field, place, on_bad_row)


def _numbers(column: pa.Array, field: Field, place: Callable[[int], str], on_bad_row: OnBadRow) -> Any:
    values = _scalars(column, field, place, on_bad_row)
    return values if field.dtype is None else _as_dtype(values, field, place, on_bad_row)


def _as_dtype(values: Any, field: Field, place: Callable[[int], str], on_bad_row: OnBadRow) -> np.ndarray:
    """Return numbers, or text of numbers, as the field's dtype; nulls that are NaN stay floating."""
    wanted = np.dtype(field.dtype)
    if isinstance(values, np.ndarray):
        if field.null is NullPolicy.NAN and wanted.kind != "f":
            return values
        for row in rows_that_change(values, wanted).tolist():
            on_bad_row(row, DecodeFailed(f"{place(row)} field {field.name!r}: {values[row]} is no {wanted}"))
        return _as(values, wanted)
    known = np.empty(len(values), object)
    known[:] = [0 if value is None else value for value in values]
    return _text_numbers(known, field, place, on_bad_row)


def _number(
    row: int, value: Any, wanted: np.dtype, field: Field, place: Callable[[int], str], on_bad_row: OnBadRow
) -> np.ndarray | int:
    try:
        return np.array(value, wanted)
    except (ValueError, TypeError, ArithmeticError) as error:
        bad = DecodeFailed(f"{place(row)} field {field.name!r}: text that is no number: {error}")
        bad.__cause__ = error
        on_bad_row(row, bad)
        return 0


def _as(values: np.ndarray, wanted: np.dtype) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        return values.astype(wanted)


def rows_that_change(values: np.ndarray, wanted: np.dtype) -> np.ndarray:
    """Return the places of numbers that become others as whole numbers of another type: too large, or no whole ones."""
    if wanted.kind not in "iu" or values.dtype.kind not in "iuf":
        return np.zeros(0, np.int64)
    made = _as(values, wanted)
    # Of differing signs, numbers may be equal that are not the same: what is compared is of the type they came from.
    same = (_as(made, values.dtype) == values) & ((made < 0) == (values < 0))
    return np.flatnonzero(~same)


def _lists(column: pa.Array, field: Field, place: Callable[[int], str], on_bad_row: OnBadRow) -> Any:
    ragged = _ragged(column, field, place, on_bad_row)
    if field.shape is None:
        return ragged
    size = prod(length or 0 for length in field.shape)
    dtype = field.dtype or field.type.value_type.to_pandas_dtype()
    filled = np.zeros((len(ragged), size), dtype)
    for row, values in enumerate(ragged):
        if len(values) == size:
            filled[row] = values
        elif column[row].is_valid:
            text = f"{place(row)} field {field.name!r}: {len(values)} values, the schema's shape {field.shape} has {size}"
            on_bad_row(row, DecodeFailed(text))
    return filled.reshape(len(ragged), *field.shape)


def _ragged(column: pa.Array, field: Field, place: Callable[[int], str], on_bad_row: OnBadRow) -> list[np.ndarray]:
    """Return an array a row, of what scalars of the lists' values become; empty ones for nulls."""
    inner = field.type.value_type
    if pa.types.is_nested(inner):
        return [np.zeros(0) if value.values is None else value.values.to_numpy(zero_copy_only=False) for value in column]
    ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    flat, wanted = column.flatten(), np.dtype(field.dtype)

    def row_of(value: int) -> int:
        return int(np.searchsorted(ends, value, side="right"))

    def on_bad_value(value: int, error: BigDataMLError) -> None:
        on_bad_row(row_of(value), error)

    def value_place(value: int) -> str:
        return place(row_of(value))

    null, floating = NullPolicy.MASK, field.dtype is not None and wanted.kind == "f"
    if _is_number(inner) and flat.null_count:
        if floating or pa.types.is_floating(inner) or pa.types.is_decimal(inner):
            null = NullPolicy.NAN
        else:
            for value in np.flatnonzero(pc.is_null(flat).to_numpy(zero_copy_only=False)).tolist():
                text = f"{value_place(value)} field {field.name!r}: a null among the values of a list, and {inner} has none"
                on_bad_value(value, DecodeFailed(text))
    if _is_number(inner):
        item = Field(name=field.name, type=inner, null=null, dtype=field.dtype)
        values = _numbers(flat, item, value_place, on_bad_value)
    else:
        values = _text_numbers(flat.to_numpy(zero_copy_only=False), field, value_place, on_bad_value)
    return np.split(values, ends[:-1]) if len(ends) else []


def _text_numbers(values: np.ndarray, field: Field, place: Callable[[int], str], on_bad_row: OnBadRow) -> np.ndarray:
    if field.dtype is None:
        return values
    wanted = np.dtype(field.dtype)
    try:
        return values.astype(wanted)
    except (ValueError, TypeError, ArithmeticError):
        numbered = enumerate(values.tolist())
        return np.array([_number(row, value, wanted, field, place, on_bad_row) for row, value in numbered], wanted)


def _is_number(kind: pa.DataType) -> bool:
    """Return whether values become numbers or booleans."""
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_temporal)
    return any(check(kind) for check in checks)


def _arrays(column: pa.Array, field: Field, place: Callable[[int], str], on_bad_row: OnBadRow) -> Any:
    """Return arrays of numpy's formats: one array where shape and dtype are the same for all, else a list."""
    shape = field.shape or ()
    nothing = np.zeros([size or 0 for size in shape], _loaded_dtype(field))
    whole = None not in shape and nothing.dtype.kind not in "US"
    arrays: Any = np.zeros((len(column), *nothing.shape), nothing.dtype) if whole else [nothing] * len(column)
    for row, value in enumerate(column):
        data = value.as_buffer()
        if data is None:
            continue
        try:
            arrays[row] = _array(data, field, nothing)
        except ValueError as error:
            bad = DecodeFailed(f"{place(row)} field {field.name!r}: the array cannot be read: {error}")
            bad.__cause__ = error
            on_bad_row(row, bad)
    if whole or len(shape) < 2 or nothing.dtype.kind in "US" or len({array.shape for array in arrays}) != 1:
        return arrays
    return np.stack(arrays)


def _array(data: pa.Buffer, field: Field, nothing: np.ndarray) -> np.ndarray:
    shape = field.shape or ()
    if field.codec is Codec.NDARRAY:
        array = read_npy(memoryview(data))
    else:
        array = read_npz(memoryview(data), limit=None if None in shape or nothing.dtype.kind in "US" else nothing.nbytes)
    if not fits(array.shape, shape):
        raise ValueError(f"its shape is {array.shape}, the schema says {shape}")
    if nothing.dtype.kind in "US":
        if array.dtype.kind != nothing.dtype.kind:
            raise ValueError(f"it holds {array.dtype}, the schema says {field.dtype}")
        return array
    native = array.dtype.newbyteorder("=")
    if (native.type.__name__ if native.kind in "mM" else native.name) != field.dtype:
        raise ValueError(f"it holds {array.dtype}, the schema says {field.dtype}")
    # Of the machine's byte order, and lying as torch wants it.
    array = np.ascontiguousarray(array, native)
    return array.view(np.int64) if native.kind in "mM" else array


def _loaded_dtype(field: Field) -> np.dtype:
    return np.dtype(np.int64 if field.dtype in ("datetime64", "timedelta64") else field.dtype)


def _filled(column: pa.Array, field: Field) -> pa.Array:
    return pc.fill_null(column, pa.scalar(field.fill, field.type)) if field.null is NullPolicy.FILL else column


def _scalars(column: pa.Array, field: Field, place: Callable[[int], str], on_bad_row: OnBadRow) -> Any:
    kind, column = field.type, _filled(column, field)
    if pa.types.is_decimal(kind):
        column = nearest_doubles(column)
    if pa.types.is_temporal(kind):
        column = pc.cast(pc.cast(column, pa.int32()) if kind.bit_width == 32 else column, pa.int64())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        return column.to_pylist()
    if field.null is NullPolicy.NAN:
        if pa.types.is_integer(column.type):
            for row in refused_rows(column, pa.float64()).tolist():
                text = f"{place(row)} field {field.name!r}: {column[row]} is beyond 2^53, and no float64; its nulls can be a mask"
                on_bad_row(row, DecodeFailed(text))
            column = pc.cast(column, pa.float64(), safe=False)
        column = pc.fill_null(column, pa.scalar(float("nan"), column.type))
    elif column.null_count:
        column = pc.fill_null(column, pa.scalar(0, pa.int8()).cast(column.type))
    return column.to_numpy(zero_copy_only=False)


def _tensors(column: pa.FixedShapeTensorArray) -> np.ndarray:
    if not column.null_count:
        return np.asarray(column.to_numpy_ndarray())
    known, there = pc.is_valid(column).to_numpy(zero_copy_only=False), column.drop_null().to_numpy_ndarray()
    values = np.zeros((len(column), *column.type.shape), there.dtype)
    values[known] = there
    return values


def _images(column: pa.Array, field: Field, asked: "_Images", place: Callable[[int], str], on_bad_row: OnBadRow) -> Any:
    decode = decode_image16 if field.dtype == "uint16" else decode_image
    images: list[np.ndarray | None] = []
    for row, value in enumerate(column):
        data = value.as_buffer()
        try:
            images.append(None if data is None else decode(data, field.channels or 3, asked.size, asked.max_pixels))
        except ImageRefused as error:
            bad = DecodeFailed(f"{place(row)} field {field.name!r}: the image cannot be decoded: {error}")
            bad.__cause__ = error
            on_bad_row(row, bad)
            images.append(None)
    shapes = {image.shape for image in images if image is not None}
    # A missing image has the size of the others, if they have one.
    shape = shapes.pop() if len(shapes) == 1 else (*(asked.size or (1, 1)), field.channels or 3)
    whole = [np.zeros(shape, field.dtype or np.uint8) if image is None else image for image in images]
    if field.shape is not None and len(field.shape) == 2:
        whole = [image[:, :, 0] for image in whole]
    return np.stack(whole) if len({image.shape for image in whole}) == 1 else whole
