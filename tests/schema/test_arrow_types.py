import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigdata_ml.schema import type_from_text, type_to_text

NUMBERS = st.sampled_from([pa.int8(), pa.int64(), pa.uint8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64()])
SCALARS = st.one_of(
    NUMBERS,
    st.sampled_from([pa.bool_(), pa.null(), pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.date32()]),
    st.sampled_from(
        [pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.timestamp("ms"), pa.timestamp("ns"), pa.duration("s")]
    ),
    st.builds(pa.timestamp, st.sampled_from(["ms", "us", "ns"]), st.sampled_from(["UTC", "Europe/Berlin", "+05:30"])),
    st.builds(pa.decimal32, st.integers(1, 9), st.integers(-2, 9)),
    st.builds(pa.decimal64, st.integers(1, 18), st.integers(-2, 9)),
    st.builds(pa.decimal128, st.integers(1, 38), st.integers(-5, 10)),
    st.builds(pa.decimal256, st.integers(1, 76), st.integers(-5, 10)),
    st.builds(pa.binary, st.integers(1, 32)),
)
TENSORS = st.builds(pa.fixed_shape_tensor, NUMBERS, st.lists(st.integers(1, 9), min_size=1, max_size=4))
DICTIONARIES = st.builds(lambda values: pa.dictionary(pa.int32(), values), st.sampled_from([pa.string(), pa.int64()]))
TYPES = st.recursive(
    SCALARS | TENSORS | DICTIONARIES,
    lambda inner: st.one_of(
        st.builds(pa.list_, inner), st.builds(pa.large_list, inner), st.builds(pa.list_, inner, st.integers(0, 9))
    ),
    max_leaves=4,
)


@given(TYPES)
def test_a_type_survives_being_written_and_read(kind: pa.DataType) -> None:
    assert type_from_text(type_to_text(kind)) == kind


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pa.int64(), "int64"),
        (pa.float64(), "double"),
        (pa.timestamp("us", tz="UTC"), "timestamp[us, tz=UTC]"),
        (pa.decimal128(10, 2), "decimal128(10, 2)"),
        (pa.list_(pa.list_(pa.float32(), 3)), "list<list<float>[3]>"),
        (pa.fixed_shape_tensor(pa.uint8(), (8, 8, 1)), "tensor<uint8>[8, 8, 1]"),
        (pa.dictionary(pa.int8(), pa.string()), "dictionary<string>"),
    ],
)
def test_the_texts_are_those_of_the_format(kind: pa.DataType, text: str) -> None:
    assert type_to_text(kind) == text


@pytest.mark.parametrize("kind", [pa.struct([("a", pa.int8())]), pa.map_(pa.string(), pa.int8()), pa.list_(pa.struct([]))])
def test_structs_and_maps_are_refused_with_the_way_out(kind: pa.DataType) -> None:
    with pytest.raises(ValueError, match="flatten structs and maps"):
        type_to_text(kind)


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.time32("s"), pa.date64(), pa.string_view(), pa.binary_view()], ids=str)
def test_types_that_parquet_does_not_give_back_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(ValueError, match="cannot be held"):
        type_to_text(kind)


@pytest.mark.parametrize(
    "text", ["", "int65", "list<>", "list<int64", "tensor<uint8>[]", "timestamp[us, tz=]", "struct<a: int8>"]
)
def test_a_text_that_names_no_type_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no type this version knows"):
        type_from_text(text)
