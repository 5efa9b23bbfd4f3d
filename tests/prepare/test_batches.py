"""Batches cut by bytes: every row once, in order, and none held with more than its share."""

import pyarrow as pa
import pytest

from bigdata_ml.prepare.session.batches import cut_by_bytes


def batch_of(sizes: list[int]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"id": range(len(sizes)), "image": [b"x" * size for size in sizes]})


@pytest.mark.parametrize("sizes", [[900, 10, 10, 2000, 10, 300, 300, 300, 300], [5000], [10] * 500, [0, 0, 4000, 0]])
def test_rows_stay_in_order_in_slices_of_bounded_bytes(sizes: list[int]) -> None:
    pieces = list(cut_by_bytes(batch_of(sizes), size=1000))
    assert [one for piece in pieces for one in piece["id"].to_pylist()] == list(range(len(sizes)))
    assert len(pieces) > 1 or len(sizes) == 1
    for piece in pieces:
        # A whole number of 8 bytes, an offset of 4, and the bytes.
        assert piece.num_rows == 1 or sum(12 + len(one) for one in piece["image"].to_pylist()) <= 1000


def test_a_small_batch_is_passed_on_as_it_is() -> None:
    batch = batch_of([10, 20])
    assert [piece is batch for piece in cut_by_bytes(batch)] == [True]


def test_a_slice_of_a_large_batch_is_measured_by_its_own_rows() -> None:
    small = batch_of([5000, 10, 10]).slice(1)
    assert [piece.num_rows for piece in cut_by_bytes(small, size=1000)] == [2]
