"""Petastorm's fields as ours."""

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from bigdata_ml.dataset.petastorm_schema import PetastormField, PetastormSchema
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema

__all__ = ["fields_from_petastorm", "key_type"]

_ARRAYS = {"ndarray": Codec.NDARRAY, "compressed_ndarray": Codec.COMPRESSED_NDARRAY}


def fields_from_petastorm(bare: Schema, unischema: PetastormSchema, *, with_nulls: Collection[str]) -> tuple[Field, ...]:
    """Return the fields of Parquet files that Petastorm wrote.

    Fields follow the files: a column of which the unischema says nothing keeps what is known of it, and a field that no column
    holds is left out. Scalars get the unischema's type where it is another number's, decimals kept as text become floating.

    Args:
        bare: what the files alone say.
        unischema: what Petastorm says.
        with_nulls: columns that may hold nulls.

    Raises:
        ValueError: a field whose codec cannot lie in its column.
    """
    known = {one.name: one for one in unischema}
    return tuple(_field(one, known[one.name], one.name in with_nulls) if one.name in known else one for one in bare)


def key_type(field: PetastormField) -> pa.DataType | None:
    """Return the Arrow type of a Hive directory key that is that field: its numpy type, or text; None if it has neither."""
    if field.kind in ("str_", "bytes_"):
        return pa.string()
    return pa.from_numpy_dtype(field.dtype) if field.dtype.kind in "iufb" else None


def _field(bare: Field, said: PetastormField, nullable: bool) -> Field:
    masked = NullPolicy.MASK if nullable else NullPolicy.REFUSE
    codec = said.codec
    if codec is not None and codec.kind in _ARRAYS:
        dtype = said.dtype.name if said.dtype.kind in "iufbc" else said.kind.rstrip("_")
        return Field(
            name=bare.name, type=bare.type, codec=_ARRAYS[codec.kind], null=masked, dtype=dtype, shape=_varying(said.shape)
        )
    if codec is not None and codec.kind == "compressed_image":
        # Petastorm writes images of two dimensions, grey, and of three channels.
        grey = len(said.shape) == 2
        shape = _varying(said.shape) if grey else (*_varying(said.shape[:2]), 3)
        return Field(
            name=bare.name,
            type=bare.type,
            codec=Codec.IMAGE,
            null=masked,
            channels=1 if grey else 3,
            dtype=None if said.dtype == np.uint8 else said.dtype.name,
            shape=shape,
        )
    if bare.codec is Codec.LIST:
        fixed = said.shape if said.shape and None not in said.shape else None
        return Field(name=bare.name, type=bare.type, codec=bare.codec, null=masked, dtype=_other(bare, said), shape=fixed)
    return Field(name=bare.name, type=bare.type, codec=bare.codec, null=bare.null, dtype=_other(bare, said))


def _varying(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    # To Petastorm a size of 0 says no more than None.
    return tuple(size or None for size in shape)


def _other(bare: Field, said: PetastormField) -> str | None:
    """Return the dtype that a number is decoded to, if it is another than its column's."""
    values = bare.type.value_type if bare.codec is Codec.LIST else bare.type
    if said.kind == "decimal":
        return "float64" if pa.types.is_string(values) else None
    number = pa.types.is_integer(values) or pa.types.is_floating(values) or pa.types.is_boolean(values)
    if not number or said.dtype.kind not in "iufb" or pa.from_numpy_dtype(said.dtype) == values:
        return None
    return said.dtype.name
