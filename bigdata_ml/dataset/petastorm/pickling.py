"""Writes the pickles that Petastorm keeps in `_common_metadata`: its schema, and its row-group indexes.

Petastorm is not imported. The opcodes are put together from the names that its own readers, 0.7 and later, look for, so that
they read what was written on any numpy and Spark.
"""

import pickle
import struct
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from bigdata_ml.dataset.petastorm.schema import PetastormCodec, PetastormField, PetastormIndex, PetastormSchema

__all__ = ["pickle_petastorm_indexes", "pickle_petastorm_schema"]

_PROTOCOL = 3
_EMPTY_TUPLE, _EMPTY_DICT, _MARK = b")", b"}", b"("
_REDUCE, _NEWOBJ, _BUILD, _TUPLE, _SETITEMS, _STOP = b"R", b"\x81", b"b", b"t", b"u", b"."

_CODECS = {
    "scalar": "ScalarCodec",
    "ndarray": "NdarrayCodec",
    "compressed_ndarray": "CompressedNdarrayCodec",
    "compressed_image": "CompressedImageCodec",
}
_INDEXERS = {"single_field": "SingleFieldIndexer", "field_not_null": "FieldNotNullIndexer"}
_SPARK_TYPES = {
    "tinyint": "ByteType",
    "smallint": "ShortType",
    "int": "IntegerType",
    "bigint": "LongType",
    "float": "FloatType",
    "double": "DoubleType",
    "boolean": "BooleanType",
    "string": "StringType",
    "binary": "BinaryType",
    "date": "DateType",
    "timestamp": "TimestampType",
    "timestamp_ntz": "TimestampNTZType",
}


def pickle_petastorm_schema(schema: PetastormSchema) -> bytes:
    """Return a schema as Petastorm's pickled `Unischema`.

    Raises:
        ValueError: a scalar's Spark type that Petastorm does not have.
    """
    pairs = [(_plain(field.name), _field(field) + _memo(b"r", place)) for place, field in enumerate(schema)]
    fields = _name("collections", "OrderedDict") + _EMPTY_TUPLE + _REDUCE + _items(pairs)
    # Petastorm's users reach a field as an attribute of its schema too.
    own = [(_plain(field.name), _memo(b"j", place)) for place, field in enumerate(schema) if field.name not in _TAKEN]
    state = [(_plain("_name"), _plain(schema.name)), (_plain("_fields"), fields), *own]
    return _pickle(_object("petastorm.unischema", "Unischema", state))


# Attributes that Petastorm's class has itself.
_TAKEN = frozenset(
    {
        "_name",
        "_fields",
        "fields",
        "create_schema_view",
        "make_namedtuple",
        "make_namedtuple_tf",
        "as_spark_schema",
        "from_arrow_schema",
    }
)


def pickle_petastorm_indexes(indexes: Mapping[str, PetastormIndex]) -> bytes:
    """Return row-group indexes by name as Petastorm's pickled dict of indexers.

    Raises:
        ValueError: an indexed value that is neither number, text, bytes nor Decimal.
    """
    return _pickle(_dict([(_plain(name), _index(name, index)) for name, index in indexes.items()]))


def _field(field: PetastormField) -> bytes:
    values = [_plain(field.name), _kind(field.kind), _plain(field.shape), _codec(field.codec), _plain(field.nullable)]
    return _name("petastorm.unischema", "UnischemaField") + _tuple(values) + _NEWOBJ


def _kind(kind: str) -> bytes:
    return _name("decimal", "Decimal") if kind == "decimal" else _name("numpy", "bool_" if kind == "bool" else kind)


def _codec(codec: PetastormCodec | None) -> bytes:
    if codec is None:
        return _plain(None)
    state = []
    if codec.kind == "scalar":
        state = [(_plain("_spark_type"), _spark_type(str(codec.spark_type)))]
    if codec.kind == "compressed_image":
        state = [(_plain("_image_codec"), _plain(f".{codec.image_format}")), (_plain("_quality"), _plain(codec.quality))]
    return _object("petastorm.codecs", _CODECS[codec.kind], state)


def _spark_type(name: str) -> bytes:
    if name.startswith("decimal(") and name.endswith(")"):
        precision, scale = (int(number) for number in name[len("decimal(") : -1].split(","))
        known = {"precision": precision, "scale": scale, "hasPrecisionInfo": True}
        return _object("pyspark.sql.types", "DecimalType", [(_plain(key), _plain(value)) for key, value in known.items()])
    if name not in _SPARK_TYPES:
        raise ValueError(f"Petastorm keeps no Spark type {name!r}; it has {', '.join(_SPARK_TYPES)} and decimal(…)")
    # Spark 4 reads the collation of a type that it did not make itself; before, nobody looks for it.
    state = [(_plain("collation"), _plain("UTF8_BINARY"))] if name == "string" else []
    return _object("pyspark.sql.types", _SPARK_TYPES[name], state)


def _index(name: str, index: PetastormIndex) -> bytes:
    if index.kind == "field_not_null":
        data = _set(index.row_groups)
    else:
        pairs = [(_key(value), _set(groups)) for value, groups in index.values.items()]
        data = _name("collections", "defaultdict") + _tuple([_name("builtins", "set")]) + _REDUCE + _items(pairs)
    state = {"_index_name": _plain(name), "_column_name": _plain(index.field), "_index_data": data}
    return _object(
        "petastorm.etl.rowgroup_indexers", _INDEXERS[index.kind], [(_plain(key), value) for key, value in state.items()]
    )


def _key(value: Any) -> bytes:
    if isinstance(value, Decimal):
        return _name("decimal", "Decimal") + _tuple([_plain(str(value))]) + _REDUCE
    if type(value) not in (bool, int, float, str, bytes):
        raise ValueError(f"an indexed value must be a number, text, bytes or Decimal, got {type(value).__name__}")
    return _plain(value)


def _set(numbers: Iterable[int]) -> bytes:
    return _name("builtins", "set") + _tuple([_plain(list(numbers))]) + _REDUCE


def _object(module: str, name: str, state: list[tuple[bytes, bytes]]) -> bytes:
    made = _name(module, name) + _EMPTY_TUPLE + _NEWOBJ
    return made + _dict(state) + _BUILD if state else made


def _dict(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return _EMPTY_DICT + _items(pairs)


def _items(pairs: list[tuple[bytes, bytes]]) -> bytes:
    return _MARK + b"".join(key + value for key, value in pairs) + _SETITEMS


def _tuple(values: list[bytes]) -> bytes:
    return _MARK + b"".join(values) + _TUPLE


def _name(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def _plain(value: Any) -> bytes:
    """Return the opcodes of a value of Python's own; its places in the memo are its own while they are used."""
    return pickle.dumps(value, _PROTOCOL)[2:-1]


def _memo(opcode: bytes, place: int) -> bytes:
    """Return the opcode that remembers (`r`) or recalls (`j`) a field, far from the places that `_plain` uses."""
    return opcode + struct.pack("<I", (1 << 16) + place)


def _pickle(value: bytes) -> bytes:
    return b"\x80" + bytes([_PROTOCOL]) + value + _STOP
