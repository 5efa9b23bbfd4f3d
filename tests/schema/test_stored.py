"""Pixels as they lie in Parquet: binary values, which come back as tensors."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import examples

from bigdata_ml.errors import SchemaMismatch
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema, from_stored, stored_schema, stored_table

SHAPE = (2, 3, 1)
KIND = pa.fixed_shape_tensor(pa.uint8(), SHAPE)
SCHEMA = Schema(
    (
        Field(name="id", type=pa.int64()),
        Field(name="image", type=KIND, codec=Codec.RAW_IMAGE, null=NullPolicy.MASK),
        Field(name="tensor", type=KIND, codec=Codec.TENSOR, null=NullPolicy.MASK),
    )
)


def rows(pixels: list[list[int] | None]) -> pa.Table:
    images = pa.ExtensionArray.from_storage(KIND, pa.array(pixels, KIND.storage_type))
    return pa.table([pa.array(range(len(pixels)), pa.int64()), images, images], schema=SCHEMA.to_arrow())


def through_parquet(table: pa.Table) -> pa.Table:
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return pq.read_table(stream)


PIXELS = st.lists(st.integers(0, 255), min_size=6, max_size=6)


@settings(max_examples=examples(100))
@given(st.lists(st.none() | PIXELS, max_size=9), st.data())
def test_slices_with_nulls_come_back_as_they_were(pixels: list[list[int] | None], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(pixels)))
    count = data.draw(st.integers(0, len(pixels) - start))
    whole = rows(pixels).slice(start, count)
    stored = stored_table(whole, SCHEMA)
    stored.validate(full=True)
    assert stored.schema == stored_schema(SCHEMA)
    wanted = [None if one is None else bytes(one) for one in pixels[start : start + count]]
    assert stored["image"].to_pylist() == wanted
    for table in (stored, through_parquet(stored)):
        found = from_stored(table, SCHEMA, "a.parquet row group 0")
        found.validate(full=True)
        assert found.equals(whole)
    skip = data.draw(st.integers(0, count))
    assert from_stored(stored.slice(skip), SCHEMA, "a").equals(whole.slice(skip))


def test_only_images_of_pixels_are_stored_otherwise() -> None:
    assert stored_schema(SCHEMA).types == [pa.int64(), pa.binary(), KIND]


def test_a_null_within_pixels_is_stored_as_0() -> None:
    assert stored_table(rows([[1, None, 3, 4, 5, 6]]), SCHEMA)["image"].to_pylist() == [b"\x01\x00\x03\x04\x05\x06"]


def test_the_values_are_not_copied() -> None:
    whole = rows([[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
    stored = stored_table(whole, SCHEMA)
    found = from_stored(stored, SCHEMA, "a")
    places = [
        whole["image"].chunk(0).storage.values.buffers()[1].address,
        stored["image"].chunk(0).buffers()[2].address,
        found["image"].chunk(0).storage.values.buffers()[1].address,
    ]
    assert len(set(places)) == 1
    assert np.array_equal(found["image"].chunk(0).to_numpy_ndarray().ravel(), np.arange(1, 13))


def test_a_value_of_another_length_is_named() -> None:
    table = pa.table({"image": pa.array([bytes(6), bytes(5)])})
    with pytest.raises(
        SchemaMismatch, match=r"a\.parquet row group 0 field 'image': a value of 5 bytes, the schema's shape \[2, 3, 1\] has 6"
    ):
        from_stored(table, SCHEMA, "a.parquet row group 0")
    # What lies in foreign files as tensors is what it is.
    whole = rows([[1, 2, 3, 4, 5, 6]])
    assert from_stored(whole, SCHEMA, "a").equals(whole)
