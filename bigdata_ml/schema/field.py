"""Fields and schemas: frozen, checked when made, written as JSON."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pyarrow as pa

from bigdata_ml.schema.arrow import type_from_text, type_to_text
from bigdata_ml.schema.codec import ARRAYS, Codec

__all__ = ["Field", "NullPolicy", "Schema"]


class NullPolicy(str, Enum):
    """What the reader makes of a null.

    REFUSE   there is none; one that is found is a SchemaMismatch
    NAN      the column becomes floating and the value NaN; whole numbers beyond 2^53 are then refused
    MASK     the value becomes zero, and a second column `NAME_valid` of booleans says which values are known
    FILL     the value becomes the field's `fill`
    UNKNOWN  the value becomes id 0, the unknown one, of the field's vocabulary
    """

    REFUSE = "refuse"
    NAN = "nan"
    MASK = "mask"
    FILL = "fill"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A named column.

    Attributes:
        name: the column's name in the Parquet files.
        type: its Arrow type.
        codec: how a value lies in the column.
        null: what becomes of nulls; `REFUSE` also means that the field is not nullable.
        fill: the value of `NullPolicy.FILL`; None with every other policy.
        vocabulary: whether the manifest holds a vocabulary of that name, by which the reader turns values into ids.
        channels: 1 (grey) or 3 (RGB) for `Codec.IMAGE`; None with every other codec.
        dtype: numpy's name of the type that values are decoded to: of arrays, always (`uint16`, `float32`, `str`, …); of images
            `uint8`, the default, or `uint16`; of scalars and lists only where it is another than the column's.
        shape: of a decoded value, None where a dimension varies from row to row: of arrays, always; of images where grey ones
            have two dimensions; of lists that are to become arrays of one shape.
    """

    name: str
    type: pa.DataType
    codec: Codec = Codec.SCALAR
    null: NullPolicy = NullPolicy.REFUSE
    fill: float | int | str | bool | None = None
    vocabulary: bool = False
    channels: int | None = None
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a field must have a name")
        self.codec.check(self.name, self.type)
        if (self.fill is not None) != (self.null is NullPolicy.FILL):
            raise ValueError(f"field {self.name!r}: a fill value goes with NullPolicy.FILL, and only with it")
        if self.null is NullPolicy.FILL:
            _check_fill(self)
        if (self.channels in (1, 3)) != (self.codec is Codec.IMAGE):
            raise ValueError(f"field {self.name!r}: channels are 1 or 3 for encoded images, got {self.channels}")
        if self.null is NullPolicy.UNKNOWN and not self.vocabulary:
            raise ValueError(f"field {self.name!r}: NullPolicy.UNKNOWN goes with a vocabulary")
        if self.vocabulary and self.null not in (NullPolicy.REFUSE, NullPolicy.UNKNOWN):
            raise ValueError(f"field {self.name!r}: a vocabulary goes with NullPolicy.REFUSE or UNKNOWN, got {self.null.value}")
        if self.null is NullPolicy.NAN and not _may_be_nan(self.type):
            raise ValueError(f"field {self.name!r}: a null of type {self.type} cannot become NaN; use mask or fill")
        _check_dtype(self)
        _check_shape(self)

    @property
    def nullable(self) -> bool:
        """Whether the column may hold nulls."""
        return self.null is not NullPolicy.REFUSE

    def to_json(self) -> dict[str, Any]:
        """Return the field as the manifest writes it; keys at their defaults are left out."""
        written: dict[str, Any] = {"name": self.name, "type": type_to_text(self.type), "codec": self.codec.value}
        if self.nullable:
            written["null"] = self.null.value
        if self.fill is not None:
            written["fill"] = self.fill
        if self.vocabulary:
            written["vocabulary"] = True
        if self.channels is not None:
            written["channels"] = self.channels
        if self.dtype is not None:
            written["dtype"] = self.dtype
        if self.shape is not None:
            written["shape"] = list(self.shape)
        return written

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> "Field":
        """Return the field that `to_json` wrote; unknown keys are ignored.

        Raises:
            ValueError, KeyError: text that is no field.
        """
        return cls(
            name=written["name"],
            type=type_from_text(written["type"]),
            codec=Codec(written["codec"]),
            null=NullPolicy(written.get("null", "refuse")),
            fill=written.get("fill"),
            vocabulary=bool(written.get("vocabulary", False)),
            channels=written.get("channels"),
            dtype=written.get("dtype"),
            shape=None if written.get("shape") is None else tuple(written["shape"]),
        )


@dataclass(frozen=True, slots=True)
class Schema:
    """An ordered set of fields."""

    fields: tuple[Field, ...]

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise ValueError(f"field names must differ, these stand twice: {', '.join(twice)}")

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"no field {name!r}; the fields are {', '.join(self.names)}")

    def __contains__(self, name: object) -> bool:
        return name in self.names

    @property
    def names(self) -> tuple[str, ...]:
        """The fields' names, in order."""
        return tuple(field.name for field in self.fields)

    def select(self, names: Iterable[str]) -> "Schema":
        """Return the schema of those fields, in the order asked for.

        Raises:
            KeyError: a name that is no field, with the fields there are.
        """
        return Schema(tuple(self[name] for name in names))

    def to_arrow(self) -> pa.Schema:
        """Return the Arrow schema of rows in memory; `stored_schema` is that of the Parquet files."""
        return pa.schema([pa.field(field.name, field.type, nullable=field.nullable) for field in self.fields])

    def to_json(self) -> list[dict[str, Any]]:
        """Return the schema as the manifest writes it."""
        return [field.to_json() for field in self.fields]

    @classmethod
    def from_json(cls, written: list[dict[str, Any]]) -> "Schema":
        """Return the schema that `to_json` wrote."""
        return cls(tuple(Field.from_json(field) for field in written))

    @classmethod
    def from_arrow(cls, schema: pa.Schema, *, with_nulls: Collection[str]) -> "Schema":
        """Return the schema of columns of which only the Arrow types are known.

        Columns named in `with_nulls` may hold nulls: those of floating numbers and decimals become NaN, others get a mask.

        Raises:
            ValueError: a type that no field holds, naming the column.
        """
        return cls(tuple(_bare_field(column, nullable=column.name in with_nulls) for column in schema))


def _bare_field(column: pa.Field, *, nullable: bool) -> Field:
    try:
        type_to_text(column.type)
    except ValueError as error:
        raise ValueError(f"unsupported type of column {column.name!r}: {error}") from error
    null = NullPolicy.REFUSE
    if nullable:
        floating = pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)
        null = NullPolicy.NAN if floating else NullPolicy.MASK
    return Field(name=column.name, type=column.type, codec=Codec.of(column.type), null=null)


def _check_fill(field: Field) -> None:
    if field.codec is not Codec.SCALAR:
        raise ValueError(f"field {field.name!r}: a fill value goes with scalars, got codec {field.codec.value}")
    text = f"field {field.name!r}: the fill value {field.fill!r} is no {field.type}"
    try:
        filled = pa.scalar(field.fill, field.type).as_py()
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{text}: {error}") from error
    if pa.types.is_integer(field.type) and filled != field.fill:
        raise ValueError(text)


_INTEGERS = tuple(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))
_NUMBERS = ("bool", *_INTEGERS, "float16", "float32", "float64")
_DTYPES = {
    Codec.SCALAR: (None, *_NUMBERS),
    Codec.LIST: (None, *_NUMBERS),
    Codec.TENSOR: (None,),
    Codec.RAW_IMAGE: (None,),
    Codec.IMAGE: (None, "uint8", "uint16"),
    **dict.fromkeys(ARRAYS, (*_NUMBERS, "complex64", "complex128", "str", "bytes", "datetime64", "timedelta64")),
}


def _check_dtype(field: Field) -> None:
    if field.dtype not in _DTYPES[field.codec]:
        known = ", ".join(str(dtype) for dtype in _DTYPES[field.codec])
        raise ValueError(f"field {field.name!r}: the dtype of codec {field.codec.value} is one of {known}, got {field.dtype!r}")
    if field.vocabulary and field.dtype is not None:
        raise ValueError(f"field {field.name!r}: a vocabulary makes int64 ids, so no dtype goes with it")


def _check_shape(field: Field) -> None:
    shape = field.shape
    if shape is None:
        if field.codec in ARRAYS:
            raise ValueError(f"field {field.name!r}: an array must have a shape, with None for dimensions that vary")
        return
    if any(size is not None and (type(size) is not int or size < 0) for size in shape):
        raise ValueError(f"field {field.name!r}: a shape holds sizes and None, got {shape}")
    fits = {
        Codec.IMAGE: len(shape) in (2, 3) and (*shape, 1)[2] in (None, field.channels),
        Codec.LIST: None not in shape,
    }
    if not fits.get(field.codec, field.codec in ARRAYS):
        raise ValueError(f"field {field.name!r}: the shape {shape} does not go with codec {field.codec.value}")


def _may_be_nan(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
