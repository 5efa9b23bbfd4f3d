"""Slices of row groups are what scattering their rows gives."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import REMAINDERS, CountedGroups, make_plan

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import Cursor, Rank, ReadOptions, open_reader
from bigdata_ml.reader.assemble.batch_assembler import BatchAssembler, Share
from bigdata_ml.reader.assemble.slice_assembler import SliceAssembler, is_straight
from bigdata_ml.reader.assemble.step_batch import StepBatch
from bigdata_ml.reader.epoch_batches import EpochBatches
from bigdata_ml.reader.order.plan import EpochPlan


def listed(step_batch: StepBatch) -> list[tuple[int, ...]]:
    rows = step_batch.rows
    columns = (rows.groups, rows.rows, rows.copies, rows.repeats, *step_batch.batch.to_pydict().values())
    return [tuple(map(int, row)) for row in zip(*columns, strict=True)]


def spoil(step_batch: StepBatch) -> None:
    """Change the numbers of a step, which are its own."""
    numbers = step_batch.columns.numbers
    assert numbers.keys() == set(step_batch.batch.schema.names)
    for name, values in numbers.items():
        assert values.tolist() == step_batch.batch.column(name).to_pylist()
        values[:] = -1


def both(plan: EpochPlan, share: Share) -> tuple[SliceAssembler, CountedGroups, BatchAssembler]:
    source = CountedGroups(plan)
    straight = SliceAssembler(plan, share, source)  # type: ignore[arg-type]
    return straight, source, BatchAssembler(plan, share, CountedGroups(plan))  # type: ignore[arg-type]


@given(
    counts=st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(lambda counts: sum(counts) > 0),
    each=st.integers(1, 12),
    streams=st.integers(1, 4),
    shuffle=st.sampled_from([False, "groups"]),
    remainder=st.sampled_from(REMAINDERS),
    first=st.integers(0, 3),
    stride=st.integers(1, 3),
)
def test_slices_are_the_scattered_rows(
    counts: list[int], each: int, streams: int, shuffle: bool, remainder: str, first: int, stride: int
) -> None:
    if remainder == "drop" and sum(counts) < each * streams:
        return
    plan = make_plan(counts, size=each * streams, streams=streams, shuffle=shuffle, remainder=remainder)
    for stream in range(streams):
        straight, source, scattered = both(plan, Share(range(stream, stream + 1), first, stride))
        assert straight.steps == scattered.steps
        for _ in straight.steps:
            mine, others = straight.next(), scattered.next()
            assert listed(mine) == listed(others)
            spoil(mine)
            spoil(others)
        assert len(set(source.read_groups)) == len(source.read_groups) == straight.reads


def test_one_stream_of_rows_that_stay_is_straight() -> None:
    plan = make_plan([10, 10], size=4, streams=2, shuffle="groups")
    assert is_straight(plan, Share(range(1)))
    assert not is_straight(plan, Share(range(2)))
    for shuffle in (True, "rows"):
        assert not is_straight(make_plan([10, 10], size=4, streams=1, shuffle=shuffle), Share(range(1)))


def test_a_group_is_let_go_when_its_last_row_has_left() -> None:
    plan = make_plan([8, 8, 8], size=4, streams=1, shuffle=False)
    straight, _, _ = both(plan, Share(range(1)))
    held = []
    for _ in straight.steps:
        straight.next()
        held.append(len(straight._pieces))
    assert held == [1] * 6


def test_numbers_with_nulls_in_one_of_two_groups_go_through_arrow(tmp_path: Path) -> None:
    table = pa.table({"id": range(6), "x": [1.5, 2.5, 3.5, 4.5, None, 6.5]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=2)
    cursor = Cursor(Dataset.open(tmp_path), ReadOptions(shuffle=False, remainder="exact"), Rank(rank=0, world_size=1), 4)
    epoch_batches = EpochBatches(cursor, *cursor.begin())
    steps = [epoch_batches.next() for _ in epoch_batches.steps]
    assert [set(step.columns.numbers) for step in steps] == [{"id", "x"}, {"id"}]
    assert steps[0].batch["x"].to_pylist() == [1.5, 2.5, 3.5, 4.5]
    assert steps[1].batch["x"].to_pylist()[:2] == [None, 6.5]


def test_an_error_is_raised_by_every_call_after_it(plain: Dataset, tmp_path: object) -> None:
    reader = open_reader(plain, ReadOptions(shuffle=False), global_batch_size=2)
    batches = iter(reader)
    next(batches)
    place = plain.location / plain.row_groups.paths[-1]
    place.delete()
    with pytest.raises(Exception, match=r"c\.parquet"):
        list(batches)


def test_slices_of_dictionaries_are_joined() -> None:
    plan = make_plan([3, 3], size=4, streams=1, shuffle=False)

    class Words(CountedGroups):
        schema = pa.schema([pa.field("word", pa.dictionary(pa.int32(), pa.string()))])

        def read(self, group: int) -> dict[str, pa.Array]:
            return {"word": pa.array([f"{group} {row}" for row in range(3)]).dictionary_encode()}

    straight = SliceAssembler(plan, Share(range(1)), Words(plan))  # type: ignore[arg-type]
    assert straight.next().batch["word"].to_pylist() == ["0 0", "0 1", "0 2", "1 0"]
    rest = straight.next()
    assert rest.batch["word"].to_pylist() == ["1 1", "1 2", "1 1", "1 2"]
    assert rest.rows.repeats.tolist() == np.array([0, 0, 1, 1]).tolist()
