"""Schemas under Petastorm's names beside Petastorm's own: matched, filled, transformed, read off plain Parquet."""

import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigdata_ml.compat import petastorm as ours


def said(schema: Any) -> list[tuple[Any, ...]]:
    """A schema's fields without their codecs."""
    return [(one.name, one.numpy_dtype, tuple(one.shape), one.nullable) for one in schema.fields.values()]


def schemas(petastorm: Any) -> list[Any]:
    """The same schema as ours and as Petastorm's."""
    from petastorm import unischema as theirs

    fields = [("id", np.int64, (), False), ("idle", np.str_, (), True), ("x", np.float32, (2,), True), ("y", np.uint8, (), False)]
    return [
        module.Unischema("Four", [module.UnischemaField(name, dtype, shape, None, null) for name, dtype, shape, null in fields])
        for module in (ours, theirs)
    ]


@pytest.mark.parametrize("patterns", [["id.*"], ["id"], ["x", "."], ["none"], []], ids=str)
def test_patterns_match_petastorms_fields(petastorm: Any, patterns: list[str]) -> None:
    from petastorm.unischema import match_unischema_fields as theirs

    mine, real = schemas(petastorm)
    found = [field.name for field in ours.match_unischema_fields(mine, patterns)]
    assert sorted(found) == sorted(field.name for field in theirs(real, patterns))
    assert found == [name for name in mine.fields if name in found]


def test_missing_fields_become_petastorms_nulls(petastorm: Any) -> None:
    from petastorm.unischema import insert_explicit_nulls as theirs

    rows: list[dict[str, Any]] = [{"id": 1, "y": 2, "x": None}, {"id": 1, "y": 2, "more": 3}]
    for row in rows:
        mine, real = dict(row), dict(row)
        ours.insert_explicit_nulls(schemas(petastorm)[0], mine)
        theirs(schemas(petastorm)[1], real)
        assert mine == real == {"x": None, "idle": None, **row}
    for schema, insert in zip(schemas(petastorm), (ours.insert_explicit_nulls, theirs), strict=True):
        with pytest.raises(ValueError, match="y"):
            insert(schema, {"id": 1})


SPECS: list[dict[str, Any]] = [
    {},
    {"edit_fields": [("x", np.float64, (3,), False), ("new", np.int8, (), True)]},
    {"removed_fields": ["idle", "y"]},
    {"removed_fields": ["gone"]},
    {"selected_fields": ["y", "id"]},
    {"selected_fields": ["new", "gone", "id"], "edit_fields": [("new", np.int8, (), True)]},
]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_transforms_schema_is_petastorms(petastorm: Any, spec: dict[str, Any]) -> None:
    from petastorm import transform as theirs

    found = []
    for schema, module in zip(schemas(petastorm), (ours, theirs), strict=True):
        edits = [module.edit_field(*edit[:3], nullable=edit[3]) for edit in spec.get("edit_fields", [])]
        assert edits == spec.get("edit_fields", [])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            made = module.transform_schema(schema, module.TransformSpec(**{**spec, "edit_fields": edits}))
        found.append((made._name, said(made), ["gone" in str(one.message) for one in told]))
    assert found[0] == found[1]
    assert found[0][2] == ([True] if "gone" in str(spec) else [])


def test_the_schema_of_plain_parquet_is_petastorms_where_it_has_the_types(petastorm: Any, table: str, tmp_path: Path) -> None:
    from petastorm.unischema import Unischema

    from bigdata_ml.petastorm_bridge.parquet_dataset import ParquetDataset

    columns = {
        "id": pa.array([1]),
        "small": pa.array([1], pa.uint8()),
        "half": pa.array([1], pa.float32()),
        "flag": pa.array([True]),
        "text": pa.array(["a"]),
        "data": pa.array([b"a"]),
        "two": pa.array([b"ab"], pa.binary(2)),
        "price": pa.array([Decimal("1.5")]),
        "day": pa.array([1], pa.date32()),
        "seen": pa.array([1], pa.timestamp("us")),
        "numbers": pa.array([[1]]),
        "words": pa.array([["a"]]),
        "lists": pa.array([[[1]]]),
        "struct": pa.array([{"a": 1}]),
        "clock": pa.array([1], pa.time64("us")),
    }
    rows = pa.table(columns)
    rows = rows.cast(pa.schema([one.with_nullable(one.name != "id") for one in rows.schema]))
    pq.write_table(rows, tmp_path / "0.parquet")
    with warnings.catch_warnings(record=True) as theirs:
        warnings.simplefilter("always")
        real = Unischema.from_arrow_schema(ParquetDataset(str(tmp_path)))
    with pytest.warns(UserWarning, match="leaves out") as told:
        mine = ours.Unischema.from_arrow_schema(pq.read_schema(tmp_path / "0.parquet"))
    assert said(mine) == said(real)
    for name in ("lists", "struct", "clock"):
        assert any(repr(name) in str(one.message) for one in theirs)
        assert repr(name) in str(told[0].message)


def test_a_reader_says_where_it_is_and_has_no_cache_to_clean(table: str) -> None:
    with ours.make_batch_reader(table, schema_fields=["id"], num_epochs=2, cache_type=None) as reader:
        assert reader.diagnostics == {"epoch": 0, "step": 0, "steps": 42}
        next(reader)
        assert reader.diagnostics["step"] == 1
        reader.cleanup_cache()
        assert len(list(reader)) == 83
