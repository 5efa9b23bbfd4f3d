"""Pickles for tests: Petastorm's own schema without Petastorm, and what an attacker would put in its place."""

import io
import pickle
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SCHEMA = "dataset-toolkit.unischema.v1"
INDEXES = "dataset-toolkit.rowgroups_index.v1"


def write_metadata(directory: Path, value: bytes, *, key: str = SCHEMA, name: str = "_common_metadata") -> None:
    """Write a dataset of one file, and Petastorm's side file with that value under that key."""
    directory.mkdir(parents=True, exist_ok=True)
    table = pa.table({"id": [1, 2]})
    pq.write_table(table, directory / "part.parquet")
    pq.write_metadata(table.schema.with_metadata({key: value}), directory / name)


class Class:
    """Pickles as the name of a class or function, whether there is one or not."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Object:
    """Pickles as a call of a name, and a state."""

    def __init__(self, module: str, name: str, *arguments: object, state: object = None) -> None:
        self.of, self.arguments, self.state = Class(module, name), arguments, state


def dumps(value: object, protocol: int = 4) -> bytes:
    """Pickle by hand: names need not exist, text may be anything."""
    out = io.BytesIO()
    if protocol >= 2:
        out.write(b"\x80" + bytes([protocol]))
    _write(out, value, protocol)
    return out.getvalue() + b"."


def _write(out: io.BytesIO, value: object, protocol: int) -> None:
    if isinstance(value, Class):
        if protocol >= 4:
            _write(out, value.module, protocol)
            _write(out, value.name, protocol)
            out.write(b"\x93")
        else:
            out.write(f"c{value.module}\n{value.name}\n".encode())
    elif isinstance(value, Object):
        _write(out, value.of, protocol)
        _write(out, value.arguments, protocol)
        out.write(b"R")
        if value.state is not None:
            _write(out, value.state, protocol)
            out.write(b"b")
    elif isinstance(value, str) and protocol >= 1:
        data = value.encode()
        out.write(b"X" + struct.pack("<I", len(data)) + data)
    elif isinstance(value, tuple):
        out.write(b"(")
        for one in value:
            _write(out, one, protocol)
        out.write(b"t")
    elif isinstance(value, list):
        out.write(b"(")
        for one in value:
            _write(out, one, protocol)
        out.write(b"l")
    elif isinstance(value, dict):
        out.write(b"(")
        for pair in value.items():
            for one in pair:
                _write(out, one, protocol)
        out.write(b"d")
    else:
        body = pickle.dumps(value, min(protocol, 3))
        out.write(body[2:-1] if protocol >= 2 else body[:-1])


def unischema(*fields: object, name: str = "S") -> Object:
    """A unischema of those fields, as `Object`s."""
    pairs = [[field.arguments[0], field] for field in fields if isinstance(field, Object)]
    state = {"_name": name, "_fields": Object("collections", "OrderedDict", pairs)}
    return Object("petastorm.unischema", "Unischema", state=state)


def field(name: str, kind: object, shape: tuple[int | None, ...] = (), codec: object = None, nullable: object = False) -> Object:
    """A field of a unischema."""
    return Object("petastorm.unischema", "UnischemaField", name, kind, shape, codec, nullable)


def scalar(spark_type: str) -> Object:
    """A ScalarCodec."""
    return Object("petastorm.codecs", "ScalarCodec", state={"_spark_type": Object("pyspark.sql.types", spark_type)})
