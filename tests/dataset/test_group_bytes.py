from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tiny import write_plain

from bigdata_ml.dataset import Dataset, adopt, first_rows, validate
from bigdata_ml.dataset.parquet.group_bytes import threads_within
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.reader.select.selection import select

LIMIT = 1 << 20


def read(place: Path, limit: int) -> int:
    dataset = Dataset.open(place, group_bytes=limit)
    return sum(
        batch.num_rows for batch in open_reader(dataset, ReadOptions(remainder="exact", shuffle=False), global_batch_size=100)
    )


BOMBS = {
    "rows": pa.table({"x": pa.array(np.zeros(200_000, np.int64))}),
    "nulls": pa.table({"x": pa.nulls(200_000, pa.int64())}),
    "text": pa.table({"x": ["a" * 100_000] * 100}),
    "lists": pa.table({"x": [[0] * 200_000]}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_of_many_values_is_refused_before_it_is_read(tmp_path: Path, name: str) -> None:
    pq.write_table(BOMBS[name], tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 200_000
    before = pa.total_allocated_bytes()
    for command in (lambda: read(tmp_path, LIMIT), lambda: adopt(tmp_path, group_bytes=LIMIT)):
        with pytest.raises(DatasetInvalid, match=r"a.parquet row group 0: .*above the limit of 1048576.*group_bytes="):
            command()
    assert pa.total_allocated_bytes() - before < 2 * LIMIT
    (finding,) = validate(tmp_path, group_bytes=LIMIT)
    assert finding.code == "too_large"
    assert len(first_rows(Dataset.open(tmp_path), 1)) == 1


def test_text_that_repeats_is_read_whole_where_it_fits(tmp_path: Path) -> None:
    rows = pa.table({"x": [None, "a" * 5000, *(["b"] * 3000)], "y": [[str(one % 3)] for one in range(3002)]})
    pq.write_table(rows, tmp_path / "a.parquet")
    assert read(tmp_path, LIMIT) == read(tmp_path, 1 << 31) >= 3002
    assert validate(tmp_path, group_bytes=LIMIT) == []


def test_large_row_groups_are_read_by_fewer_threads(tmp_path: Path) -> None:
    files = {"a.parquet": pa.table({"id": pa.array(range(1000), pa.int64())})}
    groups = Dataset.open(write_plain(tmp_path / "numbers", files, row_group_size=500)).row_groups
    # The largest takes 4,000 bytes.
    limits = (100_000, 32_000, 31_999, 8_000, 7_999, 100)
    assert [threads_within(groups, 8, limit=limit) for limit in limits] == [8, 8, 7, 2, 1, 1]
    unknown = groups.with_column("memory_bytes", [None, None])
    assert threads_within(unknown, 8, limit=100) == 8


def test_a_predicate_refuses_a_row_group_that_its_columns_make_too_large(tmp_path: Path) -> None:
    table = pa.table({"x": np.zeros(200_000, np.int64), "y": np.zeros(200_000, np.int8)})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    dataset = Dataset.open(tmp_path, group_bytes=LIMIT)
    assert select(dataset, pc.field("y") == 0).total == 200_000
    with pytest.raises(DatasetInvalid, match=r"a.parquet row group 0: .*1600000 bytes or more.*above the limit of 1048576"):
        select(dataset, pc.bit_wise_and(pc.field("x"), 1) == 0)
