"""Datasets that Petastorm wrote give the values that Petastorm reads from them."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import ReadOptions, decode_batch, open_reader

DATA = Path(__file__).parent.parent / "data" / "petastorm"
VERSIONS = [*sorted(one.name for one in DATA.iterdir() if one.name[0] == "0"), "upstream/0.4.0", "upstream/0.7.6"]

OURS = {"str_": "str", "bool_": "bool", "datetime64": "int64", "Decimal": "float64"}


def read(dataset: Dataset) -> dict[str, Any]:
    """All rows' decoded columns, in the order of their ids."""
    (rows,) = open_reader(dataset, ReadOptions(shuffle=False), global_batch_size=dataset.rows)
    columns = decode_batch(rows, dataset.schema, {})
    order = np.argsort(columns["id"])
    return {name: [values[row] for row in order] for name, values in columns.items()}


def same(value: Any, wanted: dict[str, str]) -> bool:
    """Whether a scalar is the one that Petastorm prints so; dates and times are numbers to us."""
    kind, text = wanted["type"], wanted["text"]
    if kind == "datetime64":
        return value == np.datetime64(text).astype("M8[D]" if len(text) == 10 else "M8[us]").astype(int)
    if kind == "Decimal":
        return value == pytest.approx(float(text), rel=1e-15)
    return str(value) == text or float(value) == float(text)


@pytest.mark.parametrize("version", VERSIONS)
def test_values_are_those_that_petastorm_reads(version: str) -> None:
    expected = json.loads((DATA / version / "expected.json").read_text())
    found = read(Dataset.open(DATA / version / "dataset"))
    assert len(found["id"]) == len(expected)
    for row, one in enumerate(expected):
        for name, wanted in one.items():
            value = found[name][row]
            if wanted is None:
                valid = found.get(f"{name}_valid")
                assert np.isnan(value) if valid is None else not valid[row], (row, name)
            elif "sha256" in wanted:
                assert (value.dtype.str, list(value.shape)) == (wanted["dtype"], wanted["shape"]), (row, name)
                assert hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest() == wanted["sha256"], (row, name)
            else:
                kind = {"str_": "str", "bool_": "bool", "datetime64": "int64", "Decimal": "float64"}.get(
                    wanted["type"], wanted["type"]
                )
                assert type(value).__name__ == kind, (row, name)
                assert same(value, wanted), (row, name)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_field_of_the_schema_is_a_field(version: str) -> None:
    expected = json.loads((DATA / version / "expected.json").read_text())
    assert set(Dataset.open(DATA / version / "dataset").schema.names) == set(expected[0])


def test_directory_keys_keep_their_text_where_the_schema_says_text(tmp_path: Path) -> None:
    shutil.copytree(DATA / "0.13.1" / "dataset", tmp_path / "dataset")
    (tmp_path / "dataset" / "kind=k0").rename(tmp_path / "dataset" / "kind=007")
    (tmp_path / "dataset" / "kind=k1").rename(tmp_path / "dataset" / "kind=8")
    assert read(Dataset.open(tmp_path / "dataset"))["kind"] == ["007", "8", "007", "8"]
    plain = Dataset.open(tmp_path / "dataset", use_unischema=False)
    assert read(plain)["kind"] == ["007", "8", "007", "8"]


def test_without_the_schema_encoded_columns_are_bytes() -> None:
    found = read(Dataset.open(DATA / "0.13.1" / "dataset", use_unischema=False))
    assert found["matrix"][0].startswith(b"\x93NUMPY")
    assert found["png"][0].startswith(b"\x89PNG")


def test_predicates_and_columns_work_as_on_any_dataset() -> None:
    dataset = Dataset.open(DATA / "0.13.1" / "dataset")
    options = ReadOptions(columns=("id", "small"), predicate=pc.field("kind") == "k1", shuffle=False)
    (rows,) = open_reader(dataset, options, global_batch_size=2)
    assert rows.to_pydict() == {"id": [1, 3], "small": [251, 253]}
