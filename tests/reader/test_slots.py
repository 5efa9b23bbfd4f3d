"""Values go through slots unchanged, whatever their type, offset, nulls and order."""

from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import examples

from bigdata_ml.reader.assemble.open_batches import OpenBatches
from bigdata_ml.reader.assemble.slots import Slots

UTC = timezone.utc
KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "bool": (pa.bool_(), [True, False, False]),
    "int8": (pa.int8(), [-1, 0, 127]),
    "uint64": (pa.uint64(), [0, 2**64 - 1, 5]),
    "half": (pa.float16(), [np.float16(0.5), np.float16(-2), np.float16(0)]),
    "double": (pa.float64(), [0.5, float("inf"), -0.0]),
    "date": (pa.date32(), [date(1960, 1, 1), date(2026, 11, 25), date(1, 1, 1)]),
    "time": (pa.time64("us"), [time(0, 0, 1), time(23, 59), time(1)]),
    "time32": (pa.time32("ms"), [time(0, 0, 1), time(23, 59), time(1)]),
    "timestamp": (pa.timestamp("us", "UTC"), [datetime(2026, 1, 1, tzinfo=UTC), datetime(1900, 1, 1, tzinfo=UTC)]),
    "duration": (pa.duration("ms"), [timedelta(days=3), timedelta(0)]),
    "decimal": (pa.decimal128(20, 4), [Decimal("1.5000"), Decimal("-999999999999.1234")]),
    "decimal256": (pa.decimal256(50, 2), [Decimal("1.50"), Decimal("-7.25")]),
    "decimal32": (pa.decimal32(5, 2), [Decimal("1.50"), Decimal("-7.25")]),
    "fixed bytes": (pa.binary(3), [b"abc", b"\0\0\0"]),
    "text": (pa.string(), ["", "short", "longer than the twelve bytes of a view", "жук", "x" * 300]),
    "large text": (pa.large_string(), ["", "short", "longer than the twelve bytes of a view"]),
    "bytes": (pa.binary(), [b"", b"\xff\xd8", b"\0" * 40]),
    "large bytes": (pa.large_binary(), [b"", b"\xff\xd8", b"\0" * 40]),
    "list": (pa.list_(pa.float32()), [[], [1.5], [2.5, 3.5, 4.5]]),
    "list of text": (pa.list_(pa.string()), [[], ["a", "longer than the twelve bytes"], [None]]),
    "large list": (pa.large_list(pa.int16()), [[1], [], [2, 3]]),
    "fixed list": (pa.list_(pa.int16(), 2), [[1, 2], [3, 4]]),
    "categories": (pa.dictionary(pa.int32(), pa.string()), ["a", "b", "a"]),
    "tensor": (pa.fixed_shape_tensor(pa.uint8(), (2, 2)), [[1, 2, 3, 4], [5, 6, 7, 8]]),
    "float tensor": (pa.fixed_shape_tensor(pa.float32(), (1, 2, 1)), [[1.5, 2.5], [3.5, 4.5]]),
    "null": (pa.null(), [None, None]),
}


def array_of(kind: pa.DataType, values: list[Any]) -> pa.Array:
    if isinstance(kind, pa.FixedShapeTensorType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    return pa.array(values, kind)


@pytest.mark.parametrize("nullable", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_values_of_every_type_come_back_as_they_were(name: str, nullable: bool) -> None:
    kind, values = KINDS[name]
    nullable = nullable or name == "null"
    groups = [array_of(kind, (values + [None] * nullable) * times).slice(offset) for times, offset in ((3, 0), (4, 2), (1, 1))]
    schema, numbers = pa.schema([pa.field("x", kind, nullable=nullable)]), np.random.default_rng(0)
    batches, order = OpenBatches(schema, 8), numbers.permutation(64)
    wanted: list[Any] = [None] * 64
    for number, group in enumerate(groups):
        places, order = order[: len(group)], order[len(group) :]
        rows, plain = numbers.permutation(len(group)), group.to_pylist()
        batches.add(number, {"x": group}, rows, places // 8, places % 8)
        for place, row in zip(places.tolist(), rows.tolist(), strict=True):
            wanted[place] = plain[row]
    batches.add(9, None, np.arange(len(order)), order // 8, order % 8)
    full = [batches.take() for _ in range(8)]
    for one in full:
        one.columns.batch.validate(full=True)
        assert one.columns.batch.schema == schema
    skipped = np.concatenate([one.skipped for one in full])
    found = [value for one in full for value in one.columns.column("x").to_pylist()]
    assert set(np.flatnonzero(skipped).tolist()) == set(order.tolist())
    assert [value for value, skip in zip(found, skipped, strict=True) if not skip] == [
        value for value, skip in zip(wanted, skipped, strict=True) if not skip
    ]
    nothing = {repr(value) for value, skip in zip(found, skipped, strict=True) if skip}
    assert len(nothing) == 1
    assert (nothing == {"None"}) == nullable


@pytest.mark.parametrize("name", ["bytes", "tensor", "list", "int8", "categories"])
def test_a_batch_has_memory_of_its_own(name: str) -> None:
    kind, values = KINDS[name]
    batches = OpenBatches(pa.schema([pa.field("x", kind, nullable=False)]), 2)
    ones, twos = array_of(kind, values[:2]), array_of(kind, values[1::-1])
    batches.add(0, {"x": ones}, np.array([0, 1]), np.array([0, 0]), np.array([0, 1]))
    batch = batches.take().columns.batch
    before = batch.to_pylist()
    batches.add(1, {"x": twos}, np.array([0, 1]), np.array([1, 1]), np.array([0, 1]))
    assert batch.to_pylist() == before
    assert [row["x"] for row in batches.take().columns.batch.to_pylist()] == [row["x"] for row in before][::-1]


NUMBERS = {"int8", "uint64", "half", "double", "tensor", "float tensor"}


@pytest.mark.parametrize("name", KINDS)
def test_numbers_without_nulls_are_had_without_arrow(name: str) -> None:
    kind, values = KINDS[name]
    batches = OpenBatches(pa.schema([pa.field("x", kind)]), 2)
    rows, column = np.array([0, 1]), array_of(kind, values[:2])
    batches.add(0, {"x": column}, rows, rows * 0, rows[::-1])
    batches.add(1, {"x": array_of(kind, [values[0], None])}, rows, rows * 0 + 1, rows)
    whole, with_null = batches.take(), batches.take()
    assert (name in NUMBERS, with_null.columns.numbers) == ("x" in whole.columns.numbers, {})
    if name in NUMBERS:
        tensors = isinstance(kind, pa.FixedShapeTensorType)
        wanted = column.to_numpy_ndarray() if tensors else column.to_numpy()
        found = whole.columns.numbers["x"]
        assert (found.dtype, found.tolist()) == (wanted.dtype, wanted[::-1].tolist())
        assert found.flags.writeable
        # Whoever has the numbers may change them: no other batch lies there.
        found[:] = 1
        assert with_null.columns.column("x").to_pylist() == [column.to_pylist()[0], None]
    assert whole.columns.column("x").null_count == 2 * (name == "null")


def test_copies_have_their_numbers_and_rows_of_other_groups_none() -> None:
    batches, rows = OpenBatches(pa.schema([pa.field("x", pa.int8(), nullable=False)]), 2, ahead=3), np.arange(2)
    copies = [None, np.array([1, 2], np.int32), None, np.array([0, 3], np.int32), None]
    # Slots are used again: three batches lie in the ring, the fourth where the first was.
    for group, numbers in enumerate(copies[:3]):
        batches.add(group, {"x": pa.array([0, 1], pa.int8())}, rows, rows * 0 + group, rows, copies=numbers)
    found = []
    for group, numbers in enumerate(copies):
        if group > 2:
            batches.add(group, {"x": pa.array([0, 1], pa.int8())}, rows, rows * 0 + group, rows, copies=numbers)
        full = batches.take()
        assert full.rows.groups.tolist() == [group, group]
        found.append(full.rows.copies.tolist())
    assert found == [[0, 0], [1, 2], [0, 0], [0, 3], [0, 0]]


def test_tensors_with_their_dimensions_in_another_order_go_through_arrow() -> None:
    kind = pa.fixed_shape_tensor(pa.uint8(), (2, 3), permutation=[1, 0])
    column = array_of(kind, [[1, 2, 3, 4, 5, 6]])
    batches = OpenBatches(pa.schema([pa.field("x", kind, nullable=False)]), 1)
    batches.add(0, {"x": column}, np.array([0]), np.array([0]), np.array([0]))
    full = batches.take()
    assert full.columns.numbers == {}
    assert full.columns.column("x").to_numpy_ndarray().tolist() == column.to_numpy_ndarray().tolist()


def test_wide_and_narrow_parts_of_some_rows_go_to_their_slots() -> None:
    slots = Slots({"narrow": np.dtype(np.int16), "wide": np.dtype((np.int64, (20,))), "same": np.dtype(bool)})
    slots.resize(6, [])
    wide = np.arange(100).reshape(5, 20)
    packed = slots.pack({"narrow": np.arange(5), "same": True}, 5)
    packed.set("wide", wide)
    slots.scatter(packed, np.array([4, 0, 4]), np.array([5, 2, 3]))
    slots.scatter(slots.pack({"narrow": np.arange(5), "wide": wide, "same": False}, 5), np.array([3, 2, 1]), np.array([0, 1, 4]))
    slots.resize(12, [(slice(0, 6), slice(6, 12))])
    found = slots.take(slice(6, 12))
    assert found["narrow"].tolist() == [3, 2, 0, 4, 1, 4]
    assert found["wide"][:, 0].tolist() == [60, 40, 0, 80, 20, 80]
    assert found["same"].tolist() == [False, False, True, True, False, True]


SCHEMA = pa.schema(
    [pa.field("id", pa.int64(), nullable=False), pa.field("text", pa.string()), pa.field("tags", pa.list_(pa.int8()))]
)


@settings(max_examples=examples(100))
@given(st.lists(st.lists(st.integers(0, 6), max_size=9), max_size=12), st.integers(1, 4))
def test_batches_hold_the_rows_that_were_added_however_far_ahead(groups: list[list[int]], rows: int) -> None:
    """Each group is a list of how many batches ahead its rows go; the places of a batch are filled in turn."""
    one, filled, handed, row = OpenBatches(SCHEMA, rows), {}, 0, 0
    for group, aheads in enumerate(groups):
        ids, batches, places = [], [], []
        for ahead in aheads:
            batch = handed + ahead
            place = filled.setdefault(batch, [])
            if len(place) < rows:
                ids.append(row)
                batches.append(batch)
                places.append(len(place))
                place.append((group, row))
                row += 1
        if ids:
            texts = [None if one % 3 == 0 else f"row {one} " * (one % 5) for one in ids]
            columns = {
                "id": pa.array(ids),
                "text": pa.array(texts, pa.string()),
                "tags": pa.array([[one % 7] for one in ids], pa.list_(pa.int8())),
            }
            one.add(group, columns, np.arange(len(ids)), np.array(batches), np.array(places))
        while len(filled.get(handed, [])) == rows:
            full, wanted = one.take(), filled.pop(handed)
            assert list(zip(full.rows.groups.tolist(), full.columns.column("id").to_pylist(), strict=True)) == wanted
            assert full.columns.column("tags").to_pylist() == [[row % 7] for _, row in wanted]
            assert full.columns.column("text").to_pylist() == [
                None if row % 3 == 0 else f"row {row} " * (row % 5) for _, row in wanted
            ]
            handed += 1
        assert one.held_rows == sum(map(len, filled.values()))


def test_buffers_of_a_group_are_let_go_with_its_last_row() -> None:
    schema = pa.schema([pa.field("text", pa.binary(), nullable=False)])
    one, before = OpenBatches(schema, 2), pa.total_allocated_bytes()
    for group in range(50):
        column = pa.array([b"x" * 100_000] * 4)
        one.add(group, {"text": column}, np.arange(4), np.array([0, 0, 1, 1]) + 2 * group, np.array([0, 1, 0, 1]))
        del column
        one.take()
        assert pa.total_allocated_bytes() - before < 900_000
        one.take()
        assert one.held_groups == 0
        assert pa.total_allocated_bytes() - before < 400_000
