"""Predicates: exactly the rows that satisfy them, read from no file that need not be, and remembered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from counting import counted
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import examples
from tiny import make_rows, publish_dataset, write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import ChecksumMismatch, DatasetInvalid
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.reader.select import group_values
from bigdata_ml.reader.select.selection import select

NAN = float("nan")


@pytest.fixture
def days(tmp_path: Path) -> Dataset:
    """Plain Parquet by Hive day, one of them null; x is 0 … 29 over all, y has nulls and NaN, name is text."""
    files = {}
    for number, day in enumerate(["1", "2", "__HIVE_DEFAULT_PARTITION__"]):
        x = range(10 * number, 10 * number + 10)
        y = [(None, NAN, float(one))[min(2, one % 4)] for one in x]
        files[f"day={day}/part-{number}.parquet"] = pa.table({"x": x, "y": y, "name": [f"n{one:02}" for one in x]})
    return Dataset.open(write_plain(tmp_path / "days", files, row_group_size=5))


def rows_of(dataset: Dataset, predicate: pc.Expression) -> list[tuple[int, int]]:
    selection = select(dataset, predicate)
    found = [(group, row) for group in range(len(selection.counts)) for row in selection.rows(group).tolist()]
    assert len(found) == selection.total
    return found


def brute(dataset: Dataset, predicate: pc.Expression) -> list[tuple[int, int]]:
    """The same by reading everything."""
    from bigdata_ml.reader.fetch.row_groups import GroupSource

    source, found = GroupSource(dataset, dataset.schema.names), []
    for group in range(len(dataset.row_groups)):
        table = pa.table(source.read(group)).append_column("row", pa.array(range(dataset.row_groups.record(group)["rows"])))
        found += [(group, row) for row in table.filter(predicate)["row"].to_pylist()]
    return found


x, y, day, name = (pc.field(one) for one in ("x", "y", "day", "name"))
PREDICATES = [
    x < 7, x > 1000, x >= 0, (x > 3) & (y > 8), y.is_null(), ~(y < 12), y.is_nan(), y > 100, day == 2, day.is_null(), ~(day == 2),
    (day == 1) | (x == 25), (day == 1) | (x < 1000), name == "n07", name > "n25", x.isin([3, 14, 99]), ~x.isin([3]),
    day.isin([1, 2]), pc.scalar(True), pc.scalar(False),
]  # fmt: skip


@pytest.mark.parametrize("predicate", PREDICATES, ids=str)
def test_a_predicate_selects_exactly_the_rows_that_satisfy_it(days: Dataset, predicate: pc.Expression) -> None:
    assert rows_of(days, predicate) == brute(days, predicate)


@settings(max_examples=examples(60))
@given(data=st.data())
def test_any_comparisons_joined_by_and_or_not_select_exactly_their_rows(data: st.DataObject, tmp_path_factory: Any) -> None:
    dataset = _dirty(tmp_path_factory)
    field = st.sampled_from(["a", "b", "c"])
    compared = st.tuples(field, st.sampled_from(["<", ">=", "==", "null"]), st.integers(-3, 12))
    leaf = compared.map(lambda one: _comparison(*one))
    joined = st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda two: two[0] & two[1]),
            st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
            inner.map(lambda one: ~one),
        ),
        max_leaves=4,
    )
    predicate = data.draw(joined)
    assert rows_of(dataset, predicate) == brute(dataset, predicate)


def _comparison(field: str, kind: str, value: int) -> pc.Expression:
    one = pc.field(field)
    return {"<": one < value, ">=": one >= value, "==": one == value, "null": one.is_null()}[kind]


def _dirty(tmp_path_factory: Any) -> Dataset:
    root = tmp_path_factory.getbasetemp() / "dirty"
    if not root.exists():
        numbers = np.random.default_rng(0)
        a = [None if one < 0 else int(one) for one in numbers.integers(-2, 10, 60)]
        b = [None if one < 0 else NAN if one == 0 else float(one) for one in numbers.integers(-2, 10, 60)]
        rows = pa.table({"a": a, "b": b, "c": np.sort(numbers.integers(0, 10, 60))})
        write_plain(root, {"p.parquet": rows}, row_group_size=7)
    return Dataset.open(root)


def test_hive_keys_are_judged_without_opening_a_file(days: Dataset) -> None:
    dataset, opened = counted(days)
    assert select(dataset, day == 2).counts.tolist() == [0, 0, 5, 5, 0, 0]
    assert not opened


def test_extremes_rule_groups_out_before_a_file_is_opened(days: Dataset, tmp_path: Path) -> None:
    dataset, opened = counted(days)
    assert select(dataset, (x > 11) & (x < 13)).total == 1
    assert set(opened) == {"part-1.parquet"}
    published, opened = counted(publish_dataset(tmp_path / "p", splits={"train": make_rows(40)}))
    assert select(published.split("train"), pc.field("id") < 3).total == 3
    assert len(opened) == 1


def test_a_selection_is_remembered_by_the_dataset_and_its_splits(tiny: Dataset) -> None:
    dataset, opened = counted(tiny)
    predicate = pc.field("weight") > 3
    first = select(dataset.split("train"), predicate)
    reads = sum(opened.values())
    again = select(dataset.split("train"), pc.field("weight") > 3)
    assert (sum(opened.values()), again) == (reads, first)
    assert select(dataset.split("test"), predicate).digest != first.digest


def test_a_selection_is_kept_in_a_directory_for_other_processes(tiny: Dataset, tmp_path: Path) -> None:
    read = ReadOptions(predicate=pc.field("weight") > 3)
    first = open_reader(tiny, read, global_batch_size=4, selection_cache=tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    dataset, opened = counted(Dataset.open(tiny.url))
    second = open_reader(dataset, read, global_batch_size=4, selection_cache=tmp_path / "cache")
    assert not opened
    assert [one["id"].to_pylist() for one in first] == [one["id"].to_pylist() for one in second]
    kept.write_bytes(kept.read_bytes()[:40])
    assert len(open_reader(Dataset.open(tiny.url), read, global_batch_size=4, selection_cache=tmp_path / "cache")) == len(first)


def test_a_kept_selection_with_a_changed_byte_or_without_checksum_is_found_anew(tiny: Dataset, tmp_path: Path) -> None:
    predicate = pc.field("id") < 8
    wanted = rows_of(tiny, predicate)
    tiny.selections.clear()
    select(tiny, predicate, cache=tmp_path / "cache")
    (place,) = (tmp_path / "cache").iterdir()
    kept = place.read_bytes()
    arrow = kept[kept.index(b"ARROW1") :]
    changed = [kept[:one] + bytes([kept[one] ^ 0xFF]) + kept[one + 1 :] for one in range(0, len(kept), 7)]
    for data in [*changed, arrow, kept[:20], b""]:
        place.write_bytes(data)
        tiny.selections.clear()
        selection = select(tiny, predicate, cache=tmp_path / "cache")
        assert [(group, row) for group in range(len(selection.counts)) for row in selection.rows(group).tolist()] == wanted
        assert place.read_bytes() == kept


def test_long_lists_of_values_that_differ_in_the_middle_are_other_selections(plain: Dataset) -> None:
    found = [select(plain, pc.field("id").isin([*range(30, 60), one, *range(60, 90)])).total for one in (3, 99)]
    assert found == [1, 0]


def test_a_predicate_reads_only_its_own_columns(tmp_path: Path) -> None:
    big = np.random.default_rng(0).integers(0, 255, (2000, 500), np.uint8)
    rows = pa.table({"x": range(2000), "big": [bytes(one) for one in big]})
    root = write_plain(tmp_path, {"a.parquet": rows}, row_group_size=2000)
    data = bytearray((root / "a.parquet").read_bytes())
    dataset = Dataset.open(root)
    # The other column's bytes are destroyed, and nobody notices.
    begin = data.index(rows["big"][0].as_py())
    data[begin : begin + 900_000] = bytes(900_000)
    (root / "a.parquet").write_bytes(data)
    assert select(dataset, pc.field("x") < 1000).total == 1000
    with pytest.raises(DatasetInvalid):
        select(dataset, pc.field("big") > b"a")


def test_a_file_that_was_replaced_is_not_selected_from(plain: Dataset) -> None:
    write_plain(Path(plain.url), {"a.parquet": pa.table({"id": range(7), "price": [1.0] * 7})})
    with pytest.raises(ChecksumMismatch, match=r"a\.parquet: "):
        select(plain, pc.field("price") > 0)


def test_a_changed_footer_is_found_before_arrow_parses_it(
    tmp_path: Path, change_bytes: Callable[[Path, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = publish_dataset(tmp_path / "published", splits={"train": make_rows(40)})
    for path in dataset.row_groups.files:
        change_bytes(Path(dataset.url) / path, -30)
    monkeypatch.setattr(group_values.ds, "ParquetFileFormat", lambda **_: pytest.fail("Arrow was asked"))
    with pytest.raises(DatasetInvalid, match=r"part-\S+\.parquet"):
        list(group_values.read_values(dataset, range(len(dataset.row_groups)), {"id": pc.field("id")}, lambda _, table: table))


def test_a_file_that_was_truncated_is_named(plain: Dataset) -> None:
    place = Path(plain.url) / "a.parquet"
    place.write_bytes(place.read_bytes()[:50])
    with pytest.raises(DatasetInvalid, match=r"a\.parquet row group \d: cannot be read, or the predicate .* fails on its rows"):
        select(plain, pc.field("price") > 0)


def test_rows_of_any_row_groups_that_are_left_are_found_in_their_own(tmp_path: Path) -> None:
    """pyarrow reads the row groups of a fragment in the order of a set of their numbers: 8 before 2."""
    values = np.arange(1000) // 7
    dataset = Dataset.open(write_plain(tmp_path, {"a.parquet": pa.table({"x": values, "y": range(1000)})}, row_group_size=7))
    numbers = np.random.default_rng(0)
    for size in (1, 2, 3, 20, 70, 142):
        groups = numbers.choice(143, size, replace=False).tolist()
        predicate = pc.field("x").isin(groups) & (pc.field("y") >= 3) & pc.field("y").isin(range(0, 1000, 3))
        assert rows_of(dataset, predicate) == brute(dataset, predicate)


def test_extremes_that_are_cut_to_microseconds_rule_nothing_out(tmp_path: Path) -> None:
    rows = pa.table({"t": pa.array([1, 2, 3, 700, 1500, 1700], pa.time64("ns"))})
    dataset = Dataset.open(write_plain(tmp_path, {"a.parquet": rows}))
    assert select(dataset, pc.field("t") == pa.scalar(1700, pa.time64("ns"))).total == 1


def test_a_predicate_that_selects_every_row_is_no_other_selection(plain: Dataset) -> None:
    assert select(plain, pc.field("id") >= 0).digest == select(plain, None).digest


def test_plain_parquet_is_not_kept_in_a_directory_since_its_fingerprint_does_not_tell_bytes(
    plain: Dataset, tmp_path: Path
) -> None:
    select(plain, pc.field("id") > 3, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_directory_that_cannot_be_written_to_is_said_and_nothing_more(tiny: Dataset) -> None:
    with pytest.warns(UserWarning, match="the selection cannot be kept at /proc/nothere"):
        assert select(tiny, pc.field("id") > 3, cache="/proc/nothere").total > 0


def test_a_predicate_without_names_is_refused(plain: Dataset) -> None:
    with pytest.raises(ValueError, match="must name its fields"):
        select(plain, pc.field(0) > 3)
