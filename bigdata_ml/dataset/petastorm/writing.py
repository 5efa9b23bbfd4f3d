"""Writes `_common_metadata`, so that unmodified Petastorm reads our datasets; it is not imported for that."""

import json
import keyword
import logging
from collections import Counter
from importlib.util import find_spec

import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.dataset.petastorm.fields import fields_to_petastorm
from bigdata_ml.dataset.petastorm.metadata import ROW_GROUPS_KEY, UNISCHEMA_KEY
from bigdata_ml.dataset.petastorm.pickling import pickle_petastorm_schema
from bigdata_ml.dataset.petastorm.schema import PetastormSchema
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.schema import Schema, stored_schema
from bigdata_ml.storage import Location

__all__ = ["common_metadata", "petastorm_is_installed"]

_log = logging.getLogger(__name__)


def petastorm_is_installed() -> bool:
    """Whether Petastorm is there; it is not imported."""
    try:
        return find_spec("petastorm") is not None
    except ImportError:
        # With the bridge in place, whose finder says so to who would import it.
        return False


def common_metadata(root: Location, schema: Schema, table: RowGroups) -> bytes:
    """Return the file next to the data files at `root` that has Petastorm's unischema and the number of row groups by file.

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
        UNISCHEMA_KEY: pickle_petastorm_schema(PetastormSchema("bigdata_ml", kept)),
        ROW_GROUPS_KEY: json.dumps(Counter(table.paths)).encode(),
    }
    sink = pa.BufferOutputStream()
    pq.write_metadata(stored_schema(schema).with_metadata(written), sink)
    return bytes(sink.getvalue().to_pybytes())


def _is_refused(name: str) -> bool:
    return keyword.iskeyword(name) or name.startswith("_")
