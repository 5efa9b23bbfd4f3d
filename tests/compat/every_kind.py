"""A dataset of ours with a field of every codec and every type that Petastorm's schema can say."""

import io
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from tiny import publish_columns

from bigdata_ml.compat.petastorm.codecs import CompressedImageCodec
from bigdata_ml.compat.petastorm.unischema import UnischemaField
from bigdata_ml.compat.petastorm.values.pictures import decode_picture
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema

__all__ = ["EVERY", "Kind", "publish_every"]


class Kind(NamedTuple):
    """A kind of field, two values as they are stored, and as `make_reader` is to give them."""

    field: Field
    stored: list[Any]
    read: list[Any]


def plain(name: str, type: pa.DataType, dtype: Any, values: list[Any]) -> Kind:  # noqa: A002
    return Kind(Field(name=name, type=type), values, [dtype(value) for value in values])


def lists(name: str, type: pa.DataType, dtype: str, values: list[Any], **more: Any) -> Kind:  # noqa: A002
    return Kind(Field(name=name, type=type, codec=Codec.LIST, **more), values, [np.array(value, dtype) for value in values])


def arrays(name: str, codec: Codec, dtype: str, values: list[np.ndarray], shape: tuple[int | None, ...]) -> Kind:
    stored = []
    for value in values:
        stream = io.BytesIO()
        np.save(stream, value) if codec is Codec.NDARRAY else np.savez_compressed(stream, arr=value)
        stored.append(stream.getvalue())
    return Kind(Field(name=name, type=pa.binary(), codec=codec, dtype=dtype, shape=shape), stored, values)


def pictures(name: str, form: str, dtype: str, channels: int) -> Kind:
    drawn = DRAWN.integers(0, np.iinfo(dtype).max, (2, 8, 9, channels)).astype(dtype)
    values = [value if channels == 3 else value[:, :, 0] for value in drawn]
    said = UnischemaField(name, np.dtype(dtype).type, values[0].shape)
    stored = [bytes(CompressedImageCodec(form).encode(said, value)) for value in values]
    field = Field(name=name, type=pa.binary(), codec=Codec.IMAGE, channels=channels, dtype=dtype)
    return Kind(field, stored, values if form == "png" else [decode_picture(value) for value in stored])


DRAWN = np.random.default_rng(0)
TENSORS = DRAWN.random((2, 2, 3), np.float32)
PIXELS = DRAWN.integers(0, 256, (2, 4, 5, 3), np.uint8)
WHOLE = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
EVERY = [
    *(plain(f"f_{kind}", kind, kind.to_pandas_dtype(), [1, 100]) for kind in WHOLE),
    *(plain(f"f_{kind}", kind, kind.to_pandas_dtype(), [0.5, -2.0]) for kind in (pa.float16(), pa.float32(), pa.float64())),
    Kind(Field(name="narrow", type=pa.int32(), dtype="uint8"), [1, 200], [np.uint8(1), np.uint8(200)]),
    plain("flag", pa.bool_(), np.bool_, [True, False]),
    plain("text", pa.string(), np.str_, ["", "ü"]),
    plain("large_text", pa.large_string(), np.str_, ["", "ü"]),
    plain("word", pa.dictionary(pa.int32(), pa.string()), np.str_, ["a", "b"]),
    plain("data", pa.binary(), np.bytes_, [b"", b"\1\0"]),
    plain("large_data", pa.large_binary(), np.bytes_, [b"", b"\1\0"]),
    plain("two_bytes", pa.binary(2), np.bytes_, [b"\0\0", b"\1\0"]),
    plain("day", pa.date32(), np.datetime64, [date(1500, 1, 1), date(2020, 2, 29)]),
    *(
        plain(f"time_{unit}", pa.timestamp(unit), np.datetime64, [datetime(1960, 1, 1), datetime(2020, 1, 1, 1, 2, 3)])
        for unit in ("ms", "us", "ns")
    ),
    *(
        plain(f"price_{digits}", kind(digits, 2), Decimal, [Decimal("-3.50"), Decimal("0.25")])
        for digits, kind in ((9, pa.decimal32), (18, pa.decimal64), (38, pa.decimal128), (76, pa.decimal256))
    ),
    lists("numbers", pa.list_(pa.int16()), "int16", [[1, 2], [3, 4]]),
    lists("ragged", pa.list_(pa.float64()), "float64", [[], [3, 4]]),
    lists("flags", pa.list_(pa.bool_()), "bool", [[True], [False]]),
    lists("large_numbers", pa.large_list(pa.float32()), "float32", [[1, 2], []]),
    lists("pair", pa.list_(pa.uint8(), 2), "uint8", [[1, 2], [3, 4]]),
    arrays("array", Codec.NDARRAY, "float32", [TENSORS[0], TENSORS[1][:1]], (None, 3)),
    arrays("words", Codec.NDARRAY, "str", [np.array([["a", "bc"]]), np.array([["d", ""]])], (None, 2)),
    arrays("packed", Codec.COMPRESSED_NDARRAY, "uint16", [np.arange(3, dtype=np.uint16)] * 2, (3,)),
    arrays("waves", Codec.COMPRESSED_NDARRAY, "complex128", [np.array([1 + 2j]), np.array([3j])], (1,)),
    pictures("png", "png", "uint8", 3),
    pictures("grey_png", "png", "uint8", 1),
    pictures("deep_png", "png", "uint16", 1),
    pictures("deep_colours", "png", "uint16", 3),
    pictures("jpeg", "jpeg", "uint8", 3),
    pictures("grey_jpeg", "jpeg", "uint8", 1),
    Kind(Field(name="tensor", type=pa.fixed_shape_tensor(pa.float32(), (2, 3)), codec=Codec.TENSOR), [*TENSORS], [*TENSORS]),
    Kind(Field(name="pixels", type=pa.fixed_shape_tensor(pa.uint8(), (4, 5, 3)), codec=Codec.RAW_IMAGE), [*PIXELS], [*PIXELS]),
]


def publish_every(place: Path, *, unknown: bool) -> None:
    """Publish two rows of every kind of field, and, if asked for, a third one in which all but the id is null."""
    fields, columns = [Field(name="id", type=pa.int64())], {"id": pa.array([0, 1, 2] if unknown else [0, 1])}
    for field, stored, _ in EVERY:
        fields.append(replace(field, null=NullPolicy.MASK) if unknown else field)
        columns[field.name] = column_of(field, [*stored, None] if unknown else stored)
    publish_columns(place, Schema(tuple(fields)), columns)


def column_of(field: Field, values: list[Any]) -> pa.Array:
    if not isinstance(field.type, pa.FixedShapeTensorType):
        return pa.array(values, field.type)
    flat = [None if value is None else value.ravel() for value in values]
    return pa.ExtensionArray.from_storage(field.type, pa.array(flat, field.type.storage_type))
