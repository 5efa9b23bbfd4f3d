"""Reads Petastorm's pickled unischema from dead data (`inert_pickle`).

It accepts exactly the names that Petastorm 0.4 to 0.13 writes, under Python 2 or 3 and any Spark and numpy of their time.
"""

from typing import Any

from bigdata_ml.dataset.petastorm import inert_pickle as inert
from bigdata_ml.dataset.petastorm.pickled_values import (
    BUILTINS,
    MOST_ATTRIBUTES,
    PACKAGES,
    attributes_of,
    class_of,
    dtype_of,
    is_named,
    is_whole,
    pairs_of,
    text_of,
)
from bigdata_ml.dataset.petastorm.schema import PetastormCodec, PetastormField, PetastormSchema

__all__ = ["SCHEMA_NAMES", "schema_of"]

_CODECS = {
    "ScalarCodec": "scalar",
    "NdarrayCodec": "ndarray",
    "CompressedNdarrayCodec": "compressed_ndarray",
    "CompressedImageCodec": "compressed_image",
}
_SPARK_TYPES = {
    "ByteType": "tinyint",
    "ShortType": "smallint",
    "IntegerType": "int",
    "LongType": "bigint",
    "FloatType": "float",
    "DoubleType": "double",
    "BooleanType": "boolean",
    "StringType": "string",
    "BinaryType": "binary",
    "DateType": "date",
    "TimestampType": "timestamp",
    "TimestampNTZType": "timestamp_ntz",
    "DecimalType": "decimal",
}
# numpy's scalar types by current and former names.
_NUMPY_TYPES = {
    **{name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{name: name for name in ("float16", "float32", "float64", "complex64", "complex128", "datetime64", "timedelta64")},
    "bool_": "bool",
    "bool8": "bool",
    "bool": "bool",
    "longlong": "int64",
    "ulonglong": "uint64",
    "intc": "int32",
    "uintc": "uint32",
    "int_": "int64",
    "uint": "uint64",
    "float_": "float64",
    "double": "float64",
    "single": "float32",
    "str_": "str_",
    "unicode_": "str_",
    "string_": "bytes_",
    "bytes_": "bytes_",
}
_BUILTIN_TYPES = {
    "bool": "bool",
    "int": "int64",
    "long": "int64",
    "float": "float64",
    "str": "str_",
    "unicode": "str_",
    "bytes": "bytes_",
}
SCHEMA_NAMES = frozenset(
    {
        *((f"{package}.unischema", name) for package in PACKAGES for name in ("Unischema", "UnischemaField")),
        *((f"{package}.codecs", name) for package in PACKAGES for name in _CODECS),
        *(("pyspark.sql.types", name) for name in _SPARK_TYPES),
        *(("numpy", name) for name in (*_NUMPY_TYPES, "dtype")),
        *((module, name) for module in BUILTINS for name in (*_BUILTIN_TYPES, "object", "tuple")),
        *(("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor"), ("pyspark.serializers", "_restore")),
        *(("collections", "OrderedDict"), ("decimal", "Decimal"), ("datetime", "date"), ("datetime", "datetime")),
    }
)
# Dimensions of a value, at most.
_DIMENSIONS = 32


def schema_of(value: Any) -> PetastormSchema:
    """Return the unischema of a pickled value.

    Raises:
        ValueError: it is no unischema; the text says why.
    """
    # No limit: it has an attribute for each field, and is read once.
    state = attributes_of(value, {"Unischema"}, limit=None)
    pairs = pairs_of(state.get("_fields"))
    fields = tuple(_field_of(item) for _, item in pairs)
    names = [field.name for field in fields]
    if len(set(names)) != len(names):
        raise ValueError("two of its fields have one name")
    return PetastormSchema(text_of(state.get("_name")), fields)


def _field_of(value: Any) -> PetastormField:
    name, kind, shape, *rest = _field_values(value)
    codec, nullable = (*rest, None, False)[:2] if len(rest) < 2 else rest
    if not isinstance(shape, tuple) or len(shape) > _DIMENSIONS or not all(size is None or is_whole(size) for size in shape):
        raise ValueError(f"the shape of field {text_of(name)!r} is not a tuple of up to {_DIMENSIONS} sizes and None")
    try:
        return PetastormField(
            name=text_of(name), kind=_kind_of(kind), shape=shape, codec=_codec_of(codec), nullable=bool(nullable)
        )
    except ValueError as error:
        raise ValueError(f"field {text_of(name)!r}: {error}") from error


def _field_values(value: Any) -> tuple[Any, ...]:
    """Return name, type, shape, codec, nullable from any of the three ways in which a named tuple is pickled."""
    if not isinstance(value, inert.Call):
        raise ValueError("a field is no UnischemaField")
    values: Any = None
    if value.name.name == "UnischemaField":
        values = value.arguments
    elif value.name.name == "_restore" and len(value.arguments) == 3 and value.arguments[0] == "UnischemaField":
        _, names, held = value.arguments
        few = isinstance(names, tuple) and isinstance(held, tuple) and max(len(names), len(held)) <= MOST_ATTRIBUTES
        if few and all(isinstance(name, str) for name in names):
            by_name = dict(zip(names, held, strict=False))
            values = tuple(by_name.get(name) for name in ("name", "numpy_dtype", "shape", "codec", "nullable"))
    elif value.name.name == "_reconstructor" and len(value.arguments) == 3 and is_named(value.arguments[0], "UnischemaField"):
        values = value.arguments[2]
    if not isinstance(values, tuple) or not 3 <= len(values) <= 5:
        raise ValueError("a field is no UnischemaField")
    return values


def _kind_of(value: Any) -> str:
    """Return the name of a field's type: a numpy scalar type or dtype, a Python type, or Decimal."""
    if isinstance(value, inert.Call) and is_named(value.name, "dtype"):
        dtype = dtype_of(value)
        return {"S": "bytes_", "U": "str_"}.get(dtype.kind, dtype.name)
    if isinstance(value, inert.Name):
        if value.module == "decimal":
            return "decimal"
        if value.module == "datetime":
            return "datetime64"
        kinds = _NUMPY_TYPES if value.module == "numpy" else _BUILTIN_TYPES
        if value.name in kinds:
            return kinds[value.name]
    raise ValueError("its type is not a numpy scalar type")


def _codec_of(value: Any) -> PetastormCodec | None:
    if value is None:
        return None
    state = attributes_of(value, set(_CODECS))
    kind: Any = _CODECS[class_of(value).name]
    if kind == "scalar":
        return PetastormCodec(kind=kind, spark_type=_spark_type(state.get("_spark_type")))
    if kind != "compressed_image":
        return PetastormCodec(kind=kind)
    quality = state.get("_quality", 80)
    if not is_whole(quality) or quality > 100:
        raise ValueError("its image quality is not a number from 0 to 100")
    return PetastormCodec(kind=kind, image_format=text_of(state.get("_image_codec")).removeprefix("."), quality=quality)


def _spark_type(value: Any) -> str:
    # Petastorm also accepts the type itself instead of an instance.
    name = value if isinstance(value, inert.Name) else class_of(value)
    if name.name not in _SPARK_TYPES:
        raise ValueError("its Spark type is not a scalar type")
    if name.name != "DecimalType":
        return _SPARK_TYPES[name.name]
    state = {} if isinstance(value, inert.Name) else attributes_of(value, {"DecimalType"})
    precision, scale = state.get("precision", 10), state.get("scale", 0)
    if not (is_whole(precision) and is_whole(scale) and precision <= 76 and scale <= precision):
        raise ValueError("the precision of its decimals is out of range")
    return f"decimal({precision},{scale})"
