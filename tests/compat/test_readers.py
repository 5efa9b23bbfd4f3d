"""What Petastorm never had: positions, equal ranks, bounded batches, errors that arrive."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from bigdata_ml.compat.petastorm import (
    Reader,
    TransformSpec,
    WeightedSamplingReader,
    in_lambda,
    make_batch_reader,
    make_reader,
)
from bigdata_ml.errors import DatasetInvalid, DatasetNotFound, DecodeFailed, MetadataUnreadable, ResumeMismatch

pytestmark = pytest.mark.filterwarnings("ignore:.* has no Petastorm schema:UserWarning")


def ids(reader: Reader) -> list[int]:
    found: list[int] = []
    for row in reader:
        found += np.atleast_1d(row.id).tolist()
    return found


@pytest.mark.parametrize("make", [make_reader, make_batch_reader], ids=["rows", "batches"])
def test_a_reader_goes_on_where_another_was_stopped(table: str, make: Callable[..., Reader]) -> None:
    options = {"schema_fields": ["id"], "seed": 3, "num_epochs": 2, "shuffle_rows": True}
    whole = [np.atleast_1d(row.id).tolist() for row in make(table, **options)]
    for taken in [0, 1, 2, len(whole) // 2 - 1, len(whole) // 2, len(whole) // 2 + 1, len(whole) - 1, len(whole)]:
        first = make(table, **options)
        for _ in range(taken):
            next(first)
        state = json.loads(json.dumps(first.state_dict()))
        first.stop()
        second = make(table, **options)
        second.load_state_dict(state)
        assert [np.atleast_1d(row.id).tolist() for row in second] == whole[taken:], taken


@pytest.mark.parametrize("pool", ["thread", "process", "dummy"])
def test_the_order_is_the_seeds_whatever_the_pool(table: str, pool: str) -> None:
    def order(**options: Any) -> list[int]:
        return ids(make_batch_reader(table, schema_fields=["id"], seed=7, num_epochs=2, **options))

    found = order(reader_pool_type=pool, workers_count=3)
    assert found == order(reader_pool_type="dummy")
    assert sorted(found) == sorted([*range(1028)] * 2)
    assert found[:1028] != found[1028:]


def test_ranks_have_as_many_batches_and_rows_to_one(table: str) -> None:
    ranks = [make_batch_reader(table, schema_fields=["id"], cur_shard=rank, shard_count=3) for rank in range(3)]
    batches = [list(reader) for reader in ranks]
    assert len({len(one) for one in batches}) == 1
    rows = [[row for batch in one for row in batch.id.tolist()] for one in batches]
    assert sorted(map(len, rows)) == [342, 343, 343]
    assert sorted(row for one in rows for row in one) == [*range(1028)]


def test_the_seed_decides_which_rows_a_shard_has(table: str) -> None:
    shards = {frozenset(ids(make_batch_reader(table, cur_shard=0, shard_count=3, seed=seed))) for seed in range(3)}
    assert len(shards) == 3


def test_a_reader_has_a_length(table: str) -> None:
    assert len(make_reader(table, num_epochs=2)) == 2056
    assert len(make_batch_reader(table)) == len(list(make_batch_reader(table))) == 42
    with pytest.raises(TypeError, match="endless"):
        len(make_reader(table, num_epochs=None))


def test_a_reader_can_be_reset_at_any_time(table: str) -> None:
    reader = make_reader(table, schema_fields=["id"], seed=1)
    begun = [next(reader).id for _ in range(300)]
    reader.reset()
    first = ids(reader)
    assert first[:300] == begun
    assert reader.last_row_consumed
    reader.reset()
    assert not reader.last_row_consumed
    second = ids(reader)
    assert sorted(second) == sorted(first)
    assert second != first


def test_a_stopped_reader_says_so(table: str) -> None:
    with make_reader(table) as reader:
        next(reader)
    assert reader.stopped
    with pytest.raises(RuntimeError, match="stopped"):
        next(reader)


def test_filters_select_rows_by_any_column(table: str) -> None:
    with make_reader(
        table, filters=[("id", ">", 1000), ("flag", "=", True)], predicate=in_lambda(["id"], lambda n: n % 3 == 0)
    ) as reader:
        assert sorted(ids(reader)) == [row for row in range(1001, 1028) if row % 6 == 0]


def test_nothing_selected_is_said_and_ends_the_reader(table: str) -> None:
    with pytest.warns(UserWarning, match="no row"):
        reader = make_reader(table, predicate=in_lambda(["id"], lambda n: n < 0))
    assert ids(reader) == []
    assert len(reader) == 0


def test_files_can_be_named_one_by_one(table: str) -> None:
    files = [f"{table}/part-2.parquet", f"{table}/part-0.parquet"]
    with make_batch_reader(files, schema_fields=["id"], shuffle_row_groups=False) as reader:
        assert ids(reader) == [*range(514, 771), *range(257)]


def test_a_store_is_reached_by_fsspec_or_the_callers_filesystem(table: str) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for file in Path(table.removeprefix("file://")).glob("*.parquet"):
        memory.pipe(f"/compat/{file.name}", file.read_bytes())
    for options in ({}, {"storage_options": {"skip_instance_cache": True}}, {"filesystem": memory}):
        with make_batch_reader("memory://compat", schema_fields=["id"], **options) as reader:
            assert sorted(ids(reader)) == [*range(1028)]
    with make_batch_reader(table, schema_fields=["id"], filesystem=pafs.LocalFileSystem()) as reader:
        assert len(ids(reader)) == 1028
    memory.rm("/compat", recursive=True)


def test_an_error_of_a_transform_reaches_the_caller(table: str) -> None:
    def fail(row: dict[str, Any]) -> dict[str, Any]:
        raise KeyError(f"row {row['id']}")

    with make_reader(table, transform_spec=TransformSpec(fail)) as reader, pytest.raises(KeyError, match="row"):
        next(reader)


def test_a_value_that_cannot_be_decoded_is_named(everything: str, tmp_path: Path) -> None:
    source = Path(everything.removeprefix("file://"))
    place = tmp_path / "damaged" / "part=a"
    place.mkdir(parents=True)
    rows = pq.read_table(source / "part=a" / "0.parquet", partitioning=None)
    values = rows["rgb"].to_pylist()
    values[5] = b"no picture"
    damaged = rows.set_column(rows.schema.get_field_index("rgb"), "rgb", pa.array(values, pa.binary()))
    pq.write_table(damaged, place / "0.parquet", row_group_size=4)
    (tmp_path / "damaged" / "_common_metadata").write_bytes((source / "_common_metadata").read_bytes())
    with (
        make_reader(f"file://{tmp_path}/damaged") as reader,
        pytest.raises(DecodeFailed, match=r"0\.parquet row group 1 row 1 field 'rgb'"),
    ):
        list(reader)


def test_a_value_that_a_predicate_cannot_decode_is_named(everything: str, tmp_path: Path) -> None:
    source, place = Path(everything.removeprefix("file://")), tmp_path / "damaged" / "part=a"
    place.mkdir(parents=True)
    rows = pq.read_table(source / "part=a" / "0.parquet", partitioning=None)
    damaged = [b"no array", *rows["matrix"].to_pylist()[1:]]
    pq.write_table(rows.set_column(rows.schema.get_field_index("matrix"), "matrix", pa.array(damaged)), place / "0.parquet")
    (tmp_path / "damaged" / "_common_metadata").write_bytes((source / "_common_metadata").read_bytes())
    with pytest.raises(DecodeFailed, match=r"part=a/0\.parquet row group 0 .*row 0 field 'matrix'"):
        make_reader(f"file://{tmp_path}/damaged", predicate=in_lambda(["matrix"], lambda matrix: True))


def test_a_file_that_vanishes_is_named(tmp_path: Path) -> None:
    for number in range(3):
        pq.write_table(pa.table({"id": range(number * 10, number * 10 + 10)}), tmp_path / f"{number}.parquet")
    reader = make_batch_reader(f"file://{tmp_path}", shuffle_row_groups=False, workers_count=1, results_queue_size=1)
    (tmp_path / "2.parquet").unlink()
    with pytest.raises(DatasetInvalid, match=r"2\.parquet"):
        ids(reader)


def test_a_schema_that_would_run_code_is_refused(table: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    harm = b"cos\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR."
    place = tmp_path / "bad"
    place.mkdir()
    rows = pa.table({"id": [1]})
    pq.write_table(rows, place / "0.parquet")
    pq.write_metadata(rows.schema.with_metadata({"dataset-toolkit.unischema.v1": harm}), place / "_common_metadata")
    with pytest.raises(MetadataUnreadable, match="os system"):
        make_reader(f"file://{place}")
    assert not canary.exists()


WRONG = [
    ({"cur_shard": 1}, "shard_count.*got 1"),
    ({"cur_shard": 3, "shard_count": 3}, "rank"),
    ({"reader_pool_type": "fibre"}, "reader_pool_type"),
    ({"num_epochs": 0}, "num_epochs"),
    ({"workers_count": 0}, "workers_count"),
    ({"schema_fields": ["nothing.*"]}, "schema_fields"),
    ({"schema_fields": "id"}, "got str"),
    ({"predicate": 3}, "PredicateBase"),
    ({"predicate": in_lambda(["gone"], bool)}, "gone"),
    ({"cache_type": "redis"}, "cache_type"),
]


@pytest.mark.parametrize(("options", "text"), WRONG, ids=[text for _, text in WRONG])
def test_wrong_arguments_are_refused(table: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make_reader(table, **options)


def test_urls_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="file://"):
        make_reader(str(tmp_path))
    with pytest.raises(ValueError, match="empty"):
        make_batch_reader([])
    with pytest.raises(DatasetNotFound):
        make_reader(f"file://{tmp_path}/gone")


def test_a_cache_that_is_asked_for_is_warned_of(table: str) -> None:
    with pytest.warns(UserWarning, match="local-disk"):
        make_batch_reader(table, cache_type="local-disk", cache_location="/nowhere")


UNUSED: list[dict[str, Any]] = [
    {"hdfs_driver": "libhdfs"},
    {"zmq_copy_buffers": False},
    {"convert_early_to_numpy": True},
    {"cache_type": "null", "cache_size_limit": 10, "cache_row_size_estimate": 1, "cache_extra_settings": {"shards": 2}},
]


@pytest.mark.parametrize("options", UNUSED, ids=str)
def test_arguments_that_would_change_nothing_are_taken_without_a_word(table: str, options: dict[str, Any]) -> None:
    plain = {"schema_fields": ["id"], "seed": 1}
    for make in (make_reader, make_batch_reader):
        assert ids(make(table, **plain, **options)) == ids(make(table, **plain))
    assert ids(make_reader(table, **plain, pyarrow_serialize=True)) == ids(make_reader(table, **plain))


def test_a_shard_seed_is_warned_of(table: str) -> None:
    with pytest.warns(UserWarning, match="shard_seed"):
        make_batch_reader(table, shard_seed=3, cur_shard=0, shard_count=2)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_structs_and_maps_in_plain_parquet_are_left_out_and_warned_of(one_by_one: bool, tmp_path: Path) -> None:
    tags = pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64()))
    rows = pa.table({"id": [1, 2], "place": [{"city": "Rome", "id": 3}, None], "tags": tags, "x": [0.5, None]})
    pq.write_table(rows, tmp_path / "0.parquet", row_group_size=1)
    url = f"file://{tmp_path}"
    with pytest.warns(UserWarning, match=r"left out: 'place' \(struct<.*'tags' \(map<"):
        reader = make_batch_reader([f"{url}/0.parquet"] if one_by_one else url, filters=[("id", ">", 1)])
    (batch,) = reader
    assert (batch._fields, batch.id.tolist()) == (("id", "x"), [2])
    assert np.isnan(batch.x).all()


def test_a_state_of_another_reader_is_refused(table: str) -> None:
    state = make_batch_reader(table, seed=1).state_dict()
    with pytest.raises(ResumeMismatch, match="seed"):
        make_batch_reader(table, seed=2).load_state_dict(state)
    rows = make_reader(table, seed=1)
    next(rows)
    with pytest.raises(ResumeMismatch, match="row 1"):
        make_batch_reader(table, seed=1).load_state_dict(rows.state_dict())


def halves(table: str, **options: Any) -> list[Reader]:
    low, high = (in_lambda(["id"], lambda n: n < 500), in_lambda(["id"], lambda n: n >= 500))
    return [make_reader(table, schema_fields=["id", "x"], seed=2, predicate=one, **options) for one in (low, high)]


def test_mixed_readers_keep_their_shares_in_every_stretch(table: str) -> None:
    found = np.array(ids(WeightedSamplingReader(halves(table), [1, 3])))
    share = np.cumsum(found < 500) - 0.25 * np.arange(1, len(found) + 1)
    assert len(set(found.tolist())) == len(found) > 600
    assert np.abs(share).max() <= 2


def test_mixed_readers_go_on_where_others_were_stopped(table: str) -> None:
    def mixed() -> WeightedSamplingReader:
        return WeightedSamplingReader(halves(table), [0.5, 0.5])

    whole = ids(mixed())
    first = mixed()
    for _ in range(77):
        next(first)
    second = mixed()
    second.load_state_dict(first.state_dict())
    assert ids(second) == whole[77:]


def test_each_mixed_reader_transforms_its_own_rows(table: str) -> None:
    def tagged(tag: int) -> TransformSpec:
        return TransformSpec(lambda row: {**row, "tag": np.int64(tag)}, edit_fields=[("tag", np.int64, (), False)])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        low, high = (
            make_reader(table, schema_fields=["id"], transform_spec=tagged(tag), predicate=in_lambda(["id"], one), seed=0)
            for tag, one in ((1, lambda n: n < 500), (2, lambda n: n >= 500))
        )
    rows = list(WeightedSamplingReader([low, high], [1, 1]))
    assert all((row.tag == 1) == (row.id < 500) for row in rows)
    assert {int(row.tag) for row in rows} == {1, 2}


def test_endless_mixed_readers_repeat_the_shorter(table: str) -> None:
    few = make_reader(table, schema_fields=["id"], predicate=in_lambda(["id"], lambda n: n < 40), num_epochs=None, seed=0)
    many = make_reader(table, schema_fields=["id"], num_epochs=None, seed=0)
    reader = WeightedSamplingReader([few, many], [1, 1])
    found = [int(next(reader).id) for _ in range(3000)]
    assert found.count(3) > 10


def test_readers_that_differ_are_not_mixed(table: str) -> None:
    first, second = make_reader(table, seed=0), make_reader(table, seed=0, shuffle_row_groups=False)
    with pytest.raises(ValueError, match="shuffle_row_groups"):
        WeightedSamplingReader([first, second], [1, 1])
    few = make_reader(table, schema_fields=["id"], seed=0)
    more = make_reader(table, schema_fields=["id", "x"], seed=0, transform_spec=TransformSpec(removed_fields=["x"]))
    with pytest.raises(ValueError, match="fields before"):
        WeightedSamplingReader([few, more], [1, 1])
    with pytest.raises(ValueError, match="got 1"):
        WeightedSamplingReader([first], [1])
    with pytest.raises(ValueError, match="probabilities"):
        WeightedSamplingReader([first, first], [1])
