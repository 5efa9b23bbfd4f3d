"""A `Unischema` as it is kept on disk: Petastorm's own fields and codecs, or a refusal by name."""

from decimal import Decimal

import numpy as np

from bigdata_ml.compat.petastorm.codecs import CompressedImageCodec, CompressedNdarrayCodec, NdarrayCodec, ScalarCodec
from bigdata_ml.compat.petastorm.unischema import Unischema, UnischemaField
from bigdata_ml.dataset import PetastormCodec, PetastormField, PetastormSchema

__all__ = ["stored_unischema"]


def stored_unischema(schema: Unischema) -> PetastormSchema:
    """Return what is kept of a schema.

    Raises:
        TypeError: no `Unischema` of this package.
        ValueError: a codec of one's own, or a dtype that is none of numpy's, naming the field: no reader would load it, since
            it would have to run what the file says.
    """
    if not isinstance(schema, Unischema):
        raise TypeError(
            f"schema must be a Unischema of bigdata_ml.compat.petastorm, got {type(schema).__module__}.{type(schema).__name__}"
        )
    return PetastormSchema(schema._name, tuple(_field(unischema_field) for unischema_field in schema))


def _field(field: UnischemaField) -> PetastormField:
    shape = tuple(None if size is None else int(size) for size in field.shape)
    return PetastormField(name=field.name, kind=_kind(field), shape=shape, codec=_codec(field), nullable=bool(field.nullable))


def _kind(field: UnischemaField) -> str:
    if field.numpy_dtype is Decimal:
        return "decimal"
    try:
        dtype = np.dtype(field.numpy_dtype)
    except TypeError as error:
        raise ValueError(f"field {field.name!r}: {field.numpy_dtype!r} is no dtype of numpy's, nor Decimal") from error
    if dtype.kind in "SU":
        return {"S": "bytes_", "U": "str_"}[dtype.kind]
    if dtype.kind not in "biufcmM":
        raise ValueError(f"field {field.name!r}: a field of {dtype} cannot be kept; give numpy's type of its values")
    return {"m": "timedelta64", "M": "datetime64"}.get(dtype.kind, str(dtype.name))


def _codec(field: UnischemaField) -> PetastormCodec | None:
    codec = field.codec
    if codec is None:
        return None
    if type(codec) is ScalarCodec:
        kind = codec._spark_type
        return PetastormCodec(kind="scalar", spark_type=kind if isinstance(kind, str) else kind.simpleString())
    if type(codec) is CompressedImageCodec:
        return PetastormCodec(kind="compressed_image", image_format=codec.image_codec, quality=codec.quality)
    if type(codec) is NdarrayCodec:
        return PetastormCodec(kind="ndarray")
    if type(codec) is CompressedNdarrayCodec:
        return PetastormCodec(kind="compressed_ndarray")
    raise ValueError(
        f"field {field.name!r}: the codec {type(codec).__module__}.{type(codec).__name__} is none of Petastorm's own, which "
        "alone readers load; store its bytes with ScalarCodec(BinaryType()) and decode them in a TransformSpec"
    )
