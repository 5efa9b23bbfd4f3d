"""Values of plain Parquet arrive as they are, whatever the files call their types."""

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from tiny import write_plain

from bigdata_ml.dataset import Dataset, adopt, first_rows, validate
from bigdata_ml.errors import DecodeFailed, SchemaMismatch
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import Mixture, ReadOptions, Sequence, open_reader
from bigdata_ml.schema import NullPolicy

BIG = 2**53 + 1
BAD_TEXT = pa.Array.from_buffers(pa.string(), 3, pa.array([b"fine", b"R\xc9UNION", b"fine too"]).buffers())


def write(place: Path, *columns: Any, **options: Any) -> Path:
    place.mkdir(exist_ok=True)
    for number, column in enumerate(columns):
        pq.write_table(pa.table({"x": column}), place / f"{number}.parquet", **options)
    return place


def batch_of(dataset: Dataset, **read: Any) -> dict[str, Any]:
    return next(iter(make_loader(dataset, ReadOptions(shuffle=False, **read), batch_size=dataset.rows)))


def selected(dataset: Dataset, predicate: pc.Expression) -> list[Any]:
    reader = open_reader(dataset, ReadOptions(shuffle=False, predicate=predicate), global_batch_size=1)
    return [value for batch in reader for value in batch.column("x").to_pylist()]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array([BIG, None]), [BIG, 0]),
        (pa.array([2**64 - 1, None], pa.uint64()), [2**64 - 1, 0]),
        (pa.array([True, None]), [True, False]),
        (pa.array([1, None], pa.date32()), [1, 0]),
        (pa.array([1, None], pa.timestamp("ns")), [1, 0]),
        (pa.array([1, None], pa.duration("ms")), [1, 0]),
    ],
    ids=str,
)
def test_a_column_has_one_dtype_whether_or_not_a_file_holds_a_null(tmp_path: Path, column: pa.Array, values: list[Any]) -> None:
    nulls = batch_of(Dataset.open(write(tmp_path / "nulls", column)))
    none = batch_of(Dataset.open(write(tmp_path / "none", column[:1])))
    assert nulls["x"].dtype == none["x"].dtype
    assert nulls["x"].tolist() == values
    assert (nulls["x_valid"].tolist(), "x_valid" in none) == ([True, False], False)


def test_a_footer_without_null_counts_gives_a_mask_and_no_floats(tmp_path: Path) -> None:
    batch = batch_of(Dataset.open(write(tmp_path, pa.array([BIG]), write_statistics=False)))
    assert (batch["x"].dtype, batch["x"].tolist(), batch["x_valid"].tolist()) == (torch.int64, [BIG], [True])


def test_a_required_column_has_no_nulls_whatever_its_footer_says(tmp_path: Path) -> None:
    table = pa.table([pa.array([BIG])], schema=pa.schema([pa.field("x", pa.int64(), nullable=False)]))
    pq.write_table(table, tmp_path / "a.parquet", write_statistics=False)
    assert Dataset.open(tmp_path).schema["x"].null is NullPolicy.REFUSE


def test_int96_holds_every_instant_from_year_1_to_9999_in_every_reader(tmp_path: Path) -> None:
    times = [datetime.datetime(1, 1, 1), datetime.datetime(2024, 5, 1, 1, 2, 3, 4), datetime.datetime(9999, 12, 31, 23, 59, 59)]
    write(tmp_path, pa.array(times, pa.timestamp("us")), use_deprecated_int96_timestamps=True)
    dataset = Dataset.open(tmp_path)
    micros = [(time - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1) for time in times]
    assert (dataset.schema["x"].type, batch_of(dataset)["x"].tolist()) == (pa.timestamp("us"), micros)
    assert selected(dataset, pc.field("x") > times[1]) == times[2:]
    assert [row["x"] for row in first_rows(dataset, 3)] == times
    adopt(str(tmp_path))
    assert batch_of(Dataset.open(tmp_path))["x"].tolist() == micros
    assert validate(str(tmp_path)) == []


def test_decimals_are_the_nearest_doubles_or_exact(tmp_path: Path) -> None:
    values = [Decimal("0.3333"), Decimal("12345678901234567890.1234"), None]
    dataset = Dataset.open(write(tmp_path, pa.array(values, pa.decimal128(38, 4))))
    assert batch_of(dataset)["x"].tolist()[:2] == [0.3333, float(values[1] or 0)]
    assert batch_of(dataset, exact_decimals=True)["x"] == values


@pytest.mark.parametrize(
    ("columns", "kind", "values"),
    [
        ((pa.array(["a"]), pa.array(["b"], pa.large_string())), pa.large_string(), ["a", "b"]),
        ((pa.array(["a"]).dictionary_encode(), pa.array(["b"])), pa.string(), ["a", "b"]),
        ((pa.array(["a"], pa.string_view()), pa.array(["b"], pa.json_())), pa.string(), ["a", "b"]),
        ((pa.array([1], pa.int32()), pa.array([2**40])), pa.int64(), [1, 2**40]),
        ((pa.array([1]), pa.array([0.5])), pa.float64(), [1, 0.5]),
        ((pa.array([1], pa.timestamp("us")), pa.array([2], pa.timestamp("ns"))), pa.timestamp("ns"), [1000, 2]),
        ((pa.nulls(1), pa.array(["b"])), pa.string(), [None, "b"]),
        ((pa.array([b"0" * 16], pa.uuid()), pa.array([b"1" * 16], pa.binary(16))), pa.binary(16), [b"0" * 16, b"1" * 16]),
        ((pa.array([Decimal("1.5")]), pa.array([Decimal("1.25")])), pa.decimal128(3, 2), [1.5, 1.25]),
    ],
    ids=lambda value: str(value) if isinstance(value, pa.DataType) else "",
)
def test_files_of_one_column_in_several_types_open_and_are_read(
    tmp_path: Path, columns: tuple[Any, ...], kind: pa.DataType, values: list[Any]
) -> None:
    dataset = Dataset.open(write(tmp_path, *columns))
    assert dataset.schema["x"].type == kind
    assert list(batch_of(dataset)["x"]) == values
    stored = [row["x"] for row in first_rows(dataset, 2)]
    adopt(str(tmp_path))
    adopted = Dataset.open(tmp_path)
    assert (list(batch_of(adopted)["x"]), [row["x"] for row in first_rows(adopted, 2)]) == (values, stored)
    assert validate(str(tmp_path)) == []


def test_a_whole_number_that_no_double_is_equal_to_is_refused_by_row(tmp_path: Path) -> None:
    dataset = Dataset.open(write(tmp_path, pa.array([1, BIG]), pa.array([0.5])))
    with pytest.raises(SchemaMismatch, match=r"0\.parquet row group 0 row 1 field 'x'"):
        batch_of(dataset)


def test_a_column_that_some_files_lack_is_null_there_by_choice(tmp_path: Path) -> None:
    files = {"a.parquet": pa.table({"x": [1]}), "b.parquet": pa.table({"y": ["b"], "x": [2]}), "c.parquet": pa.table({"x": [3]})}
    place = write_plain(tmp_path, files)
    with pytest.raises(SchemaMismatch, match="missing_as_null"):
        Dataset.open(place)
    dataset = Dataset.open(place, missing_as_null=True)
    assert (batch_of(dataset)["y"], batch_of(dataset)["y_valid"].tolist()) == ([None, "b", None], [False, True, False])
    adopt(str(place), missing_as_null=True)
    assert (batch_of(Dataset.open(place))["y"], validate(str(place))) == ([None, "b", None], [])
    assert first_rows(Dataset.open(place), 2) == [{"x": 1, "y": None}, {"x": 2, "y": "b"}]


@pytest.mark.parametrize(
    "column",
    [
        BAD_TEXT,
        BAD_TEXT.cast(pa.large_string()),
        pa.ListArray.from_arrays([0, 1, 2, 3], BAD_TEXT),
    ],
    ids=lambda column: str(column.type),
)
def test_text_that_is_no_utf8_is_named_by_every_reader_and_skipped_alone(tmp_path: Path, column: pa.Array) -> None:
    place = write(tmp_path, column)
    dataset, named = Dataset.open(place), r"0\.parquet row group 0 row 1 field 'x'"
    reads = (
        lambda: batch_of(dataset),
        lambda: first_rows(dataset, 3),
        lambda: adopt(str(place)),
        lambda: selected(dataset, pc.is_valid(pc.field("x"))),
    )
    for read in reads:
        with pytest.raises(DecodeFailed, match=named):
            read()
    batch = batch_of(dataset, on_error="skip", max_skipped=1.0)
    assert (batch["valid"].tolist(), [len(value) for value in batch["x"]][1]) == ([True, False, True], 0)
    reader = open_reader(dataset, ReadOptions(shuffle=False, on_error="skip", max_skipped=1.0), global_batch_size=3)
    assert [rows.column("valid").to_pylist() for rows in reader] == [[True, False, True]]
    assert [(found.code, found.place.rpartition("/")[2]) for found in validate(str(place))] == [
        ("bad_text", "0.parquet row group 0 row 1 field 'x'")
    ]


def test_a_value_that_does_not_widen_is_found_by_its_row(tmp_path: Path) -> None:
    whole, half = pa.table({"x": pa.array([1, 2**62 + 1, 3])}), pa.table({"x": [0.5]})
    place = write_plain(tmp_path / "plain", {"0.parquet": whole, "1.parquet": half})
    with pytest.raises(SchemaMismatch, match=r"0\.parquet row group 0 row 1 field 'x': a value of type int64 is no double"):
        batch_of(Dataset.open(place))
    assert [(found.code, found.place.rpartition("/")[2]) for found in validate(str(place))] == [
        ("bad_value", "0.parquet row group 0 row 1 field 'x'")
    ]


@pytest.mark.parametrize("on_list", [False, True])
@pytest.mark.parametrize("engine", ["arrow", "petastorm"])
def test_a_value_that_does_not_widen_is_skipped_alone(
    tmp_path: Path, engine: Any, on_list: bool, caplog: pytest.LogCaptureFixture
) -> None:
    values = pa.array([1, 2**62 + 1, 3]), pa.array([0.5, None, 2.5])
    columns = [pa.array([[one] for one in column.to_pylist()], pa.list_(column.type)) for column in values] if on_list else values
    dataset = Dataset.open(write_plain(tmp_path, {f"{n}.parquet": pa.table({"x": one}) for n, one in enumerate(columns)}))
    reader = open_reader(
        dataset, ReadOptions(shuffle=False, on_error="skip", max_skipped=1.0, engine=engine), global_batch_size=6
    )
    (rows,) = reader
    kept = [value for value, valid in zip(rows["x"].to_pylist(), rows["valid"].to_pylist(), strict=True) if valid]
    assert kept == ([[1.0], [3.0], [0.5], [None], [2.5]] if on_list else [1.0, 3.0, 0.5, None, 2.5])
    assert rows["valid"].to_pylist().index(False) == 1
    assert [text for text in caplog.messages if "0.parquet row group 0 row 1 field 'x'" in text]
    if not on_list:
        batch = batch_of(dataset, on_error="skip", max_skipped=1.0, engine=engine)
        assert (batch["valid"].tolist(), batch["x"].tolist()[:3]) == ([True, False, True, True, True, True], [1.0, 0.0, 3.0])


def test_a_sequence_is_skipped_for_any_value_in_it_that_does_not_widen(tmp_path: Path) -> None:
    first, second = pa.table({"t": [0, 1, 2], "x": [1, 2, 3]}), pa.table({"t": [3, 4, 5], "x": [4, 2**62 + 1, 6]})
    third = pa.table({"t": [6, 7], "x": [0.5, 1.5]})
    dataset = Dataset.open(write_plain(tmp_path, {"0.parquet": first, "1.parquet": second, "2.parquet": third}))
    read = ReadOptions(shuffle=False, on_error="skip", max_skipped=1.0, sequence=Sequence(length=2, order="t"))
    batch = next(iter(make_loader(dataset, read, batch_size=7)))
    assert batch["valid"].tolist() == [True, True, True, False, False, True, True]
    assert batch["x"].tolist()[2:6] == [[3.0, 4.0], [0.0, 0.0], [0.0, 0.0], [6.0, 0.5]]


def test_a_mixture_skips_a_value_that_does_not_widen_alone(tmp_path: Path) -> None:
    good = Dataset.open(write_plain(tmp_path / "good", {"0.parquet": pa.table({"x": [10.0, 11.0, 12.0]})}))
    files = {"0.parquet": pa.table({"x": pa.array([1, 2**62 + 1])}), "1.parquet": pa.table({"x": [0.5]})}
    mixed = Mixture([(good, 1), (Dataset.open(write_plain(tmp_path / "bad", files)), 1)], stop="all")
    read = ReadOptions(shuffle=False, on_error="skip", max_skipped=1.0)
    batch = next(iter(make_loader(mixed, read, batch_size=6)))
    assert sorted(batch["x"][batch["valid"]].tolist()) == [0.5, 1.0, 10.0, 11.0, 12.0]
    assert batch["valid"].tolist().count(False) == 1


def test_the_first_rows_hold_times_that_python_has_not(tmp_path: Path) -> None:
    table = pa.table(
        {
            "day": pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32()),
            "at": pa.array([1, 2], pa.timestamp("ns")),
            "time": pa.array([1, 2], pa.time64("ns")),
            "far": pa.array([[2**62], []], pa.list_(pa.timestamp("us"))),
        }
    )
    first, second = first_rows(Dataset.open(write_plain(tmp_path, {"a.parquet": table})), 2)
    assert first == {"day": 2**31 - 1, "at": "1970-01-01 00:00:00.000000001", "time": "00:00:00.000000001", "far": [2**62]}
    assert second["day"] == datetime.date(1970, 1, 1)


@pytest.mark.parametrize("nested", [[{"a": 1}], [[{"a": 1}]]])
def test_a_type_that_no_field_holds_is_named_and_left_out_by_choice(tmp_path: Path, nested: list[Any]) -> None:
    place = write_plain(tmp_path, {"a.parquet": pa.table({"x": [1], "s": nested})})
    with pytest.raises(SchemaMismatch, match=r"a\.parquet: unsupported type of column 's'"):
        Dataset.open(place)
    with pytest.warns(UserWarning, match="'s'"):
        assert Dataset.open(place, leave_out_nested=True).schema.names == ("x",)


def test_a_type_that_arrow_does_not_know_is_named_and_the_file_is_not_called_broken(tmp_path: Path) -> None:
    frame = polars.DataFrame({"ok": [1], "x": polars.Series([1], dtype=polars.Int128)})
    frame.write_parquet(tmp_path / "a.parquet")
    with pytest.raises(SchemaMismatch, match=r"a\.parquet: unsupported type of column 'x' \(integers of 128 bits\)"):
        Dataset.open(tmp_path)
