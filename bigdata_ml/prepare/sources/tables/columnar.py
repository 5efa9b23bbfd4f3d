"""Read tables in Parquet and ORC files: match columns by name and widen their types by the footers."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from bigdata_ml.dataset.opening.pandas_index import is_pandas_index
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.progress import say
from bigdata_ml.prepare.session.spark import escape_glob, spark_path
from bigdata_ml.prepare.sources.tables.file_urls import file_url
from bigdata_ml.prepare.sources.tables.partition_keys import partition_keys
from bigdata_ml.prepare.sources.tables.source_table import SourceTable
from bigdata_ml.prepare.sources.tables.stored_types import NotReadable, Refusal, as_kind, spark_type, stored_type
from bigdata_ml.schema import common_type, plain_type
from bigdata_ml.storage import Location, reading

__all__ = ["columnar_table"]

_THREADS = 16
_SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
# ORC's C++ library (pyarrow, DuckDB) counts days before this one in the Gregorian calendar without recording it; Java's readers
# take them for days of the Julian calendar.
_GREGORIAN = "1582-10-15"


@dataclass(frozen=True, slots=True)
class _Stored:
    """A column of a file: its type, and Spark's own type where only Spark knows it (MLlib's vectors).

    `moved`: Spark would shift its values before 1582-10-15 by days.
    """

    name: str
    kind: pa.DataType
    own: str = ""
    moved: bool = False


@dataclass(frozen=True, slots=True)
class _Layout:
    """Files with the same columns."""

    columns: tuple[_Stored, ...]
    files: tuple[str, ...]


def columnar_table(
    spark: SparkSession,
    place: Location,
    files: Sequence[str],
    *,
    kind: str,
    as_text: Collection[str] = (),
    drop: Collection[str] = (),
    keep: Collection[str] = (),
    lenient: bool = False,
    prefix: str = "",
    file_column: str = "",
) -> SourceTable:
    """Return the rows of Parquet or ORC files, after reading every footer.

    Args:
        spark: the session.
        place: the directory, or the file itself.
        files: paths below the directory, or the name of the file.
        kind: `parquet` or `orc`.
        as_text: columns that become text where the types of files have no common type.
        drop: columns that are not needed: omitted if they, or a value, cannot be read.
        keep: pandas' index columns to read.
        lenient: omit every column that cannot be read.
        prefix: the prefix of a joined table's columns in `--drop`, for errors.
        file_column: add a column of that name: the URL of the row's file.

    Raises:
        JobRefused: a file is incomplete, or a column cannot be read or has no common type; the error names the files.
    """
    # Refuse a store that Spark cannot read before reading footers.
    root = spark_path(spark, place)
    single = not place.is_directory()
    layouts = _layouts_of(place, files, kind=kind, single=single)
    left_out = {}
    for name in dict.fromkeys(column.name for layout in layouts for column in layout.columns):
        if is_pandas_index(name) and name not in keep:
            say(f"{place.url}: column {name!r} is pandas' index and is left out")
            left_out[name] = "pandas' index"
    targets: dict[str, pa.DataType | str] = {}
    for name, types in _types_by_column(layouts).items():
        if name in left_out:
            continue
        if name in drop and _may_end_the_job(types):
            left_out[name] = str(next(iter(types)).kind)
            continue
        try:
            targets[name] = _target(place, name, types, as_text, prefix)
        except JobRefused:
            if name not in drop and not lenient:
                raise
            left_out[name] = str(next(iter(types)).kind)
            say(f"{place.url}: column {name!r} of type {left_out[name]} is not read")
    _refuse_alike(place, layouts, targets)
    times = [name for name, target in targets.items() if kind == "orc" and pa.types.is_timestamp(target)]
    if times:
        say(f"{place.url}: ORC keeps nanoseconds, a table microseconds; further digits are cut off: {', '.join(times)}")
    parts = []
    for layout in layouts:
        paths = [root] if single else [f"{root}/{escape_glob(path)}" for path in layout.files]
        parts.append(_read(spark, kind, paths, layout, targets, prefix))
    keys = {} if single else partition_keys(files, held={column.name for layout in layouts for column in layout.columns})
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.unionByName(part, allowMissingColumns=True)
    order = [named(name) for name in targets if name in whole.columns]
    added = [column.alias(name) for name, column in keys.items()]
    if not order and not added:
        raise JobRefused(f"{place.url}: it holds no columns that are read")
    extra = [F.col("__file").alias(file_column)] if file_column else []
    return SourceTable(whole.select(*order, *added, *extra), left_out)


def _types_by_column(layouts: Sequence[_Layout]) -> dict[str, dict[_Stored, str]]:
    """Return the types of each column, with one file per type."""
    types: dict[str, dict[_Stored, str]] = {}
    for layout in layouts:
        for column in layout.columns:
            types.setdefault(column.name, {}).setdefault(column, layout.files[0])
    return types


def _may_end_the_job(types: Collection[_Stored]) -> bool:
    """Whether the common type may not hold a value of a column.

    Examples are nanoseconds, whole numbers mixed with doubles, and days in an unknown calendar.
    """
    kinds = {str(column.kind) for column in types}
    return len(kinds) > 1 or any("timestamp[ns" in kind for kind in kinds) or any(column.moved for column in types)


def _target(place: Location, name: str, types: Mapping[_Stored, str], as_text: Collection[str], prefix: str) -> pa.DataType | str:
    """Return the common type of a column: Arrow's, or the JSON of a type that only Spark knows."""
    columns = list(types)
    own = {column.own for column in columns}
    if own != {""}:
        if len(own) == 1:
            return own.pop()
        raise _different(place, name, types, prefix)
    common = common_type(*(column.kind for column in columns))
    if common is None and name in as_text:
        common = pa.string()
    if common is None:
        raise _different(place, name, types, prefix)
    for column, file in [*types.items(), (_Stored(name, common), next(iter(types.values())))]:
        try:
            stored_type(column.kind)
            spark_type(column.kind)
        except NotReadable as error:
            where = f"{place.url}/{file}" if place.is_directory() else place.url
            raise JobRefused(
                f"{where}: column {name!r} is {column.kind}, and a table job does not read {error}; leave it out by "
                f"--drop {prefix}{name}, or write it as text or numbers"
            ) from error
    return common


def _different(place: Location, name: str, types: Mapping[_Stored, str], prefix: str) -> JobRefused:
    (column, first), (conflicting, second) = next(_unlike(types))
    return JobRefused(
        f"{place.url}: column {name!r} is {column.kind} in {first} and {conflicting.kind} in {second}; set its type by a rule "
        f"(--rules, `columns: {{{prefix}{name}: {{type: …}}}}`), leave it out by --drop {prefix}{name}, or read these files apart"
    )


def _unlike(types: Mapping[_Stored, str]) -> Iterator[tuple[tuple[_Stored, str], tuple[_Stored, str]]]:
    items = list(types.items())
    for number, item in enumerate(items):
        for other in items[number + 1 :]:
            if item[0].own != other[0].own or common_type(item[0].kind, other[0].kind) is None:
                yield item, other
    # Each pair has a common type, but all of them together do not.
    yield items[0], items[-1]


def _refuse_alike(place: Location, layouts: Sequence[_Layout], targets: Mapping[str, object]) -> None:
    """Raise JobRefused for columns whose names differ only in case: Spark cannot tell them apart."""
    first: dict[str, tuple[str, str]] = {}
    for layout in layouts:
        for column in layout.columns:
            if column.name in targets:
                name, file = first.setdefault(column.name.lower(), (column.name, layout.files[0]))
                if name != column.name:
                    raise JobRefused(
                        f"{place.url}: column {name!r} of {file} and {column.name!r} of {layout.files[0]} differ in case "
                        "alone, and are one column to Spark; rename one in the files"
                    )


def _read(
    spark: SparkSession, kind: str, paths: Sequence[str], layout: _Layout, targets: Mapping[str, pa.DataType | str], prefix: str
) -> DataFrame:
    """Return the rows of files with one layout, with the common types and `__file`."""
    wanted = [column for column in layout.columns if column.name in targets]
    # The types of directory keys depend on all files; Spark would infer them for each layout.
    reader = spark.read.format(kind).option("recursiveFileLookup", "true")
    if kind == "parquet":
        fields = [T.StructField(column.name, _own_type(column) if column.own else stored_type(column.kind)) for column in wanted]
        reader = reader.schema(T.StructType(fields))
    rows = reader.load(list(paths))
    there = {column.name: column.dataType for column in rows.schema}
    columns = [_value(column, targets[column.name], there[column.name], kind, prefix).alias(column.name) for column in wanted]
    return rows.select(*columns, file_url().alias("__file"))


def _value(stored: _Stored, target: pa.DataType | str, there: T.DataType, kind: str, prefix: str) -> Column:
    column = named(stored.name)
    if isinstance(target, str):
        return column
    left_out = f"leave it out by --drop {prefix}{stored.name}"
    if kind == "orc":
        wanted = spark_type(target)
        if stored.moved:
            refusal = Refusal(stored.name, file_url(), f"{left_out}, or write the table as Parquet")
            why = f"lies before {_GREGORIAN}, and ORC files of this writer do not say in which calendar"
            column = F.when(column < F.lit(_GREGORIAN).cast(there), refusal.of(column, why).cast(there)).otherwise(column)
        return column if there == wanted else column.cast(wanted)
    way_out = f"{left_out}, or write all files with one type that holds their values"
    return as_kind(column, stored.kind, target, Refusal(stored.name, file_url(), way_out))


def _own_type(column: _Stored) -> T.DataType:
    return T.StructType.fromJson({"type": "struct", "fields": [json.loads(column.own)]}).fields[0].dataType


def _layouts_of(place: Location, files: Sequence[str], *, kind: str, single: bool) -> list[_Layout]:
    def columns(name: str) -> tuple[_Stored, ...]:
        file = place if single else place / name
        with reading(file):
            opened = file.filesystem.open_input_file(file.path)
        try:
            with opened as stream:
                return _parquet_columns(stream) if kind == "parquet" else _orc_columns(stream)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise JobRefused(f"{file.url}: no whole {kind.upper()} file: {reason}; write it again, or take it away") from error

    with ThreadPoolExecutor(_THREADS) as pool:
        layouts = list(pool.map(columns, files))
    by_columns: dict[tuple[_Stored, ...], list[str]] = {}
    for name, layout in zip(files, layouts, strict=True):
        by_columns.setdefault(layout, []).append(name)
    return [_Layout(columns, tuple(names)) for columns, names in by_columns.items()]


def _parquet_columns(stream: pa.NativeFile) -> tuple[_Stored, ...]:
    file = pq.ParquetFile(stream)
    schema = file.schema_arrow
    old = {leaf.path for leaf in map(file.schema.column, range(len(file.schema))) if leaf.physical_type == "INT96"}
    own = _own_types((file.metadata.metadata or {}).get(_SPARK_SCHEMA))
    # Spark, Hive and Impala store UTC in INT96.
    return tuple(
        _Stored(field.name, pa.timestamp("us", "UTC") if field.name in old else plain_type(field.type), own.get(field.name, ""))
        for field in schema
    )


def _orc_columns(stream: pa.NativeFile) -> tuple[_Stored, ...]:
    file = orc.ORCFile(stream)
    by_cpp = file.writer == "ORC_CPP"
    return tuple(
        _Stored(
            field.name, _of_orc(field.type), moved=by_cpp and (pa.types.is_date(field.type) or pa.types.is_timestamp(field.type))
        )
        for field in file.schema
    )


def _of_orc(kind: pa.DataType) -> pa.DataType:
    """Return an ORC type as Spark reads it: both timestamp types are UTC in microseconds."""
    return pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) else plain_type(kind)


def _own_types(written: bytes | None) -> dict[str, str]:
    """Return the fields with user-defined types as JSON, from the schema that Spark wrote into a file."""
    if written is None:
        return {}
    fields = json.loads(written)["fields"]
    return {
        field["name"]: json.dumps(field) for field in fields if isinstance(field["type"], dict) and field["type"]["type"] == "udt"
    }
