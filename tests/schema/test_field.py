import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bigdata_ml.schema import Codec, Field, NullPolicy, Schema
from bigdata_ml.schema.codec import tensor_column

IMAGE = pa.fixed_shape_tensor(pa.uint8(), (8, 8, 1))
SCHEMA = Schema(
    (
        Field(name="id", type=pa.int64()),
        Field(name="raw", type=IMAGE, codec=Codec.RAW_IMAGE),
        Field(name="jpeg", type=pa.binary(), codec=Codec.IMAGE, channels=3, null=NullPolicy.MASK),
        Field(name="age", type=pa.int32(), null=NullPolicy.FILL, fill=-1),
        Field(name="city", type=pa.string(), null=NullPolicy.UNKNOWN, vocabulary=True),
        Field(name="price", type=pa.decimal128(8, 2), null=NullPolicy.NAN),
        Field(name="tags", type=pa.list_(pa.string()), codec=Codec.LIST),
    )
)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"name": ""}, "must have a name"),
        ({"codec": Codec.LIST}, "codec list cannot be stored as int64"),
        ({"codec": Codec.IMAGE, "channels": 3}, "codec image cannot be stored as int64"),
        ({"type": IMAGE}, "codec scalar cannot be stored as"),
        ({"type": pa.fixed_shape_tensor(pa.uint8(), (8, 8)), "codec": Codec.RAW_IMAGE}, "codec raw_image cannot be stored"),
        ({"type": pa.fixed_shape_tensor(pa.int8(), (8, 8, 1)), "codec": Codec.RAW_IMAGE}, "codec raw_image cannot be stored"),
        ({"type": pa.struct([("a", pa.int8())])}, "cannot be stored"),
        ({"type": pa.string_view()}, "codec scalar cannot be stored as string_view"),
        ({"fill": 1}, "a fill value goes with NullPolicy.FILL"),
        ({"null": NullPolicy.FILL}, "a fill value goes with NullPolicy.FILL"),
        ({"null": NullPolicy.FILL, "fill": "none"}, "the fill value 'none' is no int64"),
        ({"null": NullPolicy.FILL, "fill": 1.5}, "the fill value 1.5 is no int64"),
        ({"type": pa.binary(), "codec": Codec.IMAGE, "channels": 3, "null": NullPolicy.FILL, "fill": "x"}, "image"),
        ({"channels": 3}, "channels are 1 or 3 for encoded images"),
        ({"type": pa.binary(), "codec": Codec.IMAGE}, "channels are 1 or 3 for encoded images, got None"),
        ({"type": pa.binary(), "codec": Codec.IMAGE, "channels": 4}, "got 4"),
        ({"null": NullPolicy.UNKNOWN}, "UNKNOWN goes with a vocabulary"),
        ({"type": pa.string(), "null": NullPolicy.NAN}, "cannot become NaN"),
        ({"null": NullPolicy.NAN, "vocabulary": True}, "a vocabulary"),
        ({"null": NullPolicy.MASK, "vocabulary": True}, "a vocabulary"),
        ({"null": NullPolicy.FILL, "fill": 0, "vocabulary": True}, "a vocabulary"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Field(**{"name": "x", "type": pa.int64(), **settings})


def test_a_schema_survives_json() -> None:
    assert Schema.from_json(json.loads(json.dumps(SCHEMA.to_json()))) == SCHEMA


def test_unknown_keys_of_a_field_are_ignored() -> None:
    assert Field.from_json({**SCHEMA["age"].to_json(), "later": 1}) == SCHEMA["age"]


def test_keys_at_their_defaults_are_not_written() -> None:
    assert SCHEMA["id"].to_json() == {"name": "id", "type": "int64", "codec": "scalar"}


def test_names_that_stand_twice_are_refused() -> None:
    with pytest.raises(ValueError, match="these stand twice: id"):
        Schema((SCHEMA["id"], SCHEMA["id"]))


def test_select_keeps_the_order_asked_for_and_names_what_is_missing() -> None:
    assert SCHEMA.select(["city", "id"]).names == ("city", "id")
    with pytest.raises(KeyError, match="no field 'nope'; the fields are id, raw"):
        SCHEMA.select(["nope"])


def test_only_fields_that_allow_nulls_are_nullable_in_arrow() -> None:
    assert [field.name for field in SCHEMA.to_arrow() if not field.nullable] == ["id", "raw", "tags"]


def test_the_codec_of_a_bare_column_follows_from_its_type() -> None:
    kinds = [pa.int8(), pa.string(), IMAGE, pa.list_(pa.int8()), pa.large_list(pa.int8()), pa.list_(pa.int8(), 3)]
    assert [Codec.of(kind).value for kind in kinds] == ["scalar", "scalar", "tensor", "list", "list", "list"]


def test_a_bare_schema_turns_nulls_into_nan_in_floating_columns_and_masks_elsewhere() -> None:
    columns = pa.schema([("a", pa.int8()), ("b", pa.bool_()), ("c", IMAGE), ("d", pa.float32()), ("e", pa.float32())])
    schema = Schema.from_arrow(columns, with_nulls={"a", "b", "c", "e"})
    assert [field.null.value for field in schema] == ["mask", "mask", "mask", "refuse", "nan"]


def test_a_tensor_column_holds_its_array() -> None:
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)[:, :, ::-1]
    assert np.array_equal(tensor_column(values).to_numpy_ndarray(), values)


@pytest.mark.parametrize(
    "field",
    [
        Field(name="a", type=pa.binary(), codec=Codec.NDARRAY, dtype="float32", shape=(None, 3)),
        Field(name="a", type=pa.binary(), codec=Codec.COMPRESSED_NDARRAY, dtype="str", shape=(2,), null=NullPolicy.MASK),
        Field(name="a", type=pa.binary(), codec=Codec.IMAGE, channels=1, dtype="uint16", shape=(None, None)),
        Field(name="a", type=pa.int16(), dtype="uint8"),
        Field(name="a", type=pa.list_(pa.int16()), codec=Codec.LIST, shape=(2, 2)),
    ],
)
def test_dtype_and_shape_are_written_and_read(field: Field) -> None:
    assert Field.from_json(json.loads(json.dumps(field.to_json()))) == field


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"type": pa.binary(), "codec": Codec.NDARRAY, "dtype": "int8"}, "must have a shape"),
        ({"type": pa.binary(), "codec": Codec.NDARRAY, "shape": (2,)}, "the dtype of codec ndarray is one of"),
        ({"type": pa.binary(), "codec": Codec.NDARRAY, "dtype": "object", "shape": (2,)}, "got 'object'"),
        ({"type": pa.binary(), "codec": Codec.NDARRAY, "dtype": "int8", "shape": (-2,)}, "sizes and None"),
        ({"type": pa.string(), "codec": Codec.NDARRAY, "dtype": "int8", "shape": (2,)}, "cannot be stored as string"),
        ({"type": pa.binary(), "codec": Codec.IMAGE, "channels": 3, "dtype": "float32"}, "got 'float32'"),
        ({"type": pa.binary(), "codec": Codec.IMAGE, "channels": 3, "shape": (8, 8, 1)}, "does not go with codec image"),
        ({"type": pa.binary(), "codec": Codec.IMAGE, "channels": 3, "shape": (8, 8)}, "does not go with codec image"),
        ({"type": pa.int8(), "shape": (2,)}, "does not go with codec scalar"),
        ({"type": pa.list_(pa.int8()), "codec": Codec.LIST, "shape": (None,)}, "does not go with codec list"),
        ({"type": pa.int8(), "vocabulary": True, "dtype": "uint8"}, "no dtype goes with it"),
    ],
)
def test_a_dtype_or_a_shape_that_does_not_fit_is_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Field(name="a", **settings)
