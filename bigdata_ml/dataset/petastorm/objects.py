"""What Petastorm's pickled unischema and row-group indexes mean, once they are read as dead data (`inert_pickle`).

Exactly the names are known that Petastorm 0.4 to 0.13 writes, under Python 2 or 3 and any Spark and numpy of their time.
"""

import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from bigdata_ml.dataset.petastorm import inert_pickle as inert
from bigdata_ml.dataset.petastorm.schema import PetastormCodec, PetastormField, PetastormIndex, PetastormSchema

__all__ = ["INDEX_NAMES", "SCHEMA_NAMES", "indexes_of", "schema_of"]

_PACKAGES = ("petastorm", "av.experimental.deepdrive.dataset_toolkit", "av.ml.dataset_toolkit")
_CODECS = {
    "ScalarCodec": "scalar",
    "NdarrayCodec": "ndarray",
    "CompressedNdarrayCodec": "compressed_ndarray",
    "CompressedImageCodec": "compressed_image",
}
_INDEXERS = {"SingleFieldIndexer": "single_field", "FieldNotNullIndexer": "field_not_null"}
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
# Names of numpy's scalar types, by that name or another they have had.
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
_BUILTINS = ("builtins", "__builtin__")
SCHEMA_NAMES = frozenset(
    {
        *((f"{package}.unischema", name) for package in _PACKAGES for name in ("Unischema", "UnischemaField")),
        *((f"{package}.codecs", name) for package in _PACKAGES for name in _CODECS),
        *(("pyspark.sql.types", name) for name in _SPARK_TYPES),
        *(("numpy", name) for name in (*_NUMPY_TYPES, "dtype")),
        *((module, name) for module in _BUILTINS for name in (*_BUILTIN_TYPES, "object", "tuple")),
        *(("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor"), ("pyspark.serializers", "_restore")),
        *(("collections", "OrderedDict"), ("decimal", "Decimal"), ("datetime", "date"), ("datetime", "datetime")),
    }
)
INDEX_NAMES = frozenset(
    {
        *((f"{package}.etl.rowgroup_indexers", name) for package in _PACKAGES for name in _INDEXERS),
        *((module, name) for module in _BUILTINS for name in ("set", "object")),
        *(("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"), ("numpy", "dtype")),
        *(("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")),
        *(("collections", "defaultdict"), ("decimal", "Decimal")),
    }
)
# Dimensions of a value, and attributes of an object: what one of them holds is often shared by all fields.
_DIMENSIONS, _ATTRIBUTES = 32, 32
_DTYPE = re.compile("b1|[iuf][1248]|[SU][0-9]{1,6}")


def schema_of(found: Any) -> PetastormSchema:
    """Return the unischema of what was read.

    Raises:
        ValueError: it is none; the text says what is wrong.
    """
    # It has an attribute for each field, and is read once.
    state = _state(found, {"Unischema"}, limit=None)
    pairs = _pairs(state.get("_fields"))
    fields = tuple(_field_of(value) for _, value in pairs)
    names = [field.name for field in fields]
    if len(set(names)) != len(names):
        raise ValueError("two of its fields have one name")
    return PetastormSchema(_text(state.get("_name")), fields)


def _field_of(found: Any) -> PetastormField:
    name, kind, shape, *rest = _field_values(found)
    codec, nullable = (*rest, None, False)[:2] if len(rest) < 2 else rest
    if not isinstance(shape, tuple) or len(shape) > _DIMENSIONS or not all(one is None or _is_whole(one) for one in shape):
        raise ValueError(f"the shape of field {_text(name)!r} is no tuple of up to {_DIMENSIONS} sizes and None")
    try:
        return PetastormField(name=_text(name), kind=_kind_of(kind), shape=shape, codec=_codec_of(codec), nullable=bool(nullable))
    except ValueError as error:
        raise ValueError(f"field {_text(name)!r}: {error}") from error


def _field_values(found: Any) -> tuple[Any, ...]:
    """Return name, type, shape, codec, nullable: a named tuple has been pickled in three ways over the years."""
    if not isinstance(found, inert.Call):
        raise ValueError("a field is no UnischemaField")
    values: Any = None
    if found.name.name == "UnischemaField":
        values = found.arguments
    elif found.name.name == "_restore" and len(found.arguments) == 3 and found.arguments[0] == "UnischemaField":
        _, names, held = found.arguments
        few = isinstance(names, tuple) and isinstance(held, tuple) and max(len(names), len(held)) <= _ATTRIBUTES
        if few and all(isinstance(name, str) for name in names):
            by_name = dict(zip(names, held, strict=False))
            values = tuple(by_name.get(name) for name in ("name", "numpy_dtype", "shape", "codec", "nullable"))
    elif found.name.name == "_reconstructor" and len(found.arguments) == 3 and _is_named(found.arguments[0], "UnischemaField"):
        values = found.arguments[2]
    if not isinstance(values, tuple) or not 3 <= len(values) <= 5:
        raise ValueError("a field is no UnischemaField")
    return values


def _kind_of(found: Any) -> str:
    """Return the name of a field's type: numpy's scalar type, a dtype of it, one of Python's own, or Decimal."""
    if isinstance(found, inert.Call) and _is_named(found.name, "dtype"):
        dtype = _dtype_of(found)
        return {"S": "bytes_", "U": "str_"}.get(dtype.kind, dtype.name)
    if isinstance(found, inert.Name):
        if found.module == "decimal":
            return "decimal"
        if found.module == "datetime":
            return "datetime64"
        kinds = _NUMPY_TYPES if found.module == "numpy" else _BUILTIN_TYPES
        if found.name in kinds:
            return kinds[found.name]
    raise ValueError("its type is none of numpy's scalar types")


def _codec_of(found: Any) -> PetastormCodec | None:
    if found is None:
        return None
    state = _state(found, set(_CODECS))
    kind: Any = _CODECS[_class_of(found).name]
    if kind == "scalar":
        return PetastormCodec(kind=kind, spark_type=_spark_type(state.get("_spark_type")))
    if kind != "compressed_image":
        return PetastormCodec(kind=kind)
    quality = state.get("_quality", 80)
    if not _is_whole(quality) or quality > 100:
        raise ValueError("the quality of its images is no number from 0 to 100")
    return PetastormCodec(kind=kind, image_format=_text(state.get("_image_codec")).removeprefix("."), quality=quality)


def _spark_type(found: Any) -> str:
    # The type itself instead of one of its instances is a slip that Petastorm lets pass.
    name = found if isinstance(found, inert.Name) else _class_of(found)
    if name.name not in _SPARK_TYPES:
        raise ValueError("its Spark type is none of Spark's scalar types")
    if name.name != "DecimalType":
        return _SPARK_TYPES[name.name]
    state = {} if isinstance(found, inert.Name) else _state(found, {"DecimalType"})
    precision, scale = state.get("precision", 10), state.get("scale", 0)
    if not (_is_whole(precision) and _is_whole(scale) and precision <= 76 and scale <= precision):
        raise ValueError("the precision of its decimals is out of range")
    return f"decimal({precision},{scale})"


def indexes_of(found: Any) -> dict[str, PetastormIndex]:
    """Return the row-group indexes by name of what was read.

    Raises:
        ValueError: it is none; the text says what is wrong.
    """
    known: _Known = {}
    return {_text(name): _index_of(indexer, known) for name, indexer in _pairs(found)}


# What was made of values that may be shared, by their identity.
_Known = dict[tuple[str, int], Any]


def _index_of(found: Any, known: _Known) -> PetastormIndex:
    state = _state(found, set(_INDEXERS))
    kind: Any = _INDEXERS[_class_of(found).name]
    field, data = _text(state.get("_column_name")), state.get("_index_data")
    if kind == "field_not_null":
        return PetastormIndex(kind=kind, field=field, values={}, row_groups=_numbers(data, known))
    place = ("index", id(data))
    if place not in known:
        values = {_key(key): _numbers(groups, known) for key, groups in _pairs(data)}
        different = {id(one): one for one in values.values()}
        known[place] = values, _sorted(different.values())
    values, row_groups = known[place]
    return PetastormIndex(kind=kind, field=field, values=values, row_groups=row_groups)


def _numbers(found: Any, known: _Known) -> tuple[int, ...]:
    place = ("numbers", id(found))
    if place not in known:
        known[place] = _read_numbers(found)
    numbers: tuple[int, ...] = known[place]
    return numbers


def _read_numbers(found: Any) -> tuple[int, ...]:
    if isinstance(found, inert.Call) and _is_named(found.name, "set") and len(found.arguments) == 1:
        found = found.arguments[0]
    values = found.values if isinstance(found, inert.Values) else found
    if not isinstance(values, list) or not all(_is_whole(one) for one in values):
        raise ValueError("row groups are no set of whole numbers")
    return _sorted([values])


def _sorted(groups: Iterable[Iterable[int]]) -> tuple[int, ...]:
    return tuple(sorted({one for some in groups for one in some}))


def _key(found: Any) -> Any:
    """Return an indexed value as Python's own number, text, bytes or Decimal."""
    if isinstance(found, (bool, int, float, str, bytes)):
        return found
    if isinstance(found, inert.Call) and found.name.name == "Decimal" and len(found.arguments) == 1:
        text = _text(found.arguments[0])
        if len(text) <= 100:
            try:
                return Decimal(text)
            except InvalidOperation:
                pass
    if isinstance(found, inert.Call) and found.name.name == "scalar" and len(found.arguments) == 2:
        dtype, data = _dtype_of(found.arguments[0]), found.arguments[1]
        data = data.encode("latin-1") if isinstance(data, str) else data
        if isinstance(data, bytes) and len(data) == dtype.itemsize:
            return np.frombuffer(data, dtype)[0].item() if data else dtype.type().item()
    raise ValueError("an indexed value is neither number nor text")


def _dtype_of(found: Any) -> np.dtype:
    if isinstance(found, inert.Call) and found.name.name == "dtype" and found.arguments:
        text = found.arguments[0]
        state = found.state if isinstance(found.state, tuple) else ()
        order = state[1] if len(state) > 1 else "="
        if isinstance(text, str) and _DTYPE.fullmatch(text) and order in ("<", ">", "=", "|"):
            return np.dtype(f"{order}{text}")
    raise ValueError("a dtype is none of numbers, text or bytes")


def _class_of(found: Any) -> inert.Name:
    """Return the class an object would have had; Python 2 pickled some through `_reconstructor`."""
    if isinstance(found, inert.Call):
        name = found.name
        if name.name == "_reconstructor" and found.arguments:
            name = found.arguments[0]
        if isinstance(name, inert.Name):
            return name
    raise ValueError("an object is missing")


def _state(found: Any, names: set[str], *, limit: int | None = _ATTRIBUTES) -> dict[str, Any]:
    """Return the attributes of an object of one of those classes; ValueError if it has more than `limit`."""
    if _class_of(found).name not in names:
        raise ValueError(f"{_class_of(found)} stands where one of {', '.join(sorted(names))} belongs")
    pairs = [] if found.state is None else _pairs(found.state)
    if limit is not None and len(pairs) > limit:
        raise ValueError(f"an object has {len(pairs)} attributes")
    return {name: value for name, value in pairs if isinstance(name, str)}


def _pairs(found: Any) -> list[tuple[Any, Any]]:
    if isinstance(found, inert.Mapping):
        return found.pairs
    if isinstance(found, inert.Call) and found.name.name in ("OrderedDict", "defaultdict"):
        # Python 2 gave an OrderedDict its pairs as an argument, a list of lists.
        given = found.arguments[0] if found.name.name == "OrderedDict" and found.arguments else []
        if isinstance(given, list) and all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in given):
            return [(pair[0], pair[1]) for pair in given] + found.items.pairs
    raise ValueError("a dict is missing")


def _is_named(found: Any, name: str) -> bool:
    return isinstance(found, inert.Name) and found.name == name


def _is_whole(found: Any) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 1 << 31


def _text(found: Any) -> str:
    if not isinstance(found, str) or len(found) > 1000:
        raise ValueError("a name is missing")
    return found
