"""Row groups from storage: nothing is read as if it were what was published."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from counting import counted
from tiny import make_rows, publish_columns, publish_dataset

from bigdata_ml.dataset import Dataset, RowGroups
from bigdata_ml.dataset.parquet.footers import read_footers, read_metadata
from bigdata_ml.errors import ChecksumMismatch, DatasetInvalid, SchemaMismatch
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.schema import Field, NullPolicy, Schema
from bigdata_ml.storage import locate


def source(dataset: Dataset, *columns: str) -> GroupSource:
    return GroupSource(dataset, columns or dataset.schema.names)


def reopened(root: Path, rows: pa.Table) -> GroupSource:
    """Put other rows in a.parquet's place and open the directory as what it is then, under the schema it had."""
    before = Dataset.open(root)
    pq.write_table(rows, root / "a.parquet", row_group_size=4)
    after = Dataset.open(root) if rows.schema.names == before.schema.names else before
    return GroupSource(Dataset(after.location, before.schema, _groups_of(root), None), before.schema.names)


def _groups_of(root: Path) -> Any:
    footers = read_footers(locate(str(root)), ["a.parquet"])
    return RowGroups.from_records([record for one in footers for record in one.records], keys=pa.schema([]))


def test_every_row_group_is_read_as_it_was_written(tiny: Dataset) -> None:
    rows = make_rows(71)
    found = [source(tiny).read(group) for group in range(len(tiny.row_groups))]
    ids = np.concatenate([one["id"].to_numpy() for one in found])
    assert sorted(ids.tolist()) == list(range(71))
    for one in found:
        assert (one["image"].to_numpy_ndarray().min(axis=(1, 2, 3)) // 80).tolist() == (one["id"].to_numpy() % 3).tolist()
        for name in ("label", "weight", "city", "note"):
            assert one[name].to_pylist() == rows[name].take(one["id"]).to_pylist()


@pytest.mark.parametrize("columns", [(), ("id",)])
def test_a_truncated_file_is_refused(train: Dataset, columns: tuple[str, ...]) -> None:
    place = Path(train.url) / "split=train/part-1.parquet"
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(
        ChecksumMismatch, match=r"part-1\.parquet row group 0: the file has \d+ bytes, \d+ were published.*validate"
    ):
        source(train, *columns).read(len(train.row_groups) - 5)


@pytest.mark.parametrize("change", [lambda data: data + b"more", lambda data: data[:-8]], ids=["grows", "shrinks"])
@pytest.mark.parametrize("columns", [(), ("id",)])
def test_a_file_that_changes_its_size_between_two_row_groups_is_refused(
    train: Dataset, columns: tuple[str, ...], change: Callable[[bytes], bytes]
) -> None:
    one, place = source(train, *columns), Path(train.url) / "split=train/part-0.parquet"
    one.read(0)
    # Its size is compared at every opening, though its time of change is what it was.
    before, size = place.stat(), len(place.read_bytes())
    place.write_bytes(change(place.read_bytes()))
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ChecksumMismatch, match=rf"part-0\.parquet row group 1: the file has \d+ bytes, {size} were published"):
        one.read(1)


def test_changed_bytes_of_a_row_group_are_refused(train: Dataset, change_bytes: Callable[[Path, int], None]) -> None:
    record = train.row_groups.record(1)
    change_bytes(Path(train.url) / record["path"], record["offset"] + record["length"] // 2)
    one = source(train)
    one.read(0)
    with pytest.raises(
        ChecksumMismatch, match=r"part-0\.parquet row group 1: its bytes have the checksum \w+, \w+ was published"
    ):
        one.read(1)


def test_changed_bytes_are_found_by_page_checksums_where_few_columns_are_read(
    tmp_path: Path, change_bytes: Callable[[Path, int], None]
) -> None:
    fields = Schema((Field(name="x", type=pa.int64()), Field(name="y", type=pa.binary(900))))
    numbers = np.random.default_rng(0)
    columns = {"x": numbers.integers(0, 2**60, 300), "y": [numbers.bytes(900) for _ in range(300)]}
    dataset = publish_columns(tmp_path / "d", fields, columns)
    one = source(dataset, "x")
    one.read(0)
    record = dataset.row_groups.record(0)
    # The first column's data lie first; its pages' headers take some dozens of bytes.
    change_bytes(Path(dataset.url) / record["path"], record["offset"] + 80)
    with pytest.raises(DatasetInvalid, match=r"row group 0: cannot be read \(.*CRC"):
        one.read(0)


@pytest.mark.parametrize("columns", [(), ("id",)])
def test_a_file_replaced_by_another_of_the_same_size_is_refused(tmp_path: Path, columns: tuple[str, ...]) -> None:
    dataset = publish_dataset(tmp_path / "d").split("train")
    one, place = source(dataset, *columns), Path(dataset.url) / "split=train/part-0.parquet"
    one.read(0)
    place.write_bytes(place.read_bytes().replace(b"parquet-cpp-arrow", b"parquet-CPP-arrow"))
    os.utime(place, ns=(1, 1))
    with pytest.raises(ChecksumMismatch, match=r"part-0\.parquet row group 1: the file's footer has the checksum \w+, \w+ was"):
        one.read(1)


def test_plain_parquet_replaced_under_the_reader_is_refused(plain: Dataset) -> None:
    one, place = source(plain), Path(plain.url) / "a.parquet"
    one.read(0)
    size = place.stat().st_size
    rows = pa.table({"id": [one + 100 for one in range(9)], "price": pa.array([1.0] * 8 + [None])})
    pq.write_table(rows, place, row_group_size=4)
    place.write_bytes(place.read_bytes().ljust(size, b"x")[:size])
    with pytest.raises(DatasetInvalid, match=r"a\.parquet row group 1"):
        one.read(1)


def test_a_file_that_was_only_touched_is_read_on(train: Dataset) -> None:
    one = source(train)
    before = one.read(0)
    os.utime(Path(train.url) / "split=train/part-0.parquet", ns=(5, 5))
    assert one.read(0) == before


def test_a_row_group_of_another_number_of_rows_is_refused(plain: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    one = source(plain)
    monkeypatch.setattr(type(plain.row_groups), "record", lambda self, group: {**_record(self, group), "rows": 3})
    with pytest.raises(DatasetInvalid, match=r"a\.parquet row group 0: has 4 rows, the dataset was opened with 3"):
        one.read(0)


def _record(groups: Any, group: int) -> dict[str, Any]:
    return {name: groups.table[name][group].as_py() for name in groups.table.column_names if "." not in name}


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (pa.table({"id": [str(one) for one in range(9)], "price": [1.0] * 9}), "field 'id': is string, the schema says int64"),
        (pa.table({"id": [None, *range(8)], "price": [1.0] * 9}), "field 'id': holds nulls"),
        (pa.table({"id": range(9)}), "field 'price': is missing"),
    ],
)
def test_columns_that_are_not_the_schemas_are_refused(plain: Dataset, rows: pa.Table, text: str) -> None:
    with pytest.raises(SchemaMismatch, match=rf"a\.parquet row group 0 {text}"):
        reopened(Path(plain.url), rows).read(0)


def test_a_file_that_is_gone_is_named(train: Dataset) -> None:
    (Path(train.url) / "split=train/part-0.parquet").unlink()
    with pytest.raises(DatasetInvalid, match=r"part-0\.parquet row group 0: cannot be read"):
        source(train).read(0)


def test_the_keys_of_hive_directories_are_columns(tmp_path: Path) -> None:
    rows = pa.table({"x": [1, 2], "day": [3, None]}, schema=pa.schema([("x", pa.int64()), ("day", pa.int64())]))
    pq.write_to_dataset(rows, tmp_path, partition_cols=["day"])
    dataset = Dataset.open(tmp_path)
    found = [source(dataset, "day", "x").read(group) for group in range(2)]
    assert sorted((one["x"][0].as_py(), one["day"][0].as_py()) for one in found) == [(1, 3), (2, None)]


def test_the_reader_and_the_writer_mean_the_same_by_the_checksum_outside_row_groups(tiny: Dataset) -> None:
    for path in tiny.row_groups.files:
        place = tiny.location / path
        with place.filesystem.open_input_file(place.path) as stream:
            metadata, checksum = read_metadata(stream)
        groups = [one for one in range(len(tiny.row_groups)) if tiny.row_groups.record(one)["path"] == path]
        assert {tiny.row_groups.record(one)["file_checksum"] for one in groups} == {checksum}
        assert metadata.num_row_groups == len(groups)


def test_nullable_columns_come_with_their_nulls(tmp_path: Path) -> None:
    fields = Schema((Field(name="x", type=pa.int8(), null=NullPolicy.MASK),))
    dataset = publish_columns(tmp_path / "d", fields, {"x": [1, None, 3]})
    assert source(dataset).read(0)["x"].to_pylist() == [1, None, 3]


def test_a_files_footer_is_read_once_whatever_its_row_groups(plain: Dataset) -> None:
    dataset, opened = counted(plain)
    one = source(dataset)
    for group in range(3):
        one.read(group)
    # Once for its footer, and once for each of the three row groups.
    assert opened == {"a.parquet": 4}
