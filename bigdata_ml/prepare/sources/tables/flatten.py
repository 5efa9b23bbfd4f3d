"""Flatten nested columns: structs by fields, maps by given keys, MLlib's vectors as arrays."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named

__all__ = ["flatten", "parse_map_keys"]

_VECTOR = "org.apache.spark.ml.linalg.VectorUDT"
_PLAIN = (T.NumericType, T.StringType, T.BooleanType, T.BinaryType, T.DateType, T.TimestampType, T.TimestampNTZType, T.NullType)
_KEYS_SHOWN = 10


def parse_map_keys(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Parse texts `COLUMN:KEY[,KEY…]` into keys by column.

    Raises:
        ValueError: a text has another form.

    >>> parse_map_keys(["weather:wind,rain"])
    {'weather': ('wind', 'rain')}
    """
    keys_by_column: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, colon, keys = text.partition(":")
        if not name or not colon or not all(keys.split(",")):
            raise ValueError(f"map_keys is COLUMN:KEY[,KEY…], got {text!r}")
        keys_by_column[name] = tuple(keys.split(","))
    return keys_by_column


def flatten(rows: DataFrame, *, map_keys: Mapping[str, Sequence[str]] | None = None, keep: Collection[str] = ()) -> DataFrame:
    """Return the rows with only plain columns and arrays of plain values.

    A field `b` of a struct `a` becomes `a_b`, at any depth, and is null where the struct is. Each field of an array of structs
    becomes an array. A map `m` becomes `m_KEY` for each given key, null in rows without that key. Dense and sparse vectors of
    MLlib become arrays of doubles. Columns keep their order; fields replace their struct.

    Args:
        rows: any columns.
        map_keys: keys by the flattened name of the map.
        keep: columns to leave unchanged.

    Raises:
        JobRefused: a map has no keys, two columns have one name, or a type has no plain form. The error names the column and the
            remedy.
    """
    keys = dict(map_keys or {})
    columns: list[tuple[str, Column]] = []
    for field in rows.schema:
        column = named(field.name)
        columns += [(field.name, column)] if field.name in keep else _plain(rows, field.name, column, field.dataType, keys)
    if keys:
        raise JobRefused(f"--map-keys names {next(iter(keys))!r}, which is no column that holds a map")
    names = [name for name, _ in columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise JobRefused(f"two columns would be called {twice!r} when structs and maps are flattened; rename one in the source")
    return rows.select(*(column.alias(name) for name, column in columns))


def _plain(
    rows: DataFrame, name: str, column: Column, kind: T.DataType, keys: dict[str, Sequence[str]]
) -> Iterator[tuple[str, Column]]:
    if isinstance(kind, T.UserDefinedType):
        yield name, _vector(name, column, kind)
    elif isinstance(kind, T.StructType):
        for field in kind:
            yield from _plain(rows, f"{name}_{field.name}", column.getField(field.name), field.dataType, keys)
    elif isinstance(kind, T.MapType):
        for key in keys.pop(name, ()) or _unnamed(rows, name, column):
            typed = F.lit(key).cast(kind.keyType)
            yield from _plain(rows, f"{name}_{key}", F.try_element_at(column, typed), kind.valueType, keys)
    elif isinstance(kind, T.ArrayType):
        yield from _array(name, column, kind)
    elif isinstance(kind, _PLAIN):
        yield name, column
    else:
        raise JobRefused(f"column {name!r} is of type {kind.simpleString()}, which has no plain form: cast it, or drop it")


def _array(name: str, column: Column, kind: T.ArrayType) -> Iterator[tuple[str, Column]]:
    inner = kind.elementType
    if isinstance(inner, T.StructType):
        for field in inner:
            yield from _array(f"{name}_{field.name}", column.getField(field.name), T.ArrayType(field.dataType))
    elif isinstance(inner, _PLAIN):
        yield name, column
    else:
        inner_type = inner.simpleString()
        raise JobRefused(f"column {name!r} holds arrays of {inner_type}: explode it into rows, flatten it, or drop it")


def _vector(name: str, column: Column, kind: T.UserDefinedType) -> Column:
    if kind.scalaUDT() != _VECTOR:
        raise JobRefused(f"column {name!r} is of the user-defined type {type(kind).__name__}; only MLlib's vectors are known")
    # Imported here because it imports pandas.
    from pyspark.ml.functions import vector_to_array

    return F.when(column.isNotNull(), vector_to_array(column))


def _unnamed(rows: DataFrame, name: str, column: Column) -> Sequence[str]:
    some = rows.limit(1000).select(F.explode(F.map_keys(column)).alias("key")).groupBy("key").count()
    listed = [str(row["key"]) for row in some.orderBy(F.desc("count"), "key").limit(_KEYS_SHOWN).collect()]
    said = f"; in its first rows there are {', '.join(listed)}" if listed else ""
    raise JobRefused(f"column {name!r} is a map: say which keys become columns by --map-keys {name}:KEY,KEY{said}; or drop it")
