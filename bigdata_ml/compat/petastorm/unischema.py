"""`Unischema`: Petastorm's schema, for programs written against it."""

import re
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from bigdata_ml.shown import shown

__all__ = [
    "Unischema",
    "UnischemaField",
    "dict_to_spark_row",
    "insert_explicit_nulls",
    "match_unischema_fields",
    "unischema_of_arrow",
]


class UnischemaField(NamedTuple):
    """A field. Two fields are equal if name, dtype, shape and nullability are equal; the codec is not compared.

    Attributes:
        name: of the field.
        numpy_dtype: a numpy scalar class (`np.uint8`, `np.str_`, `np.datetime64` …) or `decimal.Decimal`.
        shape: of a value; `()` is a scalar, None a variable dimension.
        codec: how a value is stored; None stores it as a plain Parquet value.
        nullable: whether it may be None.
    """

    name: str
    numpy_dtype: Any
    shape: tuple[int | None, ...]
    codec: Any = None
    nullable: bool = False

    def _compared(self) -> tuple[Any, ...]:
        return self.name, self.numpy_dtype, tuple(self.shape), self.nullable

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnischemaField) and self._compared() == other._compared()

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._compared())


class Unischema:
    """An ordered set of fields; each is also an attribute.

    Args:
        name: of the schema.
        fields: its fields, in order.

    Raises:
        ValueError: two fields of one name.
    """

    def __init__(self, name: str, fields: Iterable[UnischemaField]) -> None:
        self._name = name
        self._fields: OrderedDict[str, UnischemaField] = OrderedDict()
        for field in fields:
            if field.name in self._fields:
                raise ValueError(f"schema {name!r}: the field {field.name!r} occurs twice")
            self._fields[field.name] = field
        self._row_class: Any = None

    def __getattr__(self, name: str) -> UnischemaField:
        # Called only if the class has no such attribute; a field named "fields" is schema.fields["fields"].
        field: UnischemaField | None = self.__dict__.get("_fields", {}).get(name)
        if field is None:
            raise AttributeError(f"the schema has no field {name!r}")
        return field

    @property
    def fields(self) -> "OrderedDict[str, UnischemaField]":
        """The fields by name, in order."""
        return self._fields

    def __iter__(self) -> Iterator[UnischemaField]:
        return iter(self._fields.values())

    def __str__(self) -> str:
        lines = (
            f"  {type(field).__name__}({field.name!r}, {getattr(field.numpy_dtype, '__name__', field.numpy_dtype)}, "
            f"{field.shape}, {field.codec}, {field.nullable}),\n"
            for field in self
        )
        return f"{type(self).__name__}({self._name}, [\n{''.join(lines)}])"

    def create_schema_view(self, fields: Sequence[UnischemaField | str]) -> "Unischema":
        """Return the schema of some of its fields.

        Args:
            fields: fields of this schema, and regular expressions that match whole names of fields.

        Raises:
            ValueError: a field is not in the schema, or an entry is neither a field nor text.
        """
        patterns = [pattern for pattern in fields if isinstance(pattern, str)]
        named = [field for field in fields if isinstance(field, tuple)]
        if len(patterns) + len(named) != len(fields):
            raise ValueError("fields must be UnischemaFields or regular expressions that match names")
        unknown = sorted({field.name for field in named} - set(self._fields))
        if unknown:
            raise ValueError(f"the schema {self._name!r} has no fields {', '.join(unknown)}; it has {', '.join(self._fields)}")
        chosen = dict.fromkeys(field.name for field in [*named, *match_unischema_fields(self, patterns)])
        return Unischema(f"{self._name}_view", [self._fields[name] for name in chosen])

    def make_namedtuple(self, **values: Any) -> Any:
        """Return a row: a named tuple of the schema's fields."""
        return self.row_class(**values)

    @property
    def row_class(self) -> Any:
        """The named tuple's class, the same for every row of this schema."""
        if self._row_class is None:
            self._row_class = namedtuple(f"{self._name}_view", list(self._fields))  # type: ignore[misc]
        return self._row_class

    def __getstate__(self) -> dict[str, Any]:
        return {"_name": self._name, "_fields": self._fields, "_row_class": None}

    def as_spark_schema(self) -> Any:
        """Return the `pyspark.sql.types.StructType` of the encoded rows.

        Raises:
            ValueError: a field has no codec and its dtype has no Spark type.
        """
        from pyspark.sql import types as spark_types

        entries = [spark_types.StructField(field.name, _spark_type(field), bool(field.nullable)) for field in self]
        return spark_types.StructType(entries)

    @classmethod
    def from_arrow_schema(cls, schema: pa.Schema, *, keys: Mapping[str, Any] | None = None) -> "Unischema":
        """Return the schema that Petastorm infers for plain Parquet; see `unischema_of_arrow`."""
        return unischema_of_arrow(schema, keys=keys)


def match_unischema_fields(schema: Unischema, patterns: Iterable[str]) -> list[UnischemaField]:
    """Return the fields whose whole name one of the regular expressions matches, in the schema's order."""
    compiled = [re.compile(pattern) for pattern in patterns]
    return [field for name, field in schema.fields.items() if any(pattern.fullmatch(name) for pattern in compiled)]


def insert_explicit_nulls(schema: Unischema, row: MutableMapping[str, Any]) -> None:
    """Set each missing nullable field of `row` to None.

    Raises:
        ValueError: a field that is not nullable is missing.
    """
    for name, field in schema.fields.items():
        if name not in row:
            if not field.nullable:
                raise ValueError(f"the row has no field {name!r}, which is not nullable")
            row[name] = None


def dict_to_spark_row(schema: Unischema, row: Mapping[str, Any]) -> Any:
    """Return a row, encoded by its fields' codecs, as a `pyspark.Row` in the schema's order.

    Raises:
        ValueError: a missing or unknown field, None for a field that is not nullable, or a value of the wrong type or shape.
    """
    from pyspark.sql import Row

    values = dict(row)
    insert_explicit_nulls(schema, values)
    unknown = sorted(set(values) - set(schema.fields))
    if unknown:
        raise ValueError(f"the row has fields that the schema does not have: {', '.join(unknown)}")
    encoded = Row(*(_encoded(field, values[name]) for name, field in schema.fields.items()))
    encoded.__fields__ = list(schema.fields)
    return encoded


def _encoded(field: UnischemaField, value: Any) -> Any:
    if value is None:
        if not field.nullable:
            raise ValueError(f"field {field.name!r} is not nullable and got None")
        return None
    if field.codec is not None:
        return field.codec.encode(field, value)
    return value.tolist() if isinstance(value, np.generic) else value


def unischema_of_arrow(schema: pa.Schema, *, keys: Mapping[str, Any] | None = None) -> Unischema:
    """Return the schema of plain Parquet: its scalar columns and lists of scalars. Columns of other types are warned of.

    Args:
        schema: the files'.
        keys: numpy dtype of each Hive directory key; they come first.
    """
    fields = [UnischemaField(name, kind, (), None, False) for name, kind in (keys or {}).items()]
    left_out = []
    for column in schema:
        dtype = _numpy_of(column.type)
        if dtype is not None:
            fields.append(UnischemaField(column.name, *dtype, None, bool(column.nullable)))
        else:
            left_out.append(f"{column.name!r} ({column.type})")
    if left_out:
        warnings.warn(shown(f"the schema leaves out columns of types that it has not: {', '.join(left_out)}"), stacklevel=2)
    return Unischema("inferred_schema", fields)


_NUMPY = (
    (pa.types.is_boolean, np.bool_),
    (pa.types.is_string, np.str_),
    (pa.types.is_large_string, np.str_),
    (pa.types.is_decimal, Decimal),
    (pa.types.is_date, np.datetime64),
    (pa.types.is_timestamp, np.datetime64),
    (pa.types.is_duration, np.timedelta64),
    (pa.types.is_binary, np.bytes_),
    (pa.types.is_large_binary, np.bytes_),
    (pa.types.is_fixed_size_binary, np.bytes_),
)


def _numpy_of(kind: pa.DataType) -> tuple[Any, tuple[int | None, ...]] | None:
    """Return (numpy dtype, shape) of a column's values; None if there is none."""
    if isinstance(kind, pa.FixedShapeTensorType):
        return np.dtype(kind.value_type.to_pandas_dtype()).type, tuple(kind.shape)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = _numpy_of(kind.value_type)
        size = kind.list_size if pa.types.is_fixed_size_list(kind) else None
        return None if inner is None or inner[1] else (inner[0], (size,))
    if pa.types.is_dictionary(kind):
        return _numpy_of(kind.value_type)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype()).type, ()
    for check, dtype in _NUMPY:
        if check(kind):
            return dtype, ()
    return None


def _spark_type(field: UnischemaField) -> Any:
    from pyspark.sql import types as spark_types

    if field.codec is not None:
        return field.codec.spark_dtype()
    kinds = {
        np.int8: spark_types.ByteType,
        np.uint8: spark_types.ShortType,
        np.int16: spark_types.ShortType,
        np.uint16: spark_types.IntegerType,
        np.int32: spark_types.IntegerType,
        np.int64: spark_types.LongType,
        np.float32: spark_types.FloatType,
        np.float64: spark_types.DoubleType,
        np.str_: spark_types.StringType,
        np.bool_: spark_types.BooleanType,
    }
    if tuple(field.shape) or field.numpy_dtype not in kinds:
        raise ValueError(
            f"field {field.name!r} has no codec, and {field.numpy_dtype} of shape {field.shape} has no Spark type; add one"
        )
    return kinds[field.numpy_dtype]()
