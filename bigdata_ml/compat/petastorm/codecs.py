"""Codecs: a field's value to its stored form in Parquet and back. The bytes are the same as Petastorm's."""

import io
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from bigdata_ml.compat.petastorm.values.pictures import decode_picture, encode_picture
from bigdata_ml.reader.decode.arrays import read_npy, read_npz

if TYPE_CHECKING:
    from bigdata_ml.compat.petastorm.unischema import UnischemaField

__all__ = ["CompressedImageCodec", "CompressedNdarrayCodec", "DataframeColumnCodec", "NdarrayCodec", "ScalarCodec"]


class DataframeColumnCodec(ABC):
    """How a field's value is stored. For your own codec, subclass it and define all methods."""

    @abstractmethod
    def encode(self, unischema_field: "UnischemaField", value: Any) -> Any:
        """Return the stored form of a value."""

    @abstractmethod
    def decode(self, unischema_field: "UnischemaField", value: Any) -> Any:
        """Return the value of a stored form."""

    @abstractmethod
    def spark_dtype(self) -> Any:
        """Return the `pyspark.sql.types` type of the stored column."""


class ScalarCodec(DataframeColumnCodec):
    """A scalar, stored in a column of a Spark type.

    Args:
        spark_type: an instance of a class of `pyspark.sql.types`, or Spark's short name of such a type: "int", "decimal(10,2)" …
    """

    def __init__(self, spark_type: Any) -> None:
        self._spark_type = spark_type

    def encode(self, unischema_field: "UnischemaField", value: Any) -> Any:
        """Return the value as a plain Python scalar for Spark.

        Raises:
            TypeError: the value is not a scalar.
            ValueError: the field's shape is not `()`, or a value of a text field is not text.
        """
        if tuple(unischema_field.shape):
            raise ValueError(f"field {unischema_field.name!r}: ScalarCodec needs the shape (), got {unischema_field.shape}")
        if np.ndim(value) or isinstance(value, (dict, set)):
            raise TypeError(f"field {unischema_field.name!r}: ScalarCodec takes a scalar, got {type(value).__name__}")
        kind = type(self.spark_dtype()).__name__
        if kind in ("ByteType", "ShortType", "IntegerType", "LongType"):
            return int(value)
        if kind in ("FloatType", "DoubleType"):
            return float(value)
        if kind == "BooleanType":
            return bool(value)
        if kind == "StringType":
            if not isinstance(value, str):
                raise ValueError(f"field {unischema_field.name!r}: must be text, got {type(value).__name__}")
            return str(value)
        return value

    def decode(self, unischema_field: "UnischemaField", value: Any) -> Any:
        return unischema_field.numpy_dtype(value)

    def spark_dtype(self) -> Any:
        return _spark_type_named(self._spark_type) if isinstance(self._spark_type, str) else self._spark_type

    def __str__(self) -> str:
        if isinstance(self._spark_type, str):
            return f"ScalarCodec({self._spark_type!r})"
        return f"ScalarCodec({type(self._spark_type).__name__}())"


def _spark_type_named(name: str) -> Any:
    from pyspark.sql import types as spark_types

    if name.startswith("decimal"):
        precision, scale = re.findall(r"\d+", name) or ("10", "0")
        return spark_types.DecimalType(int(precision), int(scale))
    kinds = (
        *(spark_types.ByteType, spark_types.ShortType, spark_types.IntegerType, spark_types.LongType),
        *(spark_types.FloatType, spark_types.DoubleType, spark_types.BooleanType, spark_types.StringType),
        *(spark_types.BinaryType, spark_types.DateType, spark_types.TimestampType),
    )
    by_name = {kind().simpleString(): kind for kind in kinds}
    if name not in by_name:
        raise ValueError(f"{name!r} is not a scalar type of Spark; these are decimal(p,s), {', '.join(by_name)}")
    return by_name[name]()


class _Binary(DataframeColumnCodec):
    """A codec that stores bytes."""

    def spark_dtype(self) -> Any:
        from pyspark.sql import types as spark_types

        return spark_types.BinaryType()

    def __str__(self) -> str:
        return f"{type(self).__name__}()"


class NdarrayCodec(_Binary):
    """An array as numpy's `.npy` bytes."""

    def encode(self, unischema_field: "UnischemaField", value: Any) -> bytearray:
        """Return the bytes of an array.

        Raises:
            ValueError: the value is not an array of the field's dtype and shape.
        """
        _check_array(unischema_field, value)
        stream = io.BytesIO()
        np.save(stream, value, allow_pickle=False)
        return bytearray(stream.getvalue())

    def decode(self, unischema_field: "UnischemaField", value: Any) -> np.ndarray:
        return read_npy(value)


class CompressedNdarrayCodec(_Binary):
    """An array as numpy's `.npz` bytes, deflated."""

    def encode(self, unischema_field: "UnischemaField", value: Any) -> bytearray:
        """Return the bytes of an array; raises like `NdarrayCodec.encode`."""
        _check_array(unischema_field, value)
        stream = io.BytesIO()
        np.savez_compressed(stream, arr=value)
        return bytearray(stream.getvalue())

    def decode(self, unischema_field: "UnischemaField", value: Any) -> np.ndarray:
        return read_npz(value, limit=None)


class CompressedImageCodec(_Binary):
    """An image, grey [height, width] or RGB [height, width, 3], as PNG (uint8 or uint16) or JPEG (uint8) bytes.

    Args:
        image_codec: "png" or "jpeg".
        quality: of JPEG, 1 … 100.
    """

    def __init__(self, image_codec: str = "png", quality: int = 80) -> None:
        self._image_codec = "." + image_codec.removeprefix(".")
        self._quality = quality

    @property
    def image_codec(self) -> str:
        """The format: "png", "jpeg" …"""
        return self._image_codec[1:]

    @property
    def quality(self) -> int:
        """Of JPEG, 1 … 100."""
        return self._quality

    def encode(self, unischema_field: "UnischemaField", value: Any) -> bytearray:
        """Return the file's bytes.

        Raises:
            ValueError: the value is not an image of the field's dtype and shape.
        """
        _check_array(unischema_field, value)
        if value.ndim != 2 and value.shape[2:] != (3,):
            raise ValueError(
                f"field {unischema_field.name!r}: an image must be [height, width] or [height, width, 3], got {value.shape}"
            )
        try:
            return encode_picture(value, self.image_codec, self._quality)
        except ValueError as error:
            raise ValueError(f"field {unischema_field.name!r}: {error}") from error

    def decode(self, unischema_field: "UnischemaField", value: Any) -> np.ndarray:
        return decode_picture(value)

    def __str__(self) -> str:
        return f"CompressedImageCodec({self.image_codec!r}, {self._quality})"


def _check_array(field: "UnischemaField", value: Any) -> None:
    if not isinstance(value, np.ndarray):
        raise ValueError(f"field {field.name!r}: must be an array of {field.numpy_dtype}, got {type(value).__name__}")
    # By type: text and times have a length or a unit of their own.
    if value.dtype.type is not np.dtype(field.numpy_dtype).type:
        raise ValueError(f"field {field.name!r}: must be of dtype {np.dtype(field.numpy_dtype)}, got {value.dtype}")
    shape = tuple(field.shape)
    if len(shape) != value.ndim or any(a is not None and a != b for a, b in zip(shape, value.shape, strict=True)):
        raise ValueError(f"field {field.name!r}: must be of shape {shape}, got {value.shape}")
