from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from petastorm_pickles import INDEXES, Class, Object, dumps, field, scalar, unischema, write_metadata

from bigdata_ml.dataset import (
    Dataset,
    PetastormCodec,
    PetastormField,
    PetastormSchema,
    read_petastorm_indexes,
    read_petastorm_row_groups,
    read_petastorm_schema,
)
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.storage import locate

DATA = Path(__file__).parent.parent / "data" / "petastorm"
WRITTEN = sorted(one.name for one in DATA.iterdir() if one.name[0] == "0")
UPSTREAM = ["0.4.0", "0.5.1", "0.7.0", "0.7.6"]


def read(directory: Path, *fields: Object) -> PetastormSchema:
    write_metadata(directory, dumps(unischema(*fields)))
    schema = read_petastorm_schema(locate(directory))
    assert schema is not None
    return schema


@pytest.mark.parametrize("version", WRITTEN)
def test_the_schema_of_every_version_says_the_same(version: str) -> None:
    schema = read_petastorm_schema(locate(DATA / version / "dataset"))
    assert schema is not None
    assert schema.name == "Everything"
    fields = {one.name: one for one in schema}
    assert len(fields) == 22
    assert fields["id"] == PetastormField(name="id", kind="int64", codec=PetastormCodec(kind="scalar", spark_type="bigint"))
    assert fields["bare"] == PetastormField(name="bare", kind="int32")
    assert fields["price"].codec == PetastormCodec(kind="scalar", spark_type="decimal(10,2)")
    assert (fields["price"].kind, fields["price"].dtype, fields["price"].nullable) == ("decimal", np.dtype(object), True)
    assert (fields["ragged"].shape, fields["ragged"].dtype) == ((None, 2), np.int16)
    assert fields["packed"].codec == PetastormCodec(kind="compressed_ndarray")
    assert fields["jpeg"].codec == PetastormCodec(kind="compressed_image", image_format="jpeg", quality=90)
    assert (fields["day"].kind, fields["words"].kind) == ("datetime64", "str_")


@pytest.mark.parametrize("version", UPSTREAM)
def test_schemas_that_python_2_pickled_are_read(version: str) -> None:
    schema = read_petastorm_schema(locate(DATA / "upstream" / version / "dataset"))
    assert schema is not None
    fields = {one.name: one for one in schema}
    assert fields["matrix"] == PetastormField(
        name="matrix", kind="float32", shape=(32, 16, 3), codec=PetastormCodec(kind="ndarray")
    )
    assert fields["matrix_string"].kind == "bytes_"
    assert fields["decimal"].codec == PetastormCodec(kind="scalar", spark_type="decimal(10,9)")
    assert fields["string_array_nullable"].nullable


@pytest.mark.parametrize("version", WRITTEN)
def test_row_groups_and_indexes_are_read(version: str) -> None:
    root = locate(DATA / version / "dataset")
    counts = read_petastorm_row_groups(root)
    assert counts is not None
    assert counts == dict.fromkeys(Dataset.open(root.path).row_groups.files, 1)
    indexes = read_petastorm_indexes(root)
    assert indexes["by_id"].values == {0: (0,), 1: (1,), 2: (0,), 3: (1,)}
    assert indexes["by_kind"].values == {"k0": (0,), "k1": (1,)}
    text = indexes["text"]
    assert (text.kind, text.field, text.row_groups) == ("field_not_null", "text", (0,))


@pytest.mark.parametrize("version", UPSTREAM)
def test_indexes_that_python_2_pickled_are_read(version: str) -> None:
    indexes = read_petastorm_indexes(locate(DATA / "upstream" / version / "dataset"))
    assert indexes["sensor_name"].values == {"test_sensor": tuple(range(10))}
    assert set(indexes["id"].values) == set(range(100))
    assert indexes["string_array_nullable"].values["24"] == (2,)


@pytest.mark.parametrize("package", ["av.experimental.deepdrive.dataset_toolkit", "av.ml.dataset_toolkit"])
def test_the_names_petastorm_had_before_it_was_published_are_known(tmp_path: Path, package: str) -> None:
    codec = Object(f"{package}.codecs", "NdarrayCodec")
    one = Object(f"{package}.unischema", "UnischemaField", "a", Class("numpy", "uint8"), (3,), codec, False)
    state = {"_name": "Old", "_fields": Object("collections", "OrderedDict", [["a", one]])}
    write_metadata(tmp_path, dumps(Object(f"{package}.unischema", "Unischema", state=state), 0))
    assert read_petastorm_schema(locate(tmp_path)) == PetastormSchema(
        "Old", (PetastormField(name="a", kind="uint8", shape=(3,), codec=PetastormCodec(kind="ndarray")),)
    )


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        (Class("numpy", "unicode_"), "str_"),
        (Class("numpy", "string_"), "bytes_"),
        (Class("numpy", "bool_"), "bool"),
        (Class("builtins", "int"), "int64"),
        (Class("__builtin__", "unicode"), "str_"),
        (Class("decimal", "Decimal"), "decimal"),
        (Class("datetime", "date"), "datetime64"),
        (Object("numpy", "dtype", "i2", False, True, state=(3, "<", None, None, None, -1, -1, 0)), "int16"),
        (Object("numpy", "dtype", "U5", False, True, state=(3, "<", None, None, None, 20, 4, 8)), "str_"),
    ],
)
def test_every_way_to_name_a_type_is_known(tmp_path: Path, kind: object, meant: str) -> None:
    (found,) = read(tmp_path, field("a", kind))
    assert found.kind == meant


def test_two_fields_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MetadataUnreadable, match="two of its fields have one name"):
        read(tmp_path, field("a", Class("numpy", "int8")), field("a", Class("numpy", "int16")))


def test_a_dataset_without_petastorms_metadata_has_none(plain: Dataset) -> None:
    assert read_petastorm_schema(plain.location) is None
    assert read_petastorm_row_groups(plain.location) is None
    assert read_petastorm_indexes(plain.location) == {}


def test_the_old_summary_file_is_read_where_the_newer_one_is_missing(tmp_path: Path) -> None:
    write_metadata(tmp_path, dumps(unischema(field("id", Class("numpy", "int64")))), name="_metadata")
    schema = read_petastorm_schema(locate(tmp_path))
    assert schema is not None
    assert [one.name for one in schema] == ["id"]


def test_indexed_decimals_and_bytes_are_values_of_python(tmp_path: Path) -> None:
    dtype = Object("numpy", "dtype", "S3", False, True, state=(3, "|", None, None, None, 3, 1, 0))
    keys = Object("collections", "defaultdict", Class("builtins", "set"))
    indexer = Object("petastorm.etl.rowgroup_indexers", "SingleFieldIndexer")
    data = dumps(indexer)[:-1]
    state = b"}(" + dumps("_column_name")[2:-1] + dumps("a")[2:-1] + dumps("_index_data")[2:-1] + dumps(keys)[2:-1] + b"("
    for key in (Object("decimal", "Decimal", "1.50"), Object("numpy.core.multiarray", "scalar", dtype, b"abc")):
        state += dumps(key)[2:-1] + b"\x8f(K\x00\x90"
    write_metadata(tmp_path, b"\x80\x04}" + dumps("x")[2:-1] + data[2:] + state + b"uubs.", key=INDEXES)
    assert read_petastorm_indexes(locate(tmp_path))["x"].values == {Decimal("1.5"): (0,), b"abc": (0,)}


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"a": "b"}', b"\xff", b"[" * 100_000])
def test_numbers_of_row_groups_that_are_none_are_refused(tmp_path: Path, text: bytes) -> None:
    write_metadata(tmp_path, text, key="dataset-toolkit.num_row_groups_per_file.v1")
    with pytest.raises(MetadataUnreadable, match="number of row groups by file cannot be read"):
        read_petastorm_row_groups(locate(tmp_path))


def test_a_side_file_that_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "part.parquet")
    (tmp_path / "_common_metadata").write_bytes(b"PAR1 and something else")
    with pytest.raises(MetadataUnreadable, match=r"_common_metadata: not a whole Parquet file.*use_unischema=False"):
        Dataset.open(tmp_path)
    assert Dataset.open(tmp_path, use_unischema=False).rows == 1


def test_nothing_of_petastorm_or_spark_is_imported(tmp_path: Path) -> None:
    import subprocess
    import sys

    place = DATA / "0.13.1" / "dataset"
    code = f"import sys; from bigdata_ml.dataset import Dataset; Dataset.open({str(place)!r})\n"
    code += "print(sorted({'petastorm', 'pyspark', 'cv2', 'pickle'} & set(sys.modules) - {'pickle'}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_scalar_codecs_type_may_be_the_class_itself(tmp_path: Path) -> None:
    codec = Object("petastorm.codecs", "ScalarCodec", state={"_spark_type": Class("pyspark.sql.types", "LongType")})
    (found,) = read(tmp_path, field("a", Class("numpy", "int64"), (), codec))
    assert found.codec == PetastormCodec(kind="scalar", spark_type="bigint")
    assert read(tmp_path, field("a", Class("numpy", "int64"), (), scalar("LongType"))).fields == (found,)
