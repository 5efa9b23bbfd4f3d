from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import publish_columns

from bigdata_ml.dataset import Dataset, RowGroups
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema

KINDS = {
    pa.int8(): [-128, 0, 127],
    pa.uint32(): [0, 1, 2**32 - 1],
    pa.uint64(): [0, 1, 2**64 - 1],
    pa.float32(): [-1.5, 0.0, 3.0],
    pa.float64(): [-1.5, 0.0, 3.0],
    pa.bool_(): [False, True],
    pa.string(): ["", "a", "ä"],
    pa.large_string(): ["", "a", "ä"],
    pa.date32(): [date(1969, 1, 1), date(2025, 1, 1)],
    pa.timestamp("us", tz="UTC"): [datetime(1969, 1, 1, tzinfo=timezone.utc), datetime(2025, 1, 1, tzinfo=timezone.utc)],
    pa.duration("s"): [-1, 0, 60],
    pa.time64("us"): [0, 60],
    pa.decimal128(6, 2): [Decimal("-1.25"), Decimal("7.00")],
}


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_extremes_in_the_table_are_those_of_the_data(tmp_path: Path, kind: pa.DataType) -> None:
    field, column = Field(name="x", type=kind, null=NullPolicy.MASK), pa.array([*KINDS[kind], None], kind)
    table = publish_columns(tmp_path / "d", Schema((field,)), {"x": column}).row_groups.table
    assert table["min.x"][0] == column[0]
    assert table["max.x"][0] == column[len(column) - 2]


@pytest.mark.parametrize(
    "kind",
    [pa.float16(), pa.binary(), pa.large_binary(), pa.binary(4), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_types_without_extremes_are_published_and_read_all_the_same(tmp_path: Path, kind: pa.DataType) -> None:
    column = pa.array(
        [b"abcd", b"efgh"] if "binary" in str(kind) else ["a", "b"] if "dict" in str(kind) else np.float16([1, 2]), kind
    )
    dataset = publish_columns(tmp_path / "d", Schema((Field(name="x", type=kind),)), {"x": column})
    (batch,) = open_reader(dataset, ReadOptions(shuffle=False), global_batch_size=2)
    assert batch["x"].to_pylist() == column.to_pylist()


def test_the_extremes_of_every_row_group_hold_for_its_rows(tiny: Dataset) -> None:
    for group in tiny.row_groups.table.to_pylist():
        # Splits hold consecutive ids, files too, row groups too.
        assert group["max.id"] - group["min.id"] == group["rows"] - 1


def test_the_table_survives_being_written_and_read(tiny: Dataset) -> None:
    assert RowGroups.from_bytes(tiny.row_groups.to_bytes(), url="here").table.equals(tiny.row_groups.table)


@pytest.mark.parametrize("place", range(0, 2500, 100))
def test_a_damaged_table_is_read_or_refused_by_name(tiny: Dataset, place: int) -> None:
    data = bytearray(tiny.row_groups.to_bytes())
    data[-1 - place % len(data)] ^= 0xFF
    outcome: Any = None
    try:
        outcome = RowGroups.from_bytes(bytes(data), url="here")
    except MetadataUnreadable as error:
        outcome = str(error)
    assert isinstance(outcome, RowGroups) or outcome.startswith("here: ")


def test_a_table_that_lacks_columns_is_refused(tiny: Dataset) -> None:
    short = RowGroups(tiny.row_groups.table.drop_columns(["rows", "checksum"]))
    with pytest.raises(MetadataUnreadable, match="lacks the columns rows, checksum"):
        RowGroups.from_bytes(short.to_bytes(), url="here")


def test_the_table_says_what_each_group_takes_in_memory(tmp_path: Path) -> None:
    text = Schema((Field(name="x", type=pa.string()), Field(name="y", type=pa.list_(pa.int16()), codec=Codec.LIST)))
    columns = {"x": ["a long text that is there again and again"] * 500, "y": [[1, 2, 3]] * 500}
    dataset = publish_columns(tmp_path / "d", text, columns)
    sizes = [batch.nbytes for batch in open_reader(dataset, ReadOptions(shuffle=False), global_batch_size=5)]
    assert sum(dataset.row_groups.table["memory_bytes"].to_pylist()) == pytest.approx(sum(sizes), rel=0.05)


def test_a_table_without_bytes_in_memory_opens_and_keeps_its_fingerprint(tiny: Dataset) -> None:
    table = tiny.row_groups.table
    older = RowGroups(table.drop_columns("memory_bytes"))
    opened = RowGroups.from_bytes(older.to_bytes(), url="u")
    assert opened.table["memory_bytes"].null_count == len(opened)
    assert opened.layout_fingerprint() == tiny.row_groups.layout_fingerprint()


def test_footers_say_the_bytes_of_numbers_and_plain_text(tmp_path: Path) -> None:
    rows = pa.table({"n": pa.array([1, None] * 50, pa.int8()), "t": ["some text"] * 100, "l": [[1.5, 2.5]] * 100})
    pq.write_table(rows, tmp_path / "x.parquet", use_dictionary=False)
    (found,) = Dataset.open(tmp_path).row_groups.table["memory_bytes"].to_pylist()
    assert rows.nbytes <= found <= rows.nbytes * 1.5
