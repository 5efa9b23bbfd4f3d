"""Rows through the reader: each once, counted before step 1, resumable, and never others than were promised."""

from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from contracts import assert_reads_each_row_once, assert_resumes_exactly, content_of, ids_of
from tiny import publish_dataset, write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid, ResumeMismatch
from bigdata_ml.reader import Reader, ReadOptions, open_reader

REMAINDERS = ("drop", "pad", "exact")


@pytest.fixture(params=["arrow", "petastorm"])
def engine(request: pytest.FixtureRequest) -> Any:
    return request.param


def reader(dataset: Dataset, *, size: int = 4, rank: int = 0, world_size: int = 1, **read: Any) -> Reader:
    return open_reader(dataset, ReadOptions(**read), global_batch_size=size, rank=rank, world_size=world_size)


@pytest.mark.parametrize(("remainder", "shuffle"), list(product(REMAINDERS, (True, False, "groups"))))
def test_it_resumes_exactly(plain: Dataset, remainder: str, shuffle: bool | str) -> None:
    assert_resumes_exactly(lambda: reader(plain, remainder=remainder, shuffle=shuffle))


def test_it_resumes_exactly_with_a_predicate_on_one_rank_of_two(tiny: Dataset) -> None:
    read = {"predicate": pc.field("weight") > 2, "columns": ("id", "image"), "seed": 9, "remainder": "pad"}
    assert_resumes_exactly(lambda: reader(tiny.split("train"), size=6, rank=1, world_size=2, **read))


def test_a_state_of_one_world_size_goes_on_at_another(plain: Dataset) -> None:
    one = reader(plain)
    batches = iter(one)
    wanted = [ids_of(next(batches)) for _ in range(2)] and [ids_of(batch) for batch in batches]
    stopped = reader(plain)
    halfway = iter(stopped)
    next(halfway), next(halfway)
    pair = [reader(plain, rank=rank, world_size=2) for rank in range(2)]
    for rank in pair:
        rank.load_state_dict(stopped.state_dict())
    assert [ids_of(left) + ids_of(right) for left, right in zip(*pair, strict=True)] == wanted


@pytest.mark.parametrize(("remainder", "size"), list(product(("pad", "exact"), (1, 4, 23, 24, 100))))
def test_every_row_is_read_once_an_epoch(plain: Dataset, engine: Any, remainder: str, size: int) -> None:
    assert_reads_each_row_once(lambda: reader(plain, size=size, remainder=remainder, engine=engine), range(23))


def test_every_row_of_a_split_is_read_once_by_two_ranks_together(tiny: Dataset, engine: Any) -> None:
    read = {"remainder": "exact", "engine": engine}
    ranks = [reader(tiny.split("train"), rank=rank, world_size=2, **read) for rank in range(2)]
    assert sorted(one for rank in ranks for batch in rank for one in ids_of(batch)) == list(range(47))


def test_dropped_rows_are_others_each_epoch(plain: Dataset, engine: Any) -> None:
    dropped = []
    one = reader(plain, engine=engine)
    for _ in range(4):
        seen = {row for batch in one for row in ids_of(batch)}
        assert len(seen) == 20
        dropped.append(frozenset(range(23)) - seen)
    assert len(set(dropped)) > 1


def test_repeated_rows_are_marked_and_come_from_the_last_two_batches(plain: Dataset) -> None:
    *_, before, last = reader(plain, size=10, remainder="pad")
    repeated = last["repeated"].to_pylist()
    own = [one for one, mark in zip(last["id"].to_pylist(), repeated, strict=True) if not mark]
    assert (len(own), len(set(own))) == (3, 3)
    assert {one for one, mark in zip(last["id"].to_pylist(), repeated, strict=True) if mark} <= {*own, *before["id"].to_pylist()}


def test_a_predicate_is_counted_before_the_first_step_and_exact(plain: Dataset, engine: Any) -> None:
    one = reader(plain, size=1, engine=engine, predicate=pc.field("id") >= 7)
    assert len(one) == 16
    assert_reads_each_row_once(lambda: one, range(7, 23))


@pytest.mark.parametrize(
    ("predicate", "wanted"),
    [
        (pc.field("price") >= 0, [one for one in range(23) if one % 6 != 5]),
        (pc.field("price").is_null(), [5, 11, 17]),
        (~(pc.field("price") < 2), [one for one in range(4, 23) if one % 6 != 5]),
        ((pc.field("price") > 100) | (pc.field("id") == 5), [5]),
        (pc.scalar(True), list(range(23))),
    ],
)
def test_nulls_satisfy_no_condition(plain: Dataset, engine: Any, predicate: pc.Expression, wanted: list[int]) -> None:
    assert_reads_each_row_once(lambda: reader(plain, size=1, engine=engine, predicate=predicate), wanted)


def test_a_predicate_may_name_hive_keys_and_columns_that_are_not_read(tmp_path: Path, engine: Any) -> None:
    files = {f"k={key}/x.parquet": pa.table({"id": [key, key + 1], "w": [1, 2]}) for key in (10, 20)}
    dataset = Dataset.open(write_plain(tmp_path, files))
    predicate = (pc.field("k") == 20) & (pc.field("w") > 1)
    found = reader(dataset, size=1, columns=("id",), predicate=predicate, engine=engine)
    assert [batch.to_pydict() for batch in found] == [{"id": [21]}]


@pytest.mark.parametrize("predicate", [pc.field("nope") == 1, pc.field("id") == "a", pc.field("id"), pc.field("id") + 1], ids=str)
def test_a_predicate_that_does_not_fit_is_refused_with_the_fields(plain: Dataset, engine: Any, predicate: pc.Expression) -> None:
    with pytest.raises(ValueError, match=r"the predicate .* does not fit the fields id, price"):
        reader(plain, predicate=predicate, engine=engine)


@pytest.mark.parametrize("remainder", REMAINDERS)
def test_no_selected_rows_are_refused_with_the_numbers(plain: Dataset, engine: Any, remainder: str) -> None:
    with pytest.raises(ValueError, match="0 selected rows make no step of 4 rows"):
        reader(plain, predicate=pc.field("id") > 99, remainder=remainder, engine=engine)


def test_fewer_rows_than_a_batch_are_refused_only_when_dropping(plain: Dataset, engine: Any) -> None:
    with pytest.raises(ValueError, match="23 selected rows make no step of 24 rows with remainder='drop'"):
        reader(plain, size=24, engine=engine)
    assert len(reader(plain, size=24, engine=engine, remainder="pad")) == 1


def test_a_dataset_of_empty_files_is_refused_with_the_numbers(tmp_path: Path, engine: Any) -> None:
    dataset = Dataset.open(write_plain(tmp_path, {"x.parquet": pa.table({"id": pa.array([], pa.int64())})}))
    with pytest.raises(ValueError, match="0 selected rows"):
        reader(dataset, remainder="pad", engine=engine)


def test_empty_files_and_groups_among_others_are_passed_over(tmp_path: Path, engine: Any) -> None:
    files = {
        f"{name}.parquet": pa.table({"id": pa.array(rows, pa.int64())})
        for name, rows in zip("abc", ([], [1, 2], []), strict=True)
    }
    assert_reads_each_row_once(lambda: reader(Dataset.open(write_plain(tmp_path, files)), size=1, engine=engine), [1, 2])


def test_columns_come_in_the_order_asked_for(tiny: Dataset, engine: Any) -> None:
    batch = next(iter(reader(tiny, engine=engine, columns=("note", "id"))))
    assert batch.schema.names == ["note", "id"]


def test_unknown_columns_are_refused_with_those_there_are(plain: Dataset, engine: Any) -> None:
    with pytest.raises(ValueError, match="has no fields nope; it has id, price"):
        reader(plain, engine=engine, columns=("id", "nope"))


@pytest.mark.parametrize("name", ["valid", "repeated", "x_valid"])
def test_a_field_named_like_the_readers_own_marks_is_refused(tmp_path: Path, engine: Any, name: str) -> None:
    dataset = Dataset.open(write_plain(tmp_path, {"x.parquet": pa.table({"x": ["a", None], name: [1, 2]})}))
    with pytest.raises(ValueError, match=f"has a field '{name}', a name the reader gives its own marks"):
        reader(dataset, size=1, engine=engine)
    assert len(reader(dataset, size=1, engine=engine, columns=("x",))) == 2


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"remainder": "keep"}, "remainder must be one of drop, pad, exact"),
        ({"engine": "spark"}, "engine must be one of arrow, petastorm"),
        ({"seed": -1}, "seed must lie in"),
        ({"columns": ()}, "at least one field"),
        ({"columns": ("a", "a")}, "columns must differ"),
        ({"image_size": (0, 8)}, "image_size must be"),
        ({"on_error": "ignore"}, "on_error must be one of raise, skip"),
        ({"max_skipped": 1.5}, "max_skipped is a share"),
        ({"streams": 0}, "streams must be 1 or more"),
        ({"window": -1}, "window must be 0 rows or more"),
        ({"window": 9, "shuffle": False}, "window mixes rows and shuffle=False keeps them"),
        ({"window": 9, "shuffle": "groups"}, "window mixes rows and shuffle='groups' keeps them"),
        ({"shuffle": "files"}, "shuffle must be True, False, 'groups' or 'rows', got 'files'"),
        ({"shuffle": 1}, "shuffle must be True, False, 'groups' or 'rows', got 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ReadOptions(**settings)


def test_a_global_batch_of_nothing_is_refused(plain: Dataset, engine: Any) -> None:
    with pytest.raises(ValueError, match="global_batch_size must be at least 1, got 0"):
        reader(plain, size=0, engine=engine)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("seed", {"seed": 1}),
        ("shuffle", {"shuffle": False}),
        ("shuffle", {"shuffle": "groups"}),
        ("remainder", {"remainder": "pad"}),
        ("selection", {"predicate": pc.field("id") < 9}),
        ("global_batch_size", {"size": 2}),
        ("streams", {"streams": 2}),
        ("window", {"window": 8}),
    ],
)
def test_a_state_of_another_plan_is_refused_naming_what_differs(plain: Dataset, name: str, other: dict[str, Any]) -> None:
    with pytest.raises(ResumeMismatch, match=f"^{name} differs"):
        reader(plain).load_state_dict(reader(plain, **other).state_dict())


def test_a_state_of_another_dataset_or_split_is_refused(tmp_path: Path, tiny: Dataset) -> None:
    state = reader(tiny.split("train")).state_dict()
    for other in (tiny, tiny.split("test"), publish_dataset(tmp_path / "other", files=3).split("train")):
        with pytest.raises(ResumeMismatch, match=r"fingerprint differs.*published anew or is another one"):
            reader(other).load_state_dict(state)


@pytest.mark.parametrize(("name", "value"), [("version", 1), ("version", None), ("order", "other-1")])
def test_a_state_of_another_version_or_order_is_refused(plain: Dataset, name: str, value: Any) -> None:
    with pytest.raises(ResumeMismatch, match=name):
        reader(plain).load_state_dict({**reader(plain).state_dict(), name: value})


@pytest.mark.parametrize("position", [{"step": 5}, {"step": -1}, {"epoch": -1}, {"step": None}, {"epoch": "0"}])
def test_a_position_that_the_plan_does_not_have_is_refused(plain: Dataset, position: dict[str, Any]) -> None:
    with pytest.raises(ResumeMismatch, match="no position of a plan of 5 steps"):
        reader(plain).load_state_dict({**reader(plain).state_dict(), **position})


def test_the_batch_size_that_would_keep_the_global_batch_is_named(plain: Dataset) -> None:
    state = reader(plain, size=8).state_dict()
    with pytest.raises(ResumeMismatch, match="batch_size=4 keeps it at this world size"):
        reader(plain, size=4, world_size=2).load_state_dict(state)


@pytest.mark.parametrize(
    "move", [lambda one, state: one.load_state_dict(state), lambda one, _: one.set_epoch(0), lambda one, _: iter(one)]
)
def test_an_iteration_does_not_go_on_once_the_reader_was_moved(plain: Dataset, move: Any) -> None:
    one = reader(plain)
    state, batches = one.state_dict(), iter(one)
    next(batches)
    move(one, state)
    with pytest.raises(RuntimeError, match="the loader was moved"):
        next(batches)
    assert one.state_dict() == state


def test_what_moves_the_position_before_the_first_batch_moves_the_iteration(plain: Dataset, engine: Any) -> None:
    wanted, one = reader(plain, engine=engine), reader(plain, engine=engine)
    wanted.set_epoch(5)
    batches = iter(one)
    one.set_epoch(5)
    assert [ids_of(batch) for batch in batches] == [ids_of(batch) for batch in wanted]
    assert one.state_dict()["epoch"] == 6


def test_a_restored_position_is_taken_up_by_an_iteration_that_has_not_started(plain: Dataset) -> None:
    whole, one = [ids_of(batch) for batch in reader(plain)], reader(plain)
    batches = iter(one)
    one.load_state_dict(one.state_at(0, 3))
    assert ids_of(next(batches)) == whole[3]
    assert one.state_dict()["step"] == 4


def test_iterations_made_together_read_the_same_batches_and_the_state_says_which(plain: Dataset) -> None:
    one, whole = reader(plain), [ids_of(batch) for batch in reader(plain)]
    for step, (left, right) in enumerate(zip(one, one, strict=True)):
        assert ids_of(left) == ids_of(right) == whole[step]
        assert one.state_dict() == one.state_at(0, step + 1)


def test_a_new_iteration_says_that_it_begins_at_the_start_of_the_epoch(plain: Dataset) -> None:
    one = reader(plain)
    for _ in one:
        break
    again = iter(one)
    assert one.state_dict() == one.state_at(0, 0)
    assert ids_of(next(again)) == ids_of(next(iter(reader(plain))))


BAD_STATES = {
    "epoch": [True, 10**30, -1, float("nan"), 1.0, "1", None],
    "step": [True, 10**30, -1, float("nan"), 0.0, "1", None],
    "version": [True, 2.0, "2", None],
    "seed": [False, 0.0, None],
    "streams": [True, 4.0, None],
    "shuffle": [1, "True", None],
    "fingerprint": [None, 3, b"", ["a"]],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_STATES.items() for value in values])
def test_a_state_whose_values_are_of_another_type_or_size_is_refused(plain: Dataset, name: str, value: Any) -> None:
    one = reader(plain)
    with pytest.raises(ResumeMismatch, match=name):
        one.load_state_dict({**one.state_at(0, 1), name: value})
    assert one.state_dict() == one.state_at(0, 0)


def test_a_state_that_lacks_a_value_or_is_none_is_refused(plain: Dataset, engine: Any) -> None:
    one = reader(plain, engine=engine)
    for name in one.state_dict():
        state = one.state_dict()
        del state[name]
        with pytest.raises(ResumeMismatch):
            one.load_state_dict(state)
    for state in (None, [], 3, "state"):
        with pytest.raises(ResumeMismatch, match="a state is a dict"):
            one.load_state_dict(state)  # type: ignore[arg-type]


@pytest.mark.parametrize("epoch", [True, -1, 10**30])
def test_an_epoch_that_is_none_is_refused(plain: Dataset, epoch: int) -> None:
    for move in (reader(plain).set_epoch, lambda one: reader(plain).state_at(one, 0)):
        with pytest.raises(ValueError, match="epoch must be 0 or more"):
            move(epoch)


def test_a_file_that_vanished_is_named_with_its_row_group(plain: Dataset) -> None:
    one = reader(plain, shuffle=False)
    (Path(plain.url) / "a.parquet").unlink()
    with pytest.raises(DatasetInvalid, match=r"a\.parquet row group 0: cannot be read"):
        next(iter(one))


def test_two_readers_of_one_dataset_do_not_disturb_each_other(plain: Dataset) -> None:
    alone = [content_of(batch) for batch in reader(plain)]
    pairs = list(zip(reader(plain), reader(plain), strict=True))
    assert [content_of(one) for one, _ in pairs] == [content_of(other) for _, other in pairs] == alone


def test_numpys_whole_numbers_are_taken_and_become_pythons(plain: Dataset) -> None:
    import json

    import numpy as np

    one = reader(plain, size=np.int64(4), seed=np.int64(3), streams=np.int32(2), window=np.int64(5))
    one.set_epoch(np.int64(1))
    assert json.loads(json.dumps(one.state_dict()))["epoch"] == 1
    assert one.state_dict() == {**reader(plain, seed=3, streams=2, window=5).state_dict(), "epoch": 1}
