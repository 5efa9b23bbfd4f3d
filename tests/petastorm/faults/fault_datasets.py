"""Small datasets in tmp_path, plain Parquet or Petastorm's, written without Spark."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUPS_KEY = b"dataset-toolkit.num_row_groups_per_file.v1"
SCHEMA_KEY = b"dataset-toolkit.unischema.v1"


def plain_dataset(folder: Path, *, row_groups: int = 4, rows: int = 100, **columns: Any) -> str:
    """Write ids 0, 1, … (and columns made of them) in one file; return its URL."""
    folder.mkdir()
    ids = np.arange(row_groups * rows)
    table = pa.table({"id": ids, **{name: make(ids) for name, make in columns.items()}})
    pq.write_table(table, folder / "part.parquet", row_group_size=rows)
    return f"file://{folder}"


def petastorm_dataset(folder: Path, tables: list[pa.Table], *, pickled_schema: bytes | None = None, **nullable: Any) -> str:
    """Write a file for each table, and the metadata of a Unischema with the field `id` and nullable ones; return the URL."""
    folder.mkdir()
    counts = {}
    for number, table in enumerate(tables):
        path = folder / f"part-{number}.parquet"
        with pq.ParquetWriter(path, table.schema) as writer:
            writer.write_table(table)
        counts[path.name] = pq.read_metadata(path).num_row_groups
    metadata = {SCHEMA_KEY: pickled_schema or pickle.dumps(_schema(nullable)), ROW_GROUPS_KEY: json.dumps(counts).encode()}
    pq.write_metadata(tables[0].schema.with_metadata(metadata), folder / "_common_metadata")
    return f"file://{folder}"


def _schema(nullable: dict[str, Any]) -> Any:
    from petastorm.codecs import ScalarCodec
    from petastorm.unischema import Unischema, UnischemaField
    from pyspark.sql.types import LongType

    fields = [UnischemaField(name, dtype, (), None, True) for name, dtype in nullable.items()]
    return Unischema("Ids", [UnischemaField("id", np.int64, (), ScalarCodec(LongType()), False), *fields])


def ids_of(reader: Any) -> list[int]:
    """Return the ids that a batch reader gives, in its order."""
    return [int(one) for batch in reader for one in batch.id]
