"""A published dataset is plain Parquet: every engine reads it by directory or glob, and all agree."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from tiny import write_part

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.schema import Codec, Field, Schema
from bigdata_ml.storage import locate

SCALARS = ("id", "label", "weight", "city", "note", "split")


def by_pyarrow(url: str) -> pa.Table:
    return ds.dataset(url, partitioning="hive").to_table()


def by_pyarrow_table(url: str) -> pa.Table:
    return pq.read_table(url)


def by_duckdb(url: str) -> pa.Table:
    with duckdb.connect() as connection:
        return connection.sql(f"from read_parquet('{url}/**/*.parquet', hive_partitioning=true)").to_arrow_table()


def by_polars(url: str) -> pa.Table:
    return pl.read_parquet(f"{url}/**/*.parquet", hive_partitioning=True).to_arrow()


def by_fastparquet(url: str) -> pa.Table:
    return from_fastparquet(fastparquet.ParquetFile(url))


def by_fastparquet_files(url: str) -> pa.Table:
    return from_fastparquet(fastparquet.ParquetFile(sorted(map(str, Path(url).glob("**/*.parquet"))), root=url))


def from_fastparquet(file: fastparquet.ParquetFile) -> pa.Table:
    frame = file.to_pandas()
    return pa.table({name: frame[name].tolist() for name in frame})


def ours(url: str) -> pa.Table:
    dataset = Dataset.open(url)
    tables = []
    for name in dataset.splits:
        split = dataset.split(name)
        reader = open_reader(split, ReadOptions(shuffle=False), global_batch_size=split.rows)
        rows = pa.Table.from_batches(reader)
        tables.append(rows.append_column("split", pa.array([name] * rows.num_rows)))
    return pa.concat_tables(tables)


# fastparquet leaves closing its files to the garbage collector.
LEAVES_OPEN = pytest.mark.filterwarnings(
    "ignore:unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
ENGINES = [
    *(pytest.param(engine, id=engine.__name__) for engine in (by_pyarrow, by_pyarrow_table, by_duckdb, by_polars)),
    *(pytest.param(engine, id=engine.__name__, marks=LEAVES_OPEN) for engine in (by_fastparquet, by_fastparquet_files)),
]


def rows_of(table: pa.Table, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    columns = []
    for name in names:
        values = table[name].to_pylist()
        columns.append([None if isinstance(value, float) and value != value else value for value in values])
    return sorted(zip(*columns, strict=True))


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_reads_the_same_counts_and_values(tiny: Dataset, engine: Callable[[str], pa.Table]) -> None:
    assert rows_of(engine(tiny.url), SCALARS) == rows_of(ours(tiny.url), SCALARS)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_image_of_pixels_is_their_bytes(tiny: Dataset, engine: Callable[[str], pa.Table]) -> None:
    wanted = {row["id"]: bytes(row["image"]) for row in ours(tiny.url).select(["id", "image"]).to_pylist()}
    found = {row["id"]: row["image"] for row in engine(tiny.url).select(["id", "image"]).to_pylist()}
    assert found == wanted
    assert {len(pixels) for pixels in found.values()} == {64}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tensor_is_a_list_of_its_values(tmp_path: Path, engine: Callable[[str], pa.Table]) -> None:
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    fields = (
        Field(name="id", type=pa.int64()),
        Field(name="tensor", type=pa.fixed_shape_tensor(pa.float32(), (2, 3)), codec=Codec.TENSOR),
    )
    schema = Schema(fields)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
    write_part(
        locate(tmp_path), pa.table([[0, 1], tensors], schema=schema.to_arrow()), split=None, name="a.parquet", schema=schema
    )
    found = engine(str(tmp_path)).to_pylist()
    assert {row["id"]: list(row["tensor"]) for row in found} == {0: [*range(6)], 1: [*range(6, 12)]}


def test_the_metadata_directory_holds_no_file_that_a_glob_would_find(tiny: Dataset) -> None:
    found = sorted(str(path.relative_to(tiny.url)) for path in Path(tiny.url).rglob("*.parquet"))
    assert found == tiny.row_groups.files


def test_an_engine_that_filters_by_split_reads_that_split_only(tiny: Dataset) -> None:
    with duckdb.connect() as connection:
        counted = connection.sql(
            f"select split, count(*) from '{tiny.url}/**/*.parquet' group by split order by split"
        ).fetchall()
    assert counted == [("test", 13), ("train", 47), ("validation", 11)]
