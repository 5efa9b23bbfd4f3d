"""Petastorm's fields as ours, and ours as Petastorm's."""

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from bigdata_ml.dataset.petastorm.schema import PetastormCodec, PetastormField, PetastormSchema
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema
from bigdata_ml.schema.codec import ARRAYS

__all__ = ["fields_from_petastorm", "fields_to_petastorm", "key_type"]

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
    known = {field.name: field for field in unischema}
    return tuple(_field(field, known[field.name], field.name in with_nulls) if field.name in known else field for field in bare)


def fields_to_petastorm(schema: Schema, *, with_split: bool) -> tuple[list[PetastormField], list[str]]:
    """Return what a unischema can say of our fields, and the names, with the reason, of those of which it can say nothing.

    Scalars, lists and tensors have no codec: the column holds the values. Petastorm's `make_reader` gives a tensor's values
    flat, in C order; its shape is the field's.

    Args:
        schema: the dataset's fields.
        with_split: whether the directories' key `split` is a field too.
    """
    fields, left_out = [], []
    for field in schema:
        try:
            fields.append(_to_petastorm(field))
        except ValueError as error:
            left_out.append(f"{field.name!r} ({error})")
    if with_split and "split" not in schema:
        fields.append(PetastormField(name="split", kind="str_"))
    return fields, left_out


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


def _to_petastorm(field: Field) -> PetastormField:
    codec, shape = None, field.shape or ()
    if field.codec is Codec.IMAGE:
        shape = field.shape or ((None, None) if field.channels == 1 else (None, None, 3))
        # Says how images would be written; they are read by what they are.
        codec, kind = PetastormCodec(kind="compressed_image", image_format="png", quality=80), field.dtype or "uint8"
    elif field.codec in ARRAYS:
        codec = PetastormCodec(kind="ndarray" if field.codec is Codec.NDARRAY else "compressed_ndarray")
        kind = {"str": "str_", "bytes": "bytes_"}.get(str(field.dtype), str(field.dtype))
    elif field.codec is Codec.RAW_IMAGE:
        # No codec of Petastorm's takes pixels that are not encoded.
        kind = "bytes_"
    elif field.codec is Codec.TENSOR:
        kind, shape = _number(field.type.value_type), tuple(field.type.shape)
    elif field.codec is Codec.LIST:
        fixed = (field.type.list_size,) if pa.types.is_fixed_size_list(field.type) else (None,)
        kind, shape = field.dtype or _number(field.type.value_type), field.shape or fixed
    else:
        kind = field.dtype or _scalar(field.type)
    return PetastormField(name=field.name, kind=kind, shape=shape, codec=codec, nullable=field.nullable)


def _scalar(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "str_"
    if any(check(kind) for check in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)):
        return "bytes_"
    if pa.types.is_decimal(kind):
        return "decimal"
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None):
        return "datetime64"
    return _number(kind)


def _number(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return str(np.dtype(kind.to_pandas_dtype()).name)
    raise ValueError(f"no type for {kind}")


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
