"""Makes tiny real datasets: published ones with every kind of field, and plain Parquet directories."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.dataset import (
    QUARANTINE_SCHEMA,
    Cleaning,
    Contract,
    Dataset,
    PartFile,
    PartWriter,
    QuarantineWriter,
    Staging,
    Statistics,
    Vocabulary,
    WriteOptions,
    publish,
    stage,
)
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema
from bigdata_ml.storage import Location

CLASSES = ("ant", "bee", "cow")
FIELDS = Schema(
    (
        Field(name="id", type=pa.int64()),
        Field(name="image", type=pa.fixed_shape_tensor(pa.uint8(), (8, 8, 1)), codec=Codec.RAW_IMAGE),
        Field(name="label", type=pa.string(), vocabulary=True),
        Field(name="weight", type=pa.float64(), null=NullPolicy.NAN),
        Field(name="city", type=pa.string(), null=NullPolicy.UNKNOWN, vocabulary=True),
        Field(name="note", type=pa.string(), null=NullPolicy.MASK),
    )
)
SPLITS = {"train": 47, "validation": 11, "test": 13}


def make_rows(count: int, *, first: int = 0) -> pa.Table:
    """Rows first … first + count − 1 of FIELDS; the label can be told from the image, weight and note have nulls."""
    if count == 0:
        return make_rows(1).slice(0, 0)
    ids = np.arange(first, first + count)
    images = np.random.default_rng(first).integers(0, 80, (count, 8, 8, 1), dtype=np.uint8)
    images += (ids % 3 * 80).astype(np.uint8)[:, None, None, None]
    return pa.table(
        [
            ids,
            pa.FixedShapeTensorArray.from_numpy_ndarray(images),
            [CLASSES[one % 3] for one in ids],
            [None if one % 5 == 0 else one / 4 for one in ids],
            [(None, "Rome", "Oslo", "Nowhere")[one % 4] for one in ids],
            [None if one % 7 == 3 else f"row {one}" for one in ids],
        ],
        schema=FIELDS.to_arrow(),
    )


def write_part(
    root: Location, rows: pa.Table, *, split: str | None, name: str, schema: Schema = FIELDS, options: WriteOptions | None = None
) -> PartFile:
    with PartWriter(root, split=split, name=name, schema=schema, options=options or WriteOptions(row_group_rows=5)) as writer:
        for batch in rows.to_batches(max_chunksize=7):
            writer.write(batch)
        return writer.close()


def contract_of(kept: int, *, refused: int = 0, **changes: Any) -> Contract:
    settings: dict[str, Any] = {
        "schema": FIELDS,
        "label": "label",
        "vocabularies": {
            "label": Vocabulary(values=CLASSES, counts=(1, 1, 1), unknown=False),
            "city": Vocabulary(values=("Rome", "Oslo"), counts=(1, 1), unknown=True, rare=1),
        },
        "statistics": {
            "image": Statistics(count=64, nulls=0, mean=(120.0,), std=(70.0,), least=0, greatest=239),
            "weight": Statistics(count=9, nulls=1, mean=(6.0,), std=(3.0,), least=0.25, greatest=11.5),
        },
        "split_rule": {"seed": 0},
        "cleaning": Cleaning(found=kept + refused, kept=kept, refused={"undecodable": refused}),
        "provenance": {"source": "/in"},
    }
    return Contract(**{**settings, **changes})


def write_quarantine(staging: Staging) -> str:
    quarantine = QuarantineWriter(staging.root, f"a{staging.suffix}.arrow")
    row = {"source": "/in/bad.png", "reason": "undecodable", "detail": "no image", "row": None, "thumbnail": None}
    quarantine.write(pa.RecordBatch.from_pylist([row], schema=QUARANTINE_SCHEMA))
    quarantine.close()
    return quarantine.path


def publish_dataset(
    url: str | Path, *, splits: Mapping[str, pa.Table] | None = None, files: int = 2, options: WriteOptions | None = None
) -> Dataset:
    """Publish rows of FIELDS by split (by default SPLITS), each split in so many files with ragged row groups."""
    if splits is None:
        firsts = np.cumsum([0, *SPLITS.values()]).tolist()
        splits = {name: make_rows(count, first=first) for (name, count), first in zip(SPLITS.items(), firsts, strict=False)}
    with stage(str(url)) as staging:
        parts = []
        for split, rows in splits.items():
            borders = np.linspace(0, rows.num_rows, files + 1).astype(int).tolist()
            for number, (begin, end) in enumerate(pairwise(borders)):
                name = f"part-{number}{staging.suffix}.parquet"
                piece = rows.slice(begin, end - begin)
                parts.append(write_part(staging.root, piece, split=split, name=name, options=options))
        kept = sum(rows.num_rows for rows in splits.values())
        publish(staging, parts, contract_of(kept, refused=1), quarantine=[write_quarantine(staging)], pages={})
    return Dataset.open(str(url))


def replace_dataset(url: str | Path, rows: int, *, first: int = 1000) -> Dataset:
    """Publish a version of so many rows of FIELDS with the ids first …, in one file of the split train."""
    with stage(str(url), replace=True) as staging:
        part = write_part(staging.root, make_rows(rows, first=first), split="train", name=f"part-0{staging.suffix}.parquet")
        pages = {"_bigdata_ml/quality.html": f"{rows} rows".encode()}
        publish(staging, [part], contract_of(rows), quarantine=[], pages=pages)
    return Dataset.open(url)


def publish_columns(url: str | Path, schema: Schema, columns: Mapping[str, Any], **contract: Any) -> Dataset:
    """Publish one file without splits, of any schema."""
    rows = pa.table([columns[name] for name in schema.names], schema=schema.to_arrow())
    settings = {"schema": schema, "label": None, "vocabularies": {}, "statistics": {}, "split_rule": None}
    with stage(str(url)) as staging:
        part = write_part(staging.root, rows, split=None, name="part-0.parquet", schema=schema)
        publish(staging, [part], contract_of(rows.num_rows, **{**settings, **contract}), quarantine=[], pages={})
    return Dataset.open(str(url))


def write_plain(root: Path, files: Mapping[str, pa.Table], *, row_group_size: int = 4) -> Path:
    """Write a directory of plain Parquet files by pyarrow."""
    for path, rows in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, root / path, row_group_size=row_group_size)
    return root
