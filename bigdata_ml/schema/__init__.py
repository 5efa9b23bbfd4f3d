"""Fields, codecs and their ordered set: what a row is."""

from bigdata_ml.schema.arrow import type_from_text, type_to_text
from bigdata_ml.schema.codec import Codec
from bigdata_ml.schema.field import Field, NullPolicy, Schema

__all__ = ["Codec", "Field", "NullPolicy", "Schema", "type_from_text", "type_to_text"]
