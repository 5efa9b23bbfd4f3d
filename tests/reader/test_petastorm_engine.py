"""The engine `petastorm`: the native engine's rows and values by Petastorm's reader, and what it has not is refused by name."""

import subprocess
import sys
import threading
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from contracts import assert_reads_each_row_once, content_of, ids_of
from tiny import publish_columns, write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import ChecksumMismatch, DatasetInvalid, EngineUnavailable, ResumeMismatch, WorldSizeNotAllowed
from bigdata_ml.reader import Mixture, Reader, ReadOptions, RowWeights, Sequence, open_reader, summarise_plan
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema

REMAINDERS = ("drop", "pad", "exact")


def reader(dataset: Dataset, *, size: int = 4, rank: int = 0, world_size: int = 1, **read: Any) -> Reader:
    options = ReadOptions(**{"engine": "petastorm", **read})
    return open_reader(dataset, options, global_batch_size=size, rank=rank, world_size=world_size)


def whole(dataset: Dataset, engine: str, *, size: int = 4, **read: Any) -> list[Any]:
    return [content_of(batch) for batch in reader(dataset, size=size, engine=engine, **read)]


def ids_by_rank(ranks: list[Reader]) -> list[list[list[int]]]:
    return [[ids_of(batch) for batch in rank] for rank in ranks]


@pytest.mark.parametrize("remainder", REMAINDERS)
def test_in_the_datasets_order_it_gives_what_the_native_engine_gives(tiny: Dataset, remainder: str) -> None:
    for part in (tiny, tiny.split("train")):
        read = {"shuffle": False, "remainder": remainder}
        assert whole(part, "petastorm", **read) == whole(part, "arrow", **read)


@pytest.mark.parametrize(
    "field",
    [
        pa.field("x", pa.int64()),
        pa.field("x", pa.uint16()),
        pa.field("x", pa.float16()),
        pa.field("x", pa.bool_()),
        pa.field("x", pa.large_string()),
        pa.field("x", pa.binary()),
        pa.field("x", pa.binary(2)),
        pa.field("x", pa.decimal128(10, 2)),
        pa.field("x", pa.date32()),
        pa.field("x", pa.timestamp("us")),
        pa.field("x", pa.list_(pa.float32())),
        pa.field("x", pa.large_list(pa.int8())),
        pa.field("x", pa.list_(pa.int16(), 2)),
        pa.field("x", pa.list_(pa.string())),
        pa.field("x", pa.dictionary(pa.int32(), pa.string())),
    ],
    ids=lambda field: str(field.type),
)
def test_every_type_comes_as_it_lies_nulls_included(tmp_path: Path, field: pa.Field) -> None:
    column = pa.array([value_of(field.type, row) for row in range(9)], field.type)
    dataset = Dataset.open(write_plain(tmp_path, {"a.parquet": pa.table({"id": range(9), "x": column})}))
    read = {"size": 3, "shuffle": False}
    found = whole(dataset, "petastorm", **read)
    assert found == whole(dataset, "arrow", **read)
    assert any(value is None for _, columns in found for value in columns["x"][1])


def value_of(kind: pa.DataType, row: int) -> Any:
    if row % 4 == 3:
        return None
    if pa.types.is_nested(kind):
        inner = [f"t{row}", None] if kind.value_type == pa.string() else [row, row + 1]
        return inner if pa.types.is_fixed_size_list(kind) else inner * (row % 3)
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return bytes([row, 0])
    if pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return ("None", "nan", "")[row % 3]
    if pa.types.is_temporal(kind):
        return pa.scalar(row * 1000, pa.int64()).cast(pa.timestamp("us")).cast(kind, safe=False)
    # Whole numbers beyond 2^53 would not survive being floating for a while.
    return 2**62 + row if kind == pa.int64() else row % 2 == 0 if kind == pa.bool_() else row


def test_tensors_keep_shape_and_dtype(tmp_path: Path) -> None:
    kind = pa.fixed_shape_tensor(pa.float32(), (2, 3))
    schema = Schema((Field(name="id", type=pa.int64()), Field(name="x", type=kind, codec=Codec.TENSOR, null=NullPolicy.MASK)))
    values = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(54, dtype=np.float32).reshape(9, 2, 3))
    column = pa.ExtensionArray.from_storage(kind, values.storage.take(pa.array([0, None, 2, 3, 4, 5, 6, 7, 8])))
    dataset = publish_columns(tmp_path / "d", schema, {"id": range(9), "x": column})
    first = next(iter(reader(dataset, size=9, shuffle=False)))
    assert first.schema.field("x").type == kind
    assert first["x"].is_valid().to_pylist() == [row != 1 for row in range(9)]
    assert first["x"].drop_null().to_numpy_ndarray().tolist() == np.delete(values.to_numpy_ndarray(), 1, 0).tolist()


@pytest.mark.parametrize(
    ("kind", "values"), [(pa.time64("us"), [1]), (pa.duration("ms"), [1]), (pa.timestamp("us", tz="UTC"), [1])], ids=str
)
def test_a_field_that_petastorm_has_no_type_for_is_refused_by_name(tmp_path: Path, kind: pa.DataType, values: list[int]) -> None:
    table = pa.table({"id": [1], "when": pa.array(values, kind)})
    dataset = Dataset.open(write_plain(tmp_path, {"a.parquet": table}))
    with pytest.raises(EngineUnavailable, match=r"'when'.*columns="):
        reader(dataset, size=1)
    assert len(reader(dataset, size=1, columns=("id",))) == 1


@pytest.mark.parametrize(("remainder", "shuffle", "size"), list(product(("pad", "exact"), (False, "groups", "rows"), (4, 100))))
def test_every_row_is_read_once_an_epoch_whatever_is_shuffled(
    plain: Dataset, remainder: str, shuffle: bool | str, size: int
) -> None:
    assert_reads_each_row_once(lambda: reader(plain, size=size, remainder=remainder, shuffle=shuffle), range(23))


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_ranks_read_each_row_once_in_the_same_number_of_full_steps(tiny: Dataset, world_size: int) -> None:
    ranks = [reader(tiny, size=12, rank=one, world_size=world_size, remainder="exact") for one in range(world_size)]
    for _ in range(2):
        batches = [list(rank) for rank in ranks]
        assert [len(one) for one in batches] == [len(ranks[0])] * world_size
        assert {batch.num_rows for one in batches for batch in one} == {12 // world_size}
        unmarked = [row for one in batches for batch in one for row in ids_of(batch)]
        assert sorted(unmarked) == list(range(71))


def test_dropping_ranks_make_the_same_number_of_steps_and_repeat_nothing(tiny: Dataset) -> None:
    ranks = [reader(tiny, size=12, rank=one, world_size=4) for one in range(4)]
    steps = ids_by_rank(ranks)
    assert [len(one) for one in steps] == [len(ranks[0])] * 4
    rows = [row for one in steps for batch in one for row in batch]
    assert len(rows) == len(set(rows)) == 12 * len(ranks[0])


def test_repeated_rows_are_marked(plain: Dataset) -> None:
    *_, last = reader(plain, size=10, remainder="pad")
    repeated = last["repeated"].to_pylist()
    assert repeated == [False] * 3 + [True] * 7
    assert set(last["id"].to_pylist()[3:]) == set(last["id"].to_pylist()[:3])


def test_row_groups_come_in_another_order_each_epoch_and_the_same_for_a_seed(plain: Dataset) -> None:
    one, other = reader(plain, seed=3, remainder="pad"), reader(plain, seed=3, remainder="pad")
    epochs = [[ids_of(batch) for batch in one] for _ in range(3)]
    assert len({str(epoch) for epoch in epochs}) == 3
    other.set_epoch(1)
    assert [ids_of(batch) for batch in other] == epochs[1]
    assert [ids_of(batch) for batch in reader(plain, seed=4, remainder="pad")] != epochs[0]


def test_shuffled_groups_keep_their_rows_order_and_shuffled_rows_keep_the_groups(plain: Dataset) -> None:
    groups = [row for batch in reader(plain, size=1, shuffle="groups") for row in ids_of(batch)]
    rows = [row for batch in reader(plain, size=1, shuffle="rows") for row in ids_of(batch)]
    stored = [list(range(begin, end)) for begin, end in ((0, 4), (4, 8), (8, 9), (9, 12), (12, 16), (16, 20), (20, 23))]
    assert groups != sorted(groups)
    assert [group for group in stored if group[0] in groups and groups[groups.index(group[0]) :][: len(group)] == group] == stored
    assert rows != sorted(rows)
    assert [sorted(rows[group[0] : group[-1] + 1]) for group in stored] == stored


def test_weighted_rows_come_as_often_as_they_weigh(plain: Dataset) -> None:
    weights = RowWeights("id", {5: 3, 6: 0})
    rows = [row for batch in reader(plain, size=1, weights=weights) for row in ids_of(batch)]
    assert sorted(rows) == sorted([*range(6), *range(7, 23), 5, 5])


def test_columns_come_in_the_order_asked_for_keys_of_directories_among_them(tmp_path: Path) -> None:
    files = {f"k={key}/x.parquet": pa.table({"id": [ord(key)], "w": [1.5]}) for key in "ab"}
    dataset = Dataset.open(write_plain(tmp_path, files))
    assert [batch.to_pydict() for batch in reader(dataset, size=2, columns=("k", "id"), shuffle=False)] == [
        {"k": ["a", "b"], "id": [97, 98]}
    ]
    assert [batch.to_pydict() for batch in reader(dataset, size=1, columns=("k",), predicate=pc.field("k") == "b")] == [
        {"k": ["b"]}
    ]


def test_no_file_is_read_that_the_manifest_does_not_name(tiny: Dataset) -> None:
    place = Path(tiny.url) / "split=train"
    pq.write_table(pq.read_table(place / "part-0.parquet", partitioning=None), place / "left-over.parquet")
    (Path(tiny.url) / "_common_metadata").write_bytes(b"of somebody else")
    assert_reads_each_row_once(lambda: reader(tiny.split("train"), remainder="exact"), range(47))


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"window": 8}, ValueError, "window=8"),
        ({"streams": 4}, ValueError, "streams=4"),
        (
            {"world_size": 3, "size": 4},
            WorldSizeNotAllowed,
            "4 rows .* 3 ranks.* 1, 2, 4",
        ),
        ({"world_size": 8, "size": 8}, WorldSizeNotAllowed, "7 .* 8 ranks"),
        ({"world_size": 7, "size": 21}, ValueError, "7 ranks .* 1 selected .* 3 rows"),
    ],
)
def test_unsupported_orders_are_refused_by_name(plain: Dataset, settings: dict[str, Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        reader(plain, **settings)


def test_mixtures_and_sequences_are_refused(plain: Dataset) -> None:
    with pytest.raises(ValueError, match="sequences"):
        reader(plain, sequence=Sequence(length=2, order="id"))
    with pytest.raises(ValueError, match="mixture"):
        open_reader(Mixture([(plain, 1), (plain, 2)]), ReadOptions(engine="petastorm"), global_batch_size=4)


def test_more_row_groups_read_ahead_than_fit_are_refused(plain: Dataset) -> None:
    read = ReadOptions(engine="petastorm")
    with pytest.raises(ValueError, match=r"5 row groups of up to 4 rows.*memory_budget=10 .*num_workers"):
        open_reader(plain, read, global_batch_size=4, memory_budget=10)


def test_the_plan_of_the_native_engine_says_nothing_of_it(plain: Dataset) -> None:
    with pytest.raises(ValueError, match="a plan is the native engine's; engine='petastorm' draws its order while it reads"):
        summarise_plan(plain, ReadOptions(engine="petastorm"), global_batch_size=4)


WITHIN = "engine='petastorm' resumes at epoch starts only; engine='arrow' resumes after any batch"


def test_a_state_is_taken_at_the_start_and_the_end_of_an_epoch_and_nowhere_else(plain: Dataset) -> None:
    one = reader(plain)
    assert one.state_dict() == one.state_at(0, 0)
    for step, _ in enumerate(one, start=1):
        if step < len(one):
            with pytest.raises(ResumeMismatch, match=f"after step {step} of epoch 0: {WITHIN}"):
                one.state_dict()
    assert one.state_dict() == one.state_at(1, 0) == one.state_at(0, len(one))
    with pytest.raises(ResumeMismatch, match=f"no state of step 2 of epoch 1: {WITHIN}"):
        one.state_at(1, 2)


def test_an_epochs_start_is_taken_up_at_any_world_size(plain: Dataset) -> None:
    one = reader(plain, remainder="exact")
    list(one)
    state, second = one.state_dict(), [ids_of(batch) for batch in one]
    again = reader(plain, remainder="exact")
    again.load_state_dict(state)
    assert [ids_of(batch) for batch in again] == second
    pair = [reader(plain, rank=rank, world_size=2, remainder="exact") for rank in range(2)]
    for rank in pair:
        rank.load_state_dict(state)
    assert sorted(row for rank in ids_by_rank(pair) for batch in rank for row in batch) == list(range(23))


def test_states_within_an_epoch_and_of_the_other_engine_are_refused(plain: Dataset) -> None:
    one, native = reader(plain), reader(plain, engine="arrow")
    with pytest.raises(ResumeMismatch, match=f"the state is of step 2 of epoch 0: {WITHIN}"):
        one.load_state_dict({**one.state_dict(), "step": 2})
    with pytest.raises(ResumeMismatch, match=r"order differs.*goes on with the engine it was taken with"):
        one.load_state_dict(native.state_dict())
    with pytest.raises(ResumeMismatch, match="order differs"):
        native.load_state_dict(one.state_dict())


@pytest.mark.parametrize(
    ("name", "other"), [("seed", {"seed": 1}), ("shuffle", {"shuffle": False}), ("selection", {"predicate": pc.field("id") < 9})]
)
def test_a_state_of_another_plan_is_refused_naming_what_differs(plain: Dataset, name: str, other: dict[str, Any]) -> None:
    with pytest.raises(ResumeMismatch, match=f"^{name} differs"):
        reader(plain).load_state_dict(reader(plain, **other).state_dict())


def test_a_reader_left_early_ends_its_threads(plain: Dataset) -> None:
    before = set(threading.enumerate())
    batches = iter(reader(plain))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before


def test_a_row_group_that_cannot_be_read_is_named_and_keeps_the_position(tiny: Dataset) -> None:
    one = reader(tiny.split("train"), size=5, shuffle=False, columns=("id", "note"))
    path = Path(tiny.url) / "split=train/part-1.parquet"
    path.write_bytes(path.read_bytes()[:-4] + b"nope")
    before, seen = set(threading.enumerate()), []
    with pytest.raises(
        DatasetInvalid, match=r"split=train/part-1\.parquet row group 0: cannot be read .*run bigdata-ml validate"
    ):
        seen.extend(ids_of(batch) for batch in one)
    assert seen == [list(range(begin, begin + 5)) for begin in (0, 5, 10, 15)]
    assert set(threading.enumerate()) <= before


def test_a_file_of_another_size_is_named(tiny: Dataset) -> None:
    one = reader(tiny.split("train"))
    path = Path(tiny.url) / "split=train/part-0.parquet"
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ChecksumMismatch, match=r"part-0\.parquet: the file has \d+ bytes, \d+ were published"):
        list(one)


def test_skipped_row_groups_keep_their_places(tiny: Dataset) -> None:
    train = tiny.split("train")
    read = {"size": 5, "shuffle": False, "on_error": "skip", "max_skipped": 1.0}
    (Path(tiny.url) / "split=train/part-1.parquet").unlink()
    found = whole(train, "petastorm", **read)
    assert found == whole(train, "arrow", **read)
    assert sum(not valid for _, columns in found for valid in columns["valid"][1]) == 22


@pytest.mark.parametrize("shuffle", [True, False])
def test_no_row_is_lost_over_many_readers(tmp_path: Path, shuffle: bool) -> None:
    files = {f"{number}.parquet": pa.table({"id": range(4 * number, 4 * number + 4)}) for number in range(4)}
    dataset = Dataset.open(write_plain(tmp_path, files))
    counts = [sum(batch.num_rows for batch in reader(dataset, shuffle=shuffle, seed=seed)) for seed in range(100)]
    assert counts == [16] * 100


def test_without_petastorm_the_extra_is_named(plain: Dataset) -> None:
    code = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "petastorm":
            raise ModuleNotFoundError("No module named 'petastorm'", name=name)
sys.meta_path.insert(0, Missing())
from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import EngineUnavailable
from bigdata_ml.reader import ReadOptions, open_reader
dataset = Dataset.open({plain.url!r})
assert len(open_reader(dataset, ReadOptions(), global_batch_size=4)) == 5
try:
    open_reader(dataset, ReadOptions(engine="petastorm"), global_batch_size=4)
except EngineUnavailable as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "install the extra 'petastorm' of bigdata_ml" in done.stdout
    assert done.stderr == ""


def test_the_native_engine_loads_nothing_of_petastorm(plain: Dataset) -> None:
    code = (
        "import sys; from bigdata_ml.dataset import Dataset; from bigdata_ml.reader import ReadOptions, open_reader; "
        f"print(len(list(open_reader(Dataset.open({plain.url!r}), ReadOptions(), global_batch_size=4))), "
        "[name for name in sys.modules if 'petastorm_bridge' in name or name.startswith('petastorm')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5", "[]"]
