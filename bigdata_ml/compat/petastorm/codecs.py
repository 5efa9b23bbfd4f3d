"""Codecs: a field's value to what lies in its Parquet column, and back. The bytes are those that Petastorm writes and reads."""

import io
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from bigdata_ml.reader.arrays import read_npy, read_npz
from bigdata_ml.reader.png16 import decode_png16

if TYPE_CHECKING:
    from bigdata_ml.compat.petastorm.unischema import UnischemaField

__all__ = ["CompressedImageCodec", "CompressedNdarrayCodec", "DataframeColumnCodec", "NdarrayCodec", "ScalarCodec"]


class DataframeColumnCodec(ABC):
    """How a field's value is stored. Your own: subclass it, with all methods."""

    @abstractmethod
    def encode(self, unischema_field: "UnischemaField", value: Any) -> Any:
        """Return what is stored for a value."""

    @abstractmethod
    def decode(self, unischema_field: "UnischemaField", value: Any) -> Any:
        """Return the value of what is stored."""

    @abstractmethod
    def spark_dtype(self) -> Any:
        """Return the `pyspark.sql.types` type of the stored column."""


class ScalarCodec(DataframeColumnCodec):
    """One scalar, in a column of a Spark type.

    Args:
        spark_type: an instance of a class of `pyspark.sql.types`, or Spark's short name of such a type: "int", "decimal(10,2)" …
    """

    def __init__(self, spark_type: Any) -> None:
        self._spark_type = spark_type

    def encode(self, unischema_field: "UnischemaField", value: Any) -> Any:
        """Return the value as the plain Python scalar that Spark takes.

        Raises:
            TypeError: a value that is no scalar.
            ValueError: a field whose shape is not `()`, or text that is none.
        """
        if tuple(unischema_field.shape):
            raise ValueError(f"field {unischema_field.name!r}: ScalarCodec goes with the shape (), got {unischema_field.shape}")
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
        raise ValueError(f"{name!r} names no Spark type of a scalar; they are decimal(p,s), {', '.join(by_name)}")
    return by_name[name]()


class _Binary(DataframeColumnCodec):
    """One that stores bytes."""

    def spark_dtype(self) -> Any:
        from pyspark.sql import types as spark_types

        return spark_types.BinaryType()

    def __str__(self) -> str:
        return f"{type(self).__name__}()"


class NdarrayCodec(_Binary):
    """An array as numpy's own `.npy` bytes."""

    def encode(self, unischema_field: "UnischemaField", value: Any) -> bytearray:
        """Return the bytes of an array.

        Raises:
            ValueError: no array, or of another dtype or shape than the field's.
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
        """Return the bytes of an array; raises as `NdarrayCodec.encode` does."""
        _check_array(unischema_field, value)
        stream = io.BytesIO()
        np.savez_compressed(stream, arr=value)
        return bytearray(stream.getvalue())

    def decode(self, unischema_field: "UnischemaField", value: Any) -> np.ndarray:
        return read_npz(value, limit=None)


class CompressedImageCodec(_Binary):
    """A picture, grey [height, width] or RGB [height, width, 3], as PNG (uint8 or uint16) or JPEG (uint8) bytes.

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
            ValueError: another dtype or shape than the field's, or no picture's.
        """
        _check_array(unischema_field, value)
        if value.ndim != 2 and value.shape[2:] != (3,):
            raise ValueError(
                f"field {unischema_field.name!r}: a picture is [height, width] or [height, width, 3], got {value.shape}"
            )
        if value.dtype == np.uint16 and value.ndim == 3:
            return _encode_deep(unischema_field, value)
        from PIL import Image

        stream, jpeg = io.BytesIO(), self.image_codec in ("jpeg", "jpg")
        options: dict[str, Any] = {"quality": self._quality} if jpeg else {}
        Image.fromarray(value).save(stream, "jpeg" if jpeg else self.image_codec, **options)
        return bytearray(stream.getvalue())

    def decode(self, unischema_field: "UnischemaField", value: Any) -> np.ndarray:
        return decode_picture(value)

    def __str__(self) -> str:
        return f"CompressedImageCodec({self.image_codec!r}, {self._quality})"


def decode_picture(data: Any) -> np.ndarray:
    """Return [height, width] or [height, width, 3] of uint8 or uint16, as the file has it.

    JPEG is decoded by libjpeg-turbo, all else by OpenCV where it is installed, else by Pillow.

    Raises:
        ValueError: bytes that are no picture, or one with transparency.
    """
    if bytes(data[:2]) == b"\xff\xd8":
        return _decode_jpeg(data)
    cv2 = _opencv()
    if cv2 is None:
        return _decode_by_pillow(data)
    found = _decode_by_opencv(cv2, data)
    return found if found.ndim == 2 else np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB))


def decode_picture_into(data: Any, room: np.ndarray) -> bool:
    """Decode a picture where it is to lie, and return whether it has the size and channels of `room`, uint8 [height, width, 3].

    One that has not leaves anything in it, and so does one that `decode_picture`, which says why, cannot decode.
    """
    if bytes(data[:2]) == b"\xff\xd8":
        import simplejpeg

        if _has_one_channel(data):
            return False
        try:
            return bool(simplejpeg.decode_jpeg(data, buffer=room).shape == room.shape)
        # A larger picture than there is room for, too.
        except (ValueError, KeyError):
            return False
    cv2 = _opencv()
    if cv2 is None:
        return False
    try:
        found = _decode_by_opencv(cv2, data)
    except ValueError:
        return False
    if found.dtype != room.dtype or found.shape != room.shape:
        return False
    cv2.cvtColor(found, cv2.COLOR_BGR2RGB, dst=room)
    return True


def _decode_jpeg(data: Any) -> np.ndarray:
    import simplejpeg

    if _has_one_channel(data):
        return np.asarray(simplejpeg.decode_jpeg(data, colorspace="GRAY"))[:, :, 0]
    return np.asarray(simplejpeg.decode_jpeg(data))


def _decode_by_opencv(cv2: Any, data: Any) -> np.ndarray:
    """Return the picture as OpenCV has it: its colours are blue, green, red."""
    try:
        found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    # Of no bytes, or more pixels than it allows.
    except cv2.error as error:
        raise ValueError(f"the bytes are no picture that OpenCV reads: {error}") from error
    if found is None:
        raise ValueError("the bytes are no picture that OpenCV reads")
    if found.ndim == 3:
        _check_colours(found.shape[2])
    return np.asarray(found)


def _has_one_channel(jpeg: Any) -> bool:
    """Whether a JPEG's frame header says so (ITU T.81, B.2.2); false where none is found, which the decoder will say.

    Read here since simplejpeg lets go of Python's lock to read it, for which threads then queue: a tenth of the decoding.
    """
    place = 2
    while place + 9 < len(jpeg) and jpeg[place] == 0xFF:
        kind = jpeg[place + 1]
        # SOF0 … SOF15, of which DHT, JPG and DAC are none.
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            return bool(jpeg[place + 9] == 1)
        # A marker may be preceded by any number of bytes 0xFF.
        place += 1 if kind == 0xFF else 2 + (jpeg[place + 2] << 8 | jpeg[place + 3])
    return False


def _decode_by_pillow(data: Any) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    # IHDR: depth 16, three colours. Pillow would cut them to 8 bits.
    if bytes(data[24:26]) == b"\x10\x02":
        return decode_png16(bytes(data))
    try:
        with Image.open(io.BytesIO(data)) as picture:
            _check_colours(len(picture.getbands()))
            found = np.asarray(picture.convert("RGB") if picture.mode == "P" else picture)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f"the bytes are no picture that Pillow reads: {error}") from error
    return found.astype(np.uint16) if found.dtype == np.int32 else found


def _check_colours(count: int) -> None:
    if count not in (1, 3):
        raise ValueError(f"a picture has one channel or three, this one has {count}: drop its transparency before encoding it")


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        return None
    return cv2


def _encode_deep(field: "UnischemaField", value: np.ndarray) -> bytearray:
    cv2 = _opencv()
    if cv2 is None:
        raise ValueError(f"field {field.name!r}: three colours with 16 bits need OpenCV: pip install opencv-python-headless")
    done, encoded = cv2.imencode(".png", cv2.cvtColor(value, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"field {field.name!r}: OpenCV cannot encode the picture")
    return bytearray(encoded)


def _check_array(field: "UnischemaField", value: Any) -> None:
    if not isinstance(value, np.ndarray):
        raise ValueError(f"field {field.name!r}: must be an array of {field.numpy_dtype}, got {type(value).__name__}")
    # By type: text and times have a length or a unit of their own.
    if value.dtype.type is not np.dtype(field.numpy_dtype).type:
        raise ValueError(f"field {field.name!r}: must be of dtype {np.dtype(field.numpy_dtype)}, got {value.dtype}")
    shape = tuple(field.shape)
    if len(shape) != value.ndim or any(a is not None and a != b for a, b in zip(shape, value.shape, strict=True)):
        raise ValueError(f"field {field.name!r}: must be of shape {shape}, got {value.shape}")
