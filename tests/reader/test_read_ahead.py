"""Row groups that are read ahead come in their order, no more of them than said, and an error of one when it is needed."""

import gc
import threading
import weakref

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import CountedGroups, listed, make_plan, plans
from thoroughness import examples
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions
from bigdata_ml.reader.assemble.batch_assembler import BatchAssembler, Share
from bigdata_ml.reader.assemble.slice_assembler import SliceAssembler
from bigdata_ml.reader.contents import DatasetContents
from bigdata_ml.reader.fetch.read_ahead import Need, ReadAhead
from bigdata_ml.reader.order.plan import EpochPlan


def needs(count: int) -> list[Need[None]]:
    """Two row groups for every other step."""
    return [Need(group // 2 * 2, group, None) for group in range(count)]


@settings(max_examples=examples(60))
@given(plans(), st.integers(1, 4), st.integers(0, 2))
def test_batches_are_the_same_however_many_groups_are_read_ahead(plan: EpochPlan, ahead: int, first: int) -> None:
    share = Share(range(plan.settings.streams), min(first, plan.steps - 1))
    plain, source = CountedGroups(plan), CountedGroups(plan)
    one, other = BatchAssembler(plan, share, plain), BatchAssembler(plan, share, source, ahead=ahead)  # type: ignore[arg-type]
    for _ in one.steps:
        left, right = one.next(), other.next()
        assert listed(left.rows) == listed(right.rows)
        assert left.batch == right.batch
    other.close()
    assert sorted(source.read_groups) == sorted(plain.read_groups)


def test_slices_are_the_same_when_groups_are_read_ahead() -> None:
    plan = make_plan([7, 1, 12, 5, 9], size=4, streams=1, shuffle="groups", remainder="pad")
    source = CountedGroups(plan)
    one = SliceAssembler(plan, Share(range(1)), CountedGroups(plan))  # type: ignore[arg-type]
    other = SliceAssembler(plan, Share(range(1)), source, ahead=3)  # type: ignore[arg-type]
    for _ in one.steps:
        assert one.next().batch == other.next().batch
    other.close()
    assert sorted(source.read_groups) == [0, 1, 2, 3, 4]


def test_no_more_groups_are_begun_than_said_before_they_are_needed() -> None:
    begun: list[int] = []

    def read(need: Need[None]) -> dict[str, pa.Array]:
        begun.append(need.group)
        return {"group": pa.array([need.group])}

    ahead = ReadAhead(iter(needs(20)), read, groups=3)
    given_out: list[int] = []
    for step in range(20):
        for need, columns in ahead.due(step):
            assert columns()["group"].to_pylist() == [need.group]
            given_out.append(need.group)
            assert len(begun) <= len(given_out) + 3
    ahead.close()
    assert given_out == list(range(20)) == sorted(begun)


def test_groups_are_read_before_they_are_asked_for() -> None:
    read_first = threading.Event()

    def read(need: Need[None]) -> dict[str, pa.Array]:
        if need.group == 1:
            read_first.set()
        return {}

    ahead = ReadAhead(iter(needs(8)), read, groups=2)
    next(ahead.due(0))
    assert read_first.wait(30)
    ahead.close()


def test_without_threads_a_group_is_read_when_it_is_asked_for() -> None:
    begun: list[int] = []
    ahead = ReadAhead(iter(needs(8)), lambda need: begun.append(need.group) or {})  # type: ignore[func-returns-value]
    for _, columns in ahead.due(0):
        assert len(begun) < 2
        columns()
    assert begun == [0, 1]


def test_an_error_is_raised_when_the_group_is_needed_and_not_before() -> None:
    def read(need: Need[None]) -> dict[str, pa.Array]:
        if need.group == 2:
            raise DatasetInvalid("group 2")
        return {}

    ahead = ReadAhead(iter(needs(8)), read, groups=4)
    for _, columns in ahead.due(0):
        columns()
    (_, columns), _ = list(ahead.due(2))
    with pytest.raises(DatasetInvalid, match="group 2"):
        columns()
    ahead.close()


def test_a_closed_one_begins_no_further_groups_and_ends_its_threads() -> None:
    begun, gate = [], threading.Event()

    def read(need: Need[None]) -> dict[str, pa.Array]:
        begun.append(need.group)
        gate.wait(30)
        return {}

    ahead = ReadAhead(iter(needs(50)), read, groups=2)
    next(ahead.due(0))
    gate.set()
    ahead.close()
    assert len(begun) <= 3
    assert not [one for one in threading.enumerate() if one.name.startswith("fetch")]


def test_a_loader_reads_each_row_once_by_threads_and_a_broken_group_is_an_error(tmp_path: object) -> None:
    files = {f"{number}.parquet": pa.table({"id": np.arange(number * 40, number * 40 + 40)}) for number in range(6)}
    dataset = Dataset.open(write_plain(tmp_path, files, row_group_size=8))  # type: ignore[arg-type]
    for shuffle in (True, "groups", False):
        loader = make_loader(dataset, ReadOptions(shuffle=shuffle), global_batch_size=12, num_workers=3)  # type: ignore[arg-type]
        assert sorted(row for batch in loader for row in batch["id"].tolist()) == list(range(240))
    (dataset.location / "4.parquet").delete()
    loader = make_loader(dataset, ReadOptions(shuffle=False), global_batch_size=12, num_workers=3)
    with pytest.raises(DatasetInvalid, match=r"4\.parquet row group 0"):
        list(loader)
    assert not [one for one in threading.enumerate() if one.name.startswith("fetch")]


@pytest.mark.parametrize("ahead", [0, 2])
def test_what_was_read_is_let_go_with_the_epoch_not_when_the_garbage_is_collected(ahead: int) -> None:
    plan = make_plan([40, 50, 60], size=10, streams=1, remainder="drop")
    one = BatchAssembler(plan, Share(range(1)), CountedGroups(plan), ahead=ahead)  # type: ignore[arg-type]
    gc.disable()
    try:
        for _ in one.steps:
            one.next()
        one.close()
        held = weakref.ref(one.open)
        del one
        assert held() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("is_local", "threads"), [(True, 2), (False, 3)])
def test_threads_that_work_are_as_many_as_asked_for_and_those_that_wait_one_more(
    is_local: bool, threads: int, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset.open(write_plain(tmp_path, {"0.parquet": pa.table({"id": np.arange(240)})}, row_group_size=8))  # type: ignore[arg-type]
    monkeypatch.setattr(DatasetContents, "is_local", is_local)
    loader = make_loader(dataset, ReadOptions(seed=1), global_batch_size=12, num_workers=3)
    batches = iter(loader)
    next(batches)
    assert len([one for one in threading.enumerate() if one.name.startswith("fetch")]) == threads
    assert len(list(batches)) == len(loader) - 1
