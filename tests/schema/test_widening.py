"""Types that are one in other words, and types that hold the values of two."""

import pyarrow as pa
import pytest

from bigdata_ml.schema import common_type, plain_type

ELEMENT = pa.list_(pa.field("element", pa.float64(), nullable=False))
PAIRS = [
    (pa.string(), pa.large_string(), pa.large_string()),
    (pa.string_view(), pa.string(), pa.string()),
    (pa.dictionary(pa.int8(), pa.string()), pa.string(), pa.string()),
    (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int32(), pa.string()), pa.string()),
    (pa.dictionary(pa.int32(), pa.int32()), pa.int64(), pa.int64()),
    (pa.json_(), pa.string(), pa.string()),
    (pa.binary(16), pa.uuid(), pa.binary(16)),
    (pa.binary(16), pa.binary(4), pa.binary()),
    (pa.binary(4), pa.large_binary(), pa.large_binary()),
    (pa.null(), pa.string(), pa.string()),
    (pa.int32(), pa.int64(), pa.int64()),
    (pa.uint8(), pa.int64(), pa.int64()),
    (pa.uint8(), pa.int8(), pa.int16()),
    (pa.uint32(), pa.int8(), pa.int64()),
    (pa.uint8(), pa.uint64(), pa.uint64()),
    (pa.float16(), pa.float32(), pa.float32()),
    (pa.int8(), pa.float16(), pa.float16()),
    (pa.int16(), pa.float16(), pa.float32()),
    (pa.int32(), pa.float32(), pa.float64()),
    (pa.int64(), pa.float32(), pa.float64()),
    (pa.decimal128(5, 2), pa.decimal128(9, 2), pa.decimal128(9, 2)),
    (pa.decimal128(5, 2), pa.decimal128(9, 8), pa.decimal128(11, 8)),
    (pa.decimal128(38, 0), pa.decimal128(38, 10), pa.decimal256(48, 10)),
    (pa.decimal32(5, 2), pa.decimal128(5, 2), pa.decimal128(5, 2)),
    (pa.int64(), pa.decimal128(5, 2), pa.decimal128(21, 2)),
    (pa.uint64(), pa.decimal128(5, 2), pa.decimal128(22, 2)),
    (pa.decimal128(5, 2), pa.float32(), pa.float64()),
    (pa.timestamp("ms", "UTC"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
    (pa.timestamp("us", "Europe/Berlin"), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC")),
    (pa.time32("ms"), pa.time64("us"), pa.time64("us")),
    (pa.duration("s"), pa.duration("ns"), pa.duration("ns")),
    (ELEMENT, pa.list_(pa.float32()), pa.list_(pa.float64())),
    (ELEMENT, pa.large_list(pa.float64()), pa.large_list(pa.float64())),
    (pa.list_(pa.int32(), 3), pa.list_(pa.int64(), 3), pa.list_(pa.int64(), 3)),
    (pa.list_(pa.int64(), 3), pa.list_(pa.int64(), 2), pa.list_(pa.int64())),
    (pa.fixed_shape_tensor(pa.int64(), [2]), pa.list_(pa.int64()), pa.list_(pa.int64())),
    (pa.struct([("a", pa.int8()), ("b", pa.string())]), pa.struct([("b", pa.string_view()), ("a", pa.int64())]), None),
    (pa.map_(pa.string(), pa.int8()), pa.map_(pa.string(), pa.int64()), pa.map_(pa.string(), pa.int64())),
]
APART = [
    (pa.int64(), pa.uint64()),
    (pa.int32(), pa.string()),
    (pa.bool_(), pa.int8()),
    (pa.string(), pa.binary()),
    (pa.date32(), pa.timestamp("us")),
    (pa.timestamp("us"), pa.timestamp("us", "UTC")),
    (pa.decimal256(76, 0), pa.decimal256(76, 10)),
    (pa.list_(pa.int64()), pa.int64()),
    (pa.struct([("a", pa.int8())]), pa.struct([("b", pa.int8())])),
]


@pytest.mark.parametrize(("one", "other", "common"), PAIRS)
def test_two_types_widen_to_one_in_either_order(one: pa.DataType, other: pa.DataType, common: pa.DataType | None) -> None:
    found = common_type(one, other), common_type(other, one)
    if common is None:
        common = pa.struct([("a", pa.int64()), ("b", pa.string())])
        found = found[0], pa.struct(sorted(found[1], key=lambda field: field.name))
    assert found == (common, common)


@pytest.mark.parametrize(("one", "other"), APART)
def test_types_that_hold_no_common_values_have_no_common_type(one: pa.DataType, other: pa.DataType) -> None:
    assert common_type(one, other) is None
    assert common_type(other, one) is None


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (pa.uuid(), pa.binary(16)),
        (pa.json_(), pa.string()),
        (pa.bool8(), pa.int8()),
        (pa.opaque(pa.large_binary(), "box", "somebody"), pa.large_binary()),
        (pa.list_(pa.uuid()), pa.list_(pa.binary(16))),
        (pa.list_view(pa.string_view()), pa.list_(pa.string())),
        (pa.fixed_shape_tensor(pa.int8(), [2]), pa.fixed_shape_tensor(pa.int8(), [2])),
        (pa.dictionary(pa.int8(), pa.string()), pa.dictionary(pa.int8(), pa.string())),
    ],
)
def test_hints_of_arrow_alone_are_left_out(kind: pa.DataType, plain: pa.DataType) -> None:
    assert plain_type(kind) == plain


def test_a_type_alone_is_its_own_without_hints() -> None:
    assert common_type(pa.uuid()) == pa.binary(16)


def test_three_types_meet_in_one() -> None:
    assert common_type(pa.null(), pa.int8(), pa.uint16()) == pa.int32()
    assert common_type(pa.int8(), pa.string(), pa.int8()) is None
