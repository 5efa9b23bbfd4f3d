"""Writes `_common_metadata`, so that unmodified Petastorm reads our datasets.

The pickle of the unischema is written by hand, name by name: Petastorm need not be imported where datasets are made.
"""

import json
import keyword
import logging
import struct
from collections.abc import Mapping
from importlib.util import find_spec

import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.dataset.layout import COMMON_METADATA
from bigdata_ml.dataset.petastorm_fields import fields_to_petastorm
from bigdata_ml.dataset.petastorm_metadata import ROW_GROUPS_KEY, UNISCHEMA_KEY
from bigdata_ml.dataset.petastorm_schema import PetastormCodec, PetastormField, PetastormSchema
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.schema import Schema
from bigdata_ml.storage import Location

__all__ = ["petastorm_is_installed", "pickle_unischema", "row_groups_by_file", "write_common_metadata"]

_log = logging.getLogger(__name__)

_CODECS = {"ndarray": "NdarrayCodec", "compressed_ndarray": "CompressedNdarrayCodec", "compressed_image": "CompressedImageCodec"}
# What a Unischema has of its own: a field of that name is reached through `fields` only, as with Petastorm's own.
_TAKEN = ("fields", "create_schema_view", "as_spark_schema", "make_namedtuple", "make_namedtuple_tf", "from_arrow_schema")


def petastorm_is_installed() -> bool:
    """Whether Petastorm is there; it is not imported."""
    return find_spec("petastorm") is not None


def write_common_metadata(root: Location, schema: Schema, table: RowGroups) -> None:
    """Write Petastorm's unischema and number of row groups by file beside the data files at `root`.

    Fields that a unischema cannot say are left out of it, and named in the log.

    Args:
        root: where the files lie.
        schema: the dataset's fields.
        table: its row groups.
    """
    fields, left_out = fields_to_petastorm(schema, with_split=bool(table.splits))
    kept = tuple(field for field in fields if field.name.isidentifier() and not _is_refused(field.name))
    left_out = [*left_out, *(f"{field.name!r} (no name of a named tuple)" for field in fields if field not in kept)]
    if left_out:
        _log.info("%s: Petastorm will not see the fields %s", root.url, ", ".join(left_out))
    written = {
        UNISCHEMA_KEY: pickle_unischema(PetastormSchema("bigdata_ml", kept)),
        ROW_GROUPS_KEY: json.dumps(row_groups_by_file(table)).encode(),
    }
    sink = pa.BufferOutputStream()
    pq.write_metadata(schema.to_arrow().with_metadata(written), sink)
    (root / COMMON_METADATA).write_bytes(sink.getvalue().to_pybytes())


def row_groups_by_file(table: RowGroups) -> Mapping[str, int]:
    """Return the number of row groups by file."""
    paths = table.paths
    counts = dict.fromkeys(paths, 0)
    for path in paths:
        counts[path] += 1
    return counts


def pickle_unischema(schema: PetastormSchema) -> bytes:
    """Return the pickle (protocol 2) of a unischema of scalars without codecs, arrays and images, as Petastorm 0.13 reads it.

    Raises:
        ValueError: a field with a ScalarCodec, which would need Spark to be read.
    """
    pickle = _Pickle()
    pickle.begin("petastorm.unischema", "Unischema")
    pickle.open()
    pickle.text("_name")
    pickle.text(schema.name)
    pickle.text("_fields")
    pickle.name("collections", "OrderedDict")
    pickle.add(b")R(")
    for place, field in enumerate(schema):
        pickle.text(field.name)
        _write_field(pickle, field)
        pickle.remember(place)
    pickle.close()
    for place, field in enumerate(schema):
        if field.name not in _TAKEN:
            pickle.text(field.name)
            pickle.recall(place)
    pickle.close()
    pickle.add(b"b")
    return pickle.done()


def _is_refused(name: str) -> bool:
    return keyword.iskeyword(name) or name.startswith("_")


def _write_field(pickle: "_Pickle", field: PetastormField) -> None:
    pickle.name("petastorm.unischema", "UnischemaField")
    pickle.add(b"(")
    pickle.text(field.name)
    if field.kind == "decimal":
        pickle.name("decimal", "Decimal")
    else:
        # numpy 1 and 2 both have bool_.
        pickle.name("numpy", "bool_" if field.kind == "bool" else field.kind)
    pickle.add(b"(")
    for size in field.shape:
        pickle.number(size)
    pickle.add(b"t")
    _write_codec(pickle, field.codec)
    pickle.add(b"\x88" if field.nullable else b"\x89")
    pickle.add(b"t\x81")


def _write_codec(pickle: "_Pickle", codec: PetastormCodec | None) -> None:
    if codec is None:
        pickle.add(b"N")
        return
    if codec.kind not in _CODECS:
        raise ValueError(f"a codec of kind {codec.kind} is not written; leave it out")
    pickle.begin("petastorm.codecs", _CODECS[codec.kind])
    if codec.kind == "compressed_image":
        pickle.open()
        pickle.text("_image_codec")
        pickle.text(f".{codec.image_format}")
        pickle.text("_quality")
        pickle.number(codec.quality)
        pickle.close()
        pickle.add(b"b")


class _Pickle:
    """A pickle of protocol 2 that grows by what is written to it."""

    def __init__(self) -> None:
        self._parts = [b"\x80\x02"]

    def add(self, opcodes: bytes) -> None:
        self._parts.append(opcodes)

    def name(self, module: str, name: str) -> None:
        self.add(f"c{module}\n{name}\n".encode("ascii"))

    def begin(self, module: str, name: str) -> None:
        """Make an object without calling its class's `__init__`."""
        self.name(module, name)
        self.add(b")\x81")

    def open(self) -> None:
        """Begin a dict's pairs."""
        self.add(b"}(")

    def close(self) -> None:
        """End the pairs."""
        self.add(b"u")

    def text(self, value: str) -> None:
        data = value.encode()
        self.add(b"X" + struct.pack("<I", len(data)) + data)

    def number(self, value: int | None) -> None:
        self.add(b"N" if value is None else b"J" + struct.pack("<i", value))

    def remember(self, place: int) -> None:
        self.add(b"r" + struct.pack("<I", place))

    def recall(self, place: int) -> None:
        self.add(b"j" + struct.pack("<I", place))

    def done(self) -> bytes:
        return b"".join([*self._parts, b"."])
