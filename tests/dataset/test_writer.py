import gc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from tiny import FIELDS, make_rows, write_part

from bigdata_ml.dataset import Dataset, PartFile, PartWriter, WriteOptions
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema, from_stored
from bigdata_ml.storage import locate

NUMBERS = Schema((Field(name="x", type=pa.int64()),))


def write(root: Path, schema: Schema, rows: pa.Table, *, batch_rows: int = 1000, **options: Any) -> PartFile:
    with PartWriter(
        locate(root), split=None, name="a.parquet", schema=schema, options=WriteOptions(compression="none", **options)
    ) as writer:
        for batch in rows.cast(schema.to_arrow()).to_batches(max_chunksize=batch_rows):
            writer.write(batch)
        return writer.close()


def group_rows(part: PartFile) -> list[int]:
    return [record["rows"] for record in part.records]


def test_what_was_written_is_what_lies_there(tmp_path: Path) -> None:
    rows = make_rows(23)
    part = write_part(locate(tmp_path), rows, split="train", name="a.parquet")
    assert (part.path, part.rows, group_rows(part)) == ("split=train/a.parquet", 23, [5, 5, 5, 5, 3])
    assert part.bytes == (tmp_path / part.path).stat().st_size
    assert from_stored(pq.read_table(tmp_path / part.path, partitioning=None), FIELDS, part.path).equals(rows)


def test_checksums_are_those_of_the_bytes_in_the_file(tmp_path: Path) -> None:
    part = write_part(locate(tmp_path), make_rows(23), split=None, name="a.parquet")
    data, outside, position = (tmp_path / "a.parquet").read_bytes(), b"", 0
    for record in part.records:
        begin, end = record["offset"], record["offset"] + record["length"]
        assert xxhash.xxh3_128_hexdigest(data[begin:end]) == record["checksum"]
        outside, position = outside + data[position:begin], end
    outside += data[position:]
    assert {record["file_checksum"] for record in part.records} == {xxhash.xxh3_128_hexdigest(outside)}


def test_row_groups_are_cut_by_bytes(tmp_path: Path) -> None:
    part = write(tmp_path, NUMBERS, pa.table({"x": range(1000)}), row_group_bytes=1024)
    assert group_rows(part) == [128] * 7 + [104]


def test_rows_of_very_different_sizes_make_row_groups_of_steered_bytes(tmp_path: Path) -> None:
    sizes = np.random.default_rng(0).choice([1, 10, 3000], 300).tolist()
    schema = Schema((Field(name="x", type=pa.binary()),))
    part = write(tmp_path, schema, pa.table({"x": [bytes(size) for size in sizes]}), row_group_bytes=8192)
    ends = np.cumsum(group_rows(part))
    groups = [sum(sizes[end - rows : end]) for end, rows in zip(ends, group_rows(part), strict=True)]
    assert all(8192 - 4 * rows <= size <= 8192 + 3000 for size, rows in zip(groups[:-1], group_rows(part), strict=False))


def test_row_groups_do_not_depend_on_how_rows_come_in_batches(tmp_path: Path) -> None:
    rows = pa.table({"x": ["a" * (one % 50) for one in range(2000)]})
    schema = Schema((Field(name="x", type=pa.string()),))
    cuts = [group_rows(write(tmp_path, schema, rows, batch_rows=size, row_group_bytes=2048)) for size in (1, 7, 2000)]
    assert cuts[0] == cuts[1] == cuts[2]


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.list_(pa.string(), 2), pa.large_binary()], ids=str)
def test_ragged_rows_count_by_themselves_not_by_the_table_they_are_sliced_from(tmp_path: Path, kind: pa.DataType) -> None:
    value = b"x" * 16 if kind == pa.large_binary() else [1, 2] if kind == pa.list_(pa.int64()) else ["eightabc", "12345678"]
    schema = Schema((Field(name="x", type=kind, codec=Codec.of(kind)),))
    part = write(tmp_path, schema, pa.table({"x": pa.array([value] * 1000, kind)}), batch_rows=10, row_group_bytes=4096)
    assert 100 < part.records[0]["rows"] < 300


@pytest.mark.parametrize("kind", [pa.null(), pa.bool_(), pa.decimal128(5, 2), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_columns_of_every_width_can_be_written(tmp_path: Path, kind: pa.DataType) -> None:
    schema = Schema((Field(name="x", type=kind, null=NullPolicy.MASK),))
    part = write(tmp_path, schema, pa.table({"x": pa.nulls(9, kind)}))
    assert part.rows == 9
    assert pq.read_table(tmp_path / "a.parquet")["x"].null_count == 9


def test_the_compression_asked_for_is_that_of_every_column_but_encoded_images(tmp_path: Path) -> None:
    schema = Schema((*FIELDS, Field(name="tags", type=pa.list_(pa.string()), codec=Codec.LIST),
                     Field(name="png", type=pa.binary(), codec=Codec.IMAGE, channels=3)))  # fmt: skip
    rows = make_rows(4).append_column("tags", pa.array([["a"]] * 4)).append_column("png", pa.array([b"png"] * 4))
    write_part(locate(tmp_path), rows.cast(schema.to_arrow()), split=None, name="a.parquet", schema=schema)
    group = pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    found = {group.column(index).path_in_schema: group.column(index).compression for index in range(group.num_columns)}
    assert {name for name, compression in found.items() if compression != "ZSTD"} == {"png"}


def write_and_stop(root: Path) -> None:
    with PartWriter(locate(root), split=None, name="a.parquet", schema=NUMBERS, options=WriteOptions(row_group_rows=2)) as writer:
        writer.write(pa.record_batch([[1, 2, 3]], schema=NUMBERS.to_arrow()))
        raise KeyError("stop")


def test_a_body_that_raises_leaves_no_file_and_no_noise(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="stop"):
        write_and_stop(tmp_path)
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_type_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(pa.ArrowInvalid),
        PartWriter(locate(tmp_path), split=None, name="a.parquet", schema=NUMBERS, options=WriteOptions()) as writer,
    ):
        writer.write(pa.record_batch({"x": ["one"]}))
    assert list(tmp_path.iterdir()) == []


def test_a_null_where_none_is_allowed_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="null"),
        PartWriter(locate(tmp_path), split=None, name="a.parquet", schema=NUMBERS, options=WriteOptions()) as writer,
    ):
        writer.write(pa.record_batch({"x": pa.array([1, None])}))


@pytest.mark.parametrize("settings", [{"row_group_bytes": 1023}, {"row_group_rows": 0}])
def test_row_groups_of_nothing_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1024 bytes and 1 row"):
        WriteOptions(**settings)


def test_the_table_of_a_dataset_holds_what_the_writers_returned(tiny: Dataset) -> None:
    table = tiny.row_groups.table
    assert table["checksum"].null_count == table["file_checksum"].null_count == 0
    assert table["split"].to_pylist() == sorted(table["split"].to_pylist())
    assert set(table["rows"].to_pylist()) <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.date64()], ids=str)
def test_a_type_that_parquet_would_not_give_back_is_refused_before_anything_is_written(tmp_path: Path, kind: pa.DataType) -> None:
    schema = Schema((Field(name="x", type=kind),))
    with pytest.raises(ValueError, match="cannot be held"):
        PartWriter(locate(tmp_path), split=None, name="a.parquet", schema=schema, options=WriteOptions())
    assert list(tmp_path.iterdir()) == []
