"""Fields, codecs and their ordered set: what a row is."""

from bigdata_ml.schema.arrow import type_from_text, type_to_text
from bigdata_ml.schema.codec import Codec
from bigdata_ml.schema.field import Field, NullPolicy, Schema
from bigdata_ml.schema.stored import from_stored, stored_schema, stored_table
from bigdata_ml.schema.widening import common_type, plain_type

__all__ = [
    "Codec",
    "Field",
    "NullPolicy",
    "Schema",
    "common_type",
    "from_stored",
    "plain_type",
    "stored_schema",
    "stored_table",
    "type_from_text",
    "type_to_text",
]
