"""What is kept for Petastorm is read back, by this package and by Petastorm."""

import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bigdata_ml.petastorm_bridge  # noqa: F401
from bigdata_ml.dataset.petastorm.metadata import INDEXES_KEY, UNISCHEMA_KEY, read_petastorm_indexes, read_petastorm_schema
from bigdata_ml.dataset.petastorm.pickling import pickle_petastorm_indexes, pickle_petastorm_schema
from bigdata_ml.dataset.petastorm.schema import PetastormCodec, PetastormField, PetastormIndex, PetastormSchema
from bigdata_ml.storage import locate

SCALARS = ("tinyint", "smallint", "int", "bigint", "float", "double", "boolean", "string", "binary", "date", "timestamp")
SCHEMA = PetastormSchema(
    "Everything",
    (
        *(
            PetastormField(name=f"a_{kind}", kind="int64", codec=PetastormCodec(kind="scalar", spark_type=kind))
            for kind in SCALARS
        ),
        PetastormField(name="price", kind="decimal", codec=PetastormCodec(kind="scalar", spark_type="decimal(12,3)")),
        *(PetastormField(name=f"of_{kind}", kind=kind, nullable=True) for kind in ("bool", "uint8", "float16", "str_", "bytes_")),
        PetastormField(name="when", kind="datetime64"),
        PetastormField(name="npy", kind="float32", shape=(2, None), codec=PetastormCodec(kind="ndarray")),
        PetastormField(name="npz", kind="int16", shape=(), codec=PetastormCodec(kind="compressed_ndarray")),
        PetastormField(
            name="photo",
            kind="uint8",
            shape=(None, None, 3),
            codec=PetastormCodec(kind="compressed_image", image_format="jpeg", quality=70),
        ),
        # Names that Petastorm's class has itself.
        PetastormField(name="fields", kind="int32"),
        PetastormField(name="_name", kind="int32"),
    ),
)
INDEXES = {
    "by value": PetastormIndex(
        kind="single_field",
        field="id",
        values={3: (0, 2), -1: (1,), 2.5: (0,), "é": (1, 2), b"\xff": (3,), Decimal("1.50"): (4,), 2**40: (70_000,)},
        row_groups=(0, 1, 2, 3, 4, 70_000),
    ),
    "known": PetastormIndex(kind="field_not_null", field="x", values={}, row_groups=(1, 300)),
}


def kept(place: Any, keys: dict[bytes, bytes]) -> Any:
    pq.write_metadata(pa.schema([("id", pa.int64())], metadata=keys), place / "_common_metadata")
    return locate(str(place))


def test_a_schema_comes_back_whole(tmp_path: Any) -> None:
    assert read_petastorm_schema(kept(tmp_path, {UNISCHEMA_KEY: pickle_petastorm_schema(SCHEMA)})) == SCHEMA


def test_indexes_come_back_whole(tmp_path: Any) -> None:
    assert read_petastorm_indexes(kept(tmp_path, {INDEXES_KEY: pickle_petastorm_indexes(INDEXES)})) == INDEXES


def test_petastorm_reads_them_by_its_own_unpickler() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from petastorm.etl.legacy import depickle_legacy_package_name_compatible as read
        from petastorm.unischema import Unischema

        schema, indexes = read(pickle_petastorm_schema(SCHEMA)), read(pickle_petastorm_indexes(INDEXES))
        assert isinstance(schema, Unischema)
        assert list(schema.fields) == [field.name for field in SCHEMA]
        assert [field.shape for field in schema.fields.values()] == [field.shape for field in SCHEMA]
        assert schema.a_string.codec.spark_dtype().simpleString() == "string"
        assert schema.price.codec.spark_dtype().simpleString() == "decimal(12,3)"
        assert (schema.price.numpy_dtype, schema.of_bool.numpy_dtype) == (Decimal, np.bool_)
        assert str(schema.photo.codec) == "CompressedImageCodec('jpeg', 70)"
        assert indexes["by value"].get_row_group_indexes(np.int32(3)) == {0, 2}
        assert indexes["by value"].get_row_group_indexes(np.str_("é")) == {1, 2}
        assert indexes["known"].get_row_group_indexes() == {1, 300}


def test_what_readers_would_not_load_is_refused() -> None:
    field = PetastormField(name="x", kind="int64", codec=PetastormCodec(kind="scalar", spark_type="interval day"))
    with pytest.raises(ValueError, match="no Spark type 'interval day'"):
        pickle_petastorm_schema(PetastormSchema("S", (field,)))
    index = PetastormIndex(kind="single_field", field="x", values={np.datetime64(0, "s"): (1,)}, row_groups=(1,))
    with pytest.raises(ValueError, match="got datetime64"):
        pickle_petastorm_indexes({"i": index})
