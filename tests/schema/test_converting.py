"""Columns as another type: every value as it was, or none."""

from decimal import Decimal

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given

from bigdata_ml.schema.converting import converted, is_held_as, nearest_doubles, refused_rows

DAY = 86_400_000_000
NESTED = pa.list_(pa.list_(pa.decimal128(9, 4)))
UUIDS = pa.ListArray.from_arrays([0, 1, 1], pa.array([b"0" * 16], pa.uuid()), mask=pa.array([False, True]))
TEXT = pa.dictionary(pa.int32(), pa.string())


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        (pa.array(["a", None]).dictionary_encode(), pa.large_string(), ["a", None]),
        (pa.array(["a", None], pa.string_view()), pa.string(), ["a", None]),
        (pa.array(["a"], pa.large_string()), pa.string(), ["a"]),
        (pa.array([b"0" * 16, None], pa.uuid()), pa.binary(16), [b"0" * 16, None]),
        (UUIDS, pa.list_(pa.binary(16)), [[b"0" * 16], None]),
        (pa.array(["{}"], pa.json_()), pa.string(), ["{}"]),
        (pa.array([1, 0], pa.int8()).cast(pa.bool8()), pa.int8(), [1, 0]),
        (pa.nulls(2), pa.list_(pa.int64()), [None, None]),
        (pa.array([2**31 - 1], pa.int32()), pa.int64(), [2**31 - 1]),
        (pa.array([2**53], pa.int64()), pa.float64(), [2.0**53]),
        (pa.array([7, None]), pa.decimal128(21, 2), [Decimal("7.00"), None]),
        (pa.array([Decimal("0.3333")], pa.decimal128(14, 4)), pa.float64(), [0.3333]),
        (pa.array([[Decimal("0.3333"), None], None]), pa.list_(pa.float64()), [[0.3333, None], None]),
        (
            pa.array([[[Decimal("0.3333")]], []], pa.list_(pa.list_(pa.decimal128(9, 4)))),
            pa.list_(pa.list_(pa.float64())),
            [[[0.3333]], []],
        ),
        (pa.array([[1, 2], None], pa.list_(pa.int32(), 2)), pa.list_(pa.int64()), [[1, 2], None]),
        (pa.array([[1, 2], None], pa.list_(pa.int32(), 2)), pa.list_(pa.int64(), 2), [[1, 2], None]),
        (pa.array([[1], None, [2, 3]], pa.list_view(pa.int32())), pa.list_(pa.int64()), [[1], None, [2, 3]]),
        (pa.array([b"ab"], pa.binary(2)), pa.binary(), [b"ab"]),
    ],
    ids=str,
)
def test_a_column_in_another_type_has_the_same_values(column: pa.Array, kind: pa.DataType, values: list[object]) -> None:
    assert is_held_as(column.type, kind)
    assert converted(column, kind).type == kind
    assert converted(column, kind).to_pylist() == values
    assert converted(column[1:], kind).to_pylist() == values[1:]
    converted(column[1:], kind).validate(full=True)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([1, 2**53 + 1, 3]), pa.float64()),
        (pa.array([0, 9000 * 365 * DAY, 0], pa.timestamp("us")), pa.timestamp("ns")),
    ],
    ids=str,
)
def test_the_rows_that_do_not_fit_are_found(column: pa.Array, kind: pa.DataType) -> None:
    with pytest.raises(pa.ArrowInvalid):
        converted(column, kind)
    assert refused_rows(column, kind).tolist() == [1]


@pytest.mark.parametrize(
    ("found", "wanted"),
    [(pa.int64(), pa.int32()), (pa.int64(), pa.string()), (pa.string(), pa.dictionary(pa.int32(), pa.string()))],
)
def test_a_narrower_or_another_type_is_not_read(found: pa.DataType, wanted: pa.DataType) -> None:
    assert not is_held_as(found, wanted)


@given(st.lists(st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**30), max_value=10**30)))
def test_decimals_become_what_float_makes_of_them(values: list[Decimal | None]) -> None:
    wanted = [None if value is None else float(value) for value in values]
    for kind in (pa.decimal128(38, 4), pa.decimal256(76, 4)):
        assert nearest_doubles(pa.array(values, kind)).to_pylist() == wanted


def test_decimals_of_any_scale_and_slice_are_the_nearest() -> None:
    values = [Decimal("9007199254740993"), Decimal("0.3333"), None, Decimal("-12345678.9012"), Decimal(-(2**63)).scaleb(-4)]
    column = pa.array([Decimal(1), *values], pa.decimal128(30, 4))[1:]
    assert nearest_doubles(column).to_pylist() == [None if value is None else float(value) for value in values]
    assert nearest_doubles(column[1:]).to_pylist() == [0.3333, None, -12345678.9012, float(values[-1])]
    assert nearest_doubles(pa.array([Decimal("1E-30")], pa.decimal128(38, 38))).to_pylist() == [1e-30]
    assert nearest_doubles(pa.array([Decimal(500)], pa.decimal128(5, -2))).to_pylist() == [500.0]
    assert nearest_doubles(pa.array([], pa.decimal128(5, 2))).to_pylist() == []
