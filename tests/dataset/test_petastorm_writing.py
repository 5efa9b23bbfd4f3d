import importlib
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import publish_dataset, write_part

from bigdata_ml.dataset import (
    Cleaning,
    Contract,
    Dataset,
    PetastormCodec,
    PetastormField,
    PetastormSchema,
    publish,
    read_petastorm_row_groups,
    read_petastorm_schema,
    stage,
    validate,
)
from bigdata_ml.dataset.petastorm.fields import fields_to_petastorm
from bigdata_ml.dataset.petastorm.pickling import pickle_petastorm_schema
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema

# What unpickling gives by the classes' names alone: Petastorm's own are not there.
STAND_INS = {
    "petastorm/__init__.py": "",
    "petastorm/unischema.py": """
from typing import Any, NamedTuple
class UnischemaField(NamedTuple):
    name: str
    numpy_dtype: Any
    shape: tuple
    codec: Any = None
    nullable: bool = False
class Unischema:
    pass
""",
    "petastorm/codecs.py": """
class NdarrayCodec: pass
class CompressedNdarrayCodec: pass
class CompressedImageCodec: pass
""",
}
EVERY = Schema(
    (
        Field(name="id", type=pa.int64()),
        Field(name="half", type=pa.float16(), null=NullPolicy.NAN),
        Field(name="flag", type=pa.bool_()),
        Field(name="price", type=pa.decimal128(10, 2)),
        Field(name="text", type=pa.large_string(), null=NullPolicy.MASK),
        Field(name="data", type=pa.binary()),
        Field(name="day", type=pa.date32()),
        Field(name="seen", type=pa.timestamp("us")),
        Field(name="tensor", type=pa.fixed_shape_tensor(pa.float32(), (2, 3)), codec=Codec.TENSOR),
        Field(name="ragged", type=pa.list_(pa.int16()), codec=Codec.LIST),
        Field(name="pair", type=pa.list_(pa.uint8(), 2), codec=Codec.LIST),
        Field(name="picture", type=pa.binary(), codec=Codec.IMAGE, channels=3),
        Field(name="grey", type=pa.binary(), codec=Codec.IMAGE, channels=1, dtype="uint16"),
        Field(name="array", type=pa.binary(), codec=Codec.NDARRAY, dtype="str", shape=(None, 2)),
        Field(name="packed", type=pa.binary(), codec=Codec.COMPRESSED_NDARRAY, dtype="float64", shape=(3,)),
    )
)
UNSAID = Schema(
    (
        Field(name="id", type=pa.int64()),
        Field(name="price[eur]", type=pa.int64()),
        Field(name="_hidden", type=pa.int64()),
        Field(name="class", type=pa.int64()),
        Field(name="clock", type=pa.time64("us")),
        Field(name="zoned", type=pa.timestamp("us", tz="UTC")),
        Field(name="span", type=pa.duration("us")),
        Field(name="words", type=pa.list_(pa.string()), codec=Codec.LIST),
        Field(name="lists", type=pa.list_(pa.list_(pa.int64())), codec=Codec.LIST),
        Field(name="nothing", type=pa.null(), null=NullPolicy.MASK),
    )
)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place on the path where there is a package of Petastorm's name."""
    for name, text in STAND_INS.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def published(directory: Path, schema: Schema, rows: pa.Table | None = None) -> Dataset:
    with stage(str(directory)) as staging:
        rows = rows if rows is not None else pa.table({"id": [1, 2, 3]})
        file = write_part(staging.root, rows, split=None, name="a.parquet", schema=schema)
        contract = Contract(
            schema=schema,
            label=None,
            vocabularies={},
            statistics={},
            split_rule=None,
            cleaning=Cleaning(found=file.rows, kept=file.rows, refused={}),
            provenance={},
        )
        publish(staging, [file], contract, quarantine=[], pages={})
    return Dataset.open(directory)


def test_without_petastorm_no_file_of_its_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "petastorm", None)  # as if it were not installed
    publish_dataset(tmp_path / "dataset")
    assert sorted(one.name for one in (tmp_path / "dataset").iterdir() if not one.is_dir()) == []


def test_without_petastorm_the_bridge_stops_no_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("bigdata_ml.petastorm_bridge")
    (bridge,) = (finder for finder in sys.meta_path if "petastorm_bridge" in type(finder).__module__)
    monkeypatch.delitem(sys.modules, "petastorm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [bridge])  # all else is imported
    monkeypatch.setattr(sys, "path_importer_cache", {})
    dataset = publish_dataset(tmp_path / "dataset")
    assert not (tmp_path / "dataset/_common_metadata").exists()
    assert validate(dataset.url) == []


def test_with_petastorm_its_metadata_are_written_and_nothing_else_changes(tmp_path: Path, installed: Path) -> None:
    dataset = publish_dataset(tmp_path / "dataset")
    assert sorted(one.name for one in (tmp_path / "dataset").iterdir() if one.is_file()) == ["_common_metadata"]
    assert validate(tmp_path / "dataset") == []
    paths = dataset.row_groups.paths
    assert read_petastorm_row_groups(dataset.location) == {path: paths.count(path) for path in paths}
    schema = read_petastorm_schema(dataset.location)
    assert schema is not None
    assert [(one.name, one.kind, one.shape, one.nullable) for one in schema] == [
        ("id", "int64", (), False),
        ("image", "bytes_", (), False),
        ("label", "str_", (), False),
        ("weight", "float64", (), True),
        ("city", "str_", (), True),
        ("note", "str_", (), True),
        ("split", "str_", (), False),
    ]


def test_an_adopting_reader_gets_our_fields_back_from_petastorms_schema(tmp_path: Path, installed: Path) -> None:
    dataset = publish_dataset(tmp_path / "dataset")
    shutil.rmtree(tmp_path / "dataset" / "_bigdata_ml")
    plain = Dataset.open(tmp_path / "dataset")
    assert plain.unischema == "bigdata_ml"
    # Petastorm knows no pixels that are not encoded.
    wanted = [(one.name, pa.binary() if one.codec is Codec.RAW_IMAGE else one.type) for one in dataset.schema]
    assert [(one.name, one.type) for one in plain.schema] == wanted


def test_every_kind_of_field_has_a_word_in_petastorms_schema() -> None:
    fields, left_out = fields_to_petastorm(EVERY, with_split=False)
    assert left_out == []
    assert [(one.name, one.kind, one.shape, one.codec.kind if one.codec else None) for one in fields] == [
        ("id", "int64", (), None),
        ("half", "float16", (), None),
        ("flag", "bool", (), None),
        ("price", "decimal", (), None),
        ("text", "str_", (), None),
        ("data", "bytes_", (), None),
        ("day", "datetime64", (), None),
        ("seen", "datetime64", (), None),
        ("tensor", "float32", (2, 3), None),
        ("ragged", "int16", (None,), None),
        ("pair", "uint8", (2,), None),
        ("picture", "uint8", (None, None, 3), "compressed_image"),
        ("grey", "uint16", (None, None), "compressed_image"),
        ("array", "str_", (None, 2), "ndarray"),
        ("packed", "float64", (3,), "compressed_ndarray"),
    ]


def test_fields_that_petastorm_cannot_say_are_left_out_and_named(
    tmp_path: Path, installed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = pa.table({field.name: pa.array([None, None], field.type) for field in UNSAID}).set_column(0, "id", [[1, 2]])
    nullable = Schema(
        tuple(
            field if field.name == "id" else Field(name=field.name, type=field.type, codec=field.codec, null=NullPolicy.MASK)
            for field in UNSAID
        )
    )
    with caplog.at_level("INFO"):
        dataset = published(tmp_path / "dataset", nullable, rows)
    schema = read_petastorm_schema(dataset.location)
    assert schema is not None
    assert [one.name for one in schema] == ["id"]
    (message,) = [record.message for record in caplog.records if "Petastorm" in record.message]
    assert all(repr(field.name) in message for field in UNSAID.fields[1:])


def test_the_pickle_says_what_petastorms_own_would(installed: Path) -> None:
    codecs = (
        None,
        PetastormCodec(kind="ndarray"),
        PetastormCodec(kind="compressed_ndarray"),
        PetastormCodec(kind="compressed_image", image_format="png", quality=80),
    )
    fields = tuple(
        PetastormField(name=f"f{place}", kind="uint8", shape=(None, 300, 3), codec=codec, nullable=place % 2 == 0)
        for place, codec in enumerate(codecs)
    )
    taken = PetastormField(name="fields", kind="decimal")
    data = pickle_petastorm_schema(PetastormSchema("S", (*fields, taken)))
    code = f"""
import pickle, numpy
found = pickle.loads({data!r})
assert found._name == 'S' and list(found._fields) == ['f0', 'f1', 'f2', 'f3', 'fields'], found._fields
assert type(found._fields).__name__ == 'OrderedDict'
assert found.f1 is found._fields['f1'] and 'fields' not in vars(found)
assert found.f1[:3] == ('f1', numpy.uint8, (None, 300, 3)) and type(found.f1).__name__ == 'UnischemaField'
assert [type(one.codec).__name__ for one in found._fields.values()] == [
    'NoneType', 'NdarrayCodec', 'CompressedNdarrayCodec', 'CompressedImageCodec', 'NoneType']
assert vars(found.f3.codec) == {{'_image_codec': '.png', '_quality': 80}}
assert [one.nullable for one in found._fields.values()] == [True, False, True, False, False]
print('same')
"""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(installed)}, check=False
    )
    assert run.stdout == "same\n", run.stderr


def test_the_schema_of_our_datasets_needs_no_spark(tmp_path: Path, installed: Path) -> None:
    publish_dataset(tmp_path / "dataset")
    assert b"pyspark" not in pq.read_schema(tmp_path / "dataset" / "_common_metadata").metadata[b"dataset-toolkit.unischema.v1"]


def test_metadata_of_other_files_are_a_finding(tmp_path: Path, installed: Path) -> None:
    dataset = publish_dataset(tmp_path / "dataset")
    place = tmp_path / "dataset" / "_common_metadata"
    schema = pq.read_schema(place)
    kept = {name: value for name, value in schema.metadata.items() if b"num_row_groups" not in name}
    pq.write_metadata(schema.with_metadata({**kept, b"dataset-toolkit.num_row_groups_per_file.v1": b'{"a.parquet": 1}'}), place)
    assert [found.code for found in validate(dataset.url)] == ["inconsistent_manifest"]
    pq.write_metadata(schema.with_metadata({b"dataset-toolkit.unischema.v1": pickle.dumps(print)}), place)
    assert [found.code for found in validate(dataset.url)] == ["unreadable_metadata"]
    assert dataset.rows == Dataset.open(dataset.url).rows
