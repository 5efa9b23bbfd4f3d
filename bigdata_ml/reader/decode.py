"""Arrow columns to numpy, as the schema says: nulls, vocabularies, tensors, encoded images. No torch."""

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bigdata_ml.dataset import Vocabulary
from bigdata_ml.errors import BigDataMLError, DecodeFailed, SchemaMismatch
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema

__all__ = ["Columns", "OnBadRow", "decode_batch", "raise_it"]

Columns = dict[str, Any]
OnBadRow = Callable[[int, BigDataMLError], None]


def raise_it(_: int, error: BigDataMLError) -> None:
    """Raise a row's error."""
    raise error


def decode_batch(
    batch: pa.RecordBatch,
    schema: Schema,
    vocabularies: Mapping[str, Vocabulary],
    *,
    image_size: tuple[int, int] | None = None,
    place: Callable[[int], str] = lambda row: f"row {row}",
    on_bad_row: OnBadRow = raise_it,
) -> Columns:
    """Return the columns of `batch` as the reader hands them on.

    Numbers become numpy [rows] of their own dtype (decimals float64; dates, times and timestamps int64 in the column's
    unit since 1970), booleans bool, fields with a vocabulary int64 ids, tensors [rows, *shape], encoded images uint8
    [rows, height, width, channels] (a list of arrays if their sizes differ), text and bytes lists, ragged lists lists of
    arrays. A field whose nulls are masked brings a second column `NAME_valid`, bool.

    Args:
        batch: rows with the schema's columns.
        schema: their fields.
        vocabularies: by field.
        image_size: (height, width) that images are resized to; None keeps each one's own.
        place: says where row i of the batch lies, for messages.
        on_bad_row: told the row and its error; returns, and zeros are put in the value's place, or raises it, as by default.

    Raises:
        SchemaMismatch: a null where none is allowed, or a value that is not in a closed vocabulary.
        DecodeFailed: an image that cannot be decoded.
    """
    columns: Columns = {}
    for field in schema:
        column = batch.column(field.name)
        if field.vocabulary:
            columns[field.name] = _ids(column, vocabularies[field.name], field.name, place, on_bad_row)
            continue
        if column.null_count and not field.nullable:
            # A row group is read with this checked, so it is the caller's batch that is wrong, not a row.
            row = int(np.flatnonzero(pc.is_null(column).to_numpy(zero_copy_only=False))[0])
            raise SchemaMismatch(f"{place(row)} field {field.name!r}: is null, and the schema allows no null there")
        if field.null is NullPolicy.MASK:
            columns[f"{field.name}_valid"] = pc.is_valid(column).to_numpy(zero_copy_only=False)
        columns[field.name] = _values(column, field, image_size, place, on_bad_row)
    return columns


def _ids(column: pa.Array, vocabulary: Vocabulary, name: str, place: Callable[[int], str], on_bad_row: OnBadRow) -> np.ndarray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    found = pc.index_in(column, pa.array(vocabulary.values, kind))
    if vocabulary.unknown:
        return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int64) + vocabulary.first_id
    for row in np.flatnonzero(pc.is_null(found).to_numpy(zero_copy_only=False)).tolist():
        text = f"{place(row)} field {name!r}: {column[row].as_py()!r} is not in the vocabulary"
        on_bad_row(row, SchemaMismatch(text))
    return np.asarray(pc.fill_null(found, 0).to_numpy(zero_copy_only=False), np.int64)


def _values(
    column: pa.Array, field: Field, image_size: tuple[int, int] | None, place: Callable[[int], str], on_bad_row: OnBadRow
) -> Any:
    if field.codec is Codec.IMAGE:
        return _images(column, field, image_size, place, on_bad_row)
    if field.codec is Codec.RAW_IMAGE and image_size not in (None, tuple(field.type.shape[:2])):
        return np.stack([_resized(_from_array(image), image_size) for image in _tensors(column)])
    if field.codec in (Codec.TENSOR, Codec.RAW_IMAGE):
        return _tensors(column)
    if field.codec is Codec.LIST:
        return [np.zeros(0) if value.values is None else value.values.to_numpy(zero_copy_only=False) for value in column]
    return _scalars(column, field)


def _scalars(column: pa.Array, field: Field) -> Any:
    kind = field.type
    if field.null is NullPolicy.FILL:
        column = pc.fill_null(column, pa.scalar(field.fill, kind))
    if pa.types.is_decimal(kind):
        column = pc.cast(column, pa.float64())
    if pa.types.is_temporal(kind):
        column = pc.cast(pc.cast(column, pa.int32()) if kind.bit_width == 32 else column, pa.int64())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        return column.to_pylist()
    if field.null is NullPolicy.NAN:
        floating = column.type if pa.types.is_floating(column.type) else pa.float64()
        column = pc.fill_null(pc.cast(column, floating, safe=False), float("nan"))
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


def _images(
    column: pa.Array, field: Field, image_size: tuple[int, int] | None, place: Callable[[int], str], on_bad_row: OnBadRow
) -> Any:
    images: list[np.ndarray | None] = []
    for row, value in enumerate(column):
        data = value.as_buffer()
        try:
            images.append(None if data is None else _decode_image(data, field.channels or 3, image_size))
        except (OSError, ValueError, SyntaxError) as error:
            bad = DecodeFailed(f"{place(row)} field {field.name!r}: the image cannot be decoded: {error}")
            bad.__cause__ = error
            on_bad_row(row, bad)
            images.append(None)
    shapes = {image.shape for image in images if image is not None}
    # A missing image has the size of the others, if they have one.
    shape = shapes.pop() if len(shapes) == 1 else (*(image_size or (1, 1)), field.channels or 3)
    whole = [np.zeros(shape, np.uint8) if image is None else image for image in images]
    return np.stack(whole) if len({image.shape for image in whole}) == 1 else whole


def _decode_image(data: pa.Buffer, channels: int, image_size: tuple[int, int] | None) -> np.ndarray:
    """Return uint8 [height, width, channels]; JPEG by libjpeg-turbo at the smallest scale that covers the target."""
    from PIL import Image

    if bytes(data[:2]) == b"\xff\xd8":
        # What libjpeg warns of, Pillow judges, as it did in the preparation job: stray bytes pass, a cut file does not.
        with suppress(ValueError):
            return _decode_jpeg(data, channels, image_size)
    with Image.open(io.BytesIO(data)) as opened:
        return _resized(opened.convert("L" if channels == 1 else "RGB"), image_size)


def _decode_jpeg(data: pa.Buffer, channels: int, image_size: tuple[int, int] | None) -> np.ndarray:
    import simplejpeg

    height, width = image_size or (0, 0)
    image = simplejpeg.decode_jpeg(
        # Arrow's bytes are signed, simplejpeg's are not.
        memoryview(data).cast("B"),
        colorspace="GRAY" if channels == 1 else "RGB",
        min_height=height,
        min_width=width,
        min_factor=1,
    )
    return np.asarray(image) if image_size in (None, image.shape[:2]) else _resized(_from_array(image), image_size)


def _from_array(image: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def _resized(picture: Any, image_size: tuple[int, int] | None) -> np.ndarray:
    from PIL import Image

    if image_size is not None and picture.size != image_size[::-1]:
        picture = picture.resize(image_size[::-1], Image.Resampling.BILINEAR)
    array = np.asarray(picture)
    return array[:, :, np.newaxis] if array.ndim == 2 else array
