"""Read tables in CSV or JSON files: one pass infers types and cuts files, another reads rows."""

import json
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import StructField, StructType

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.failures import refused_by_spark
from bigdata_ml.prepare.session.progress import say
from bigdata_ml.prepare.sources.packed import a_task_each
from bigdata_ml.prepare.sources.text_files.csv_rows import CsvReader
from bigdata_ml.prepare.sources.text_files.directory_keys import directory_keys, key_types, refuse_same_names
from bigdata_ml.prepare.sources.text_files.file_cuts import (
    cost_of,
    cut_file,
    goal_bytes,
    number_lines,
    packs,
    whole_file,
)
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.sources.text_files.inferred_types import ARROW_TYPES, ColumnType, Evidence
from bigdata_ml.prepare.sources.text_files.json_columns import Shape
from bigdata_ml.prepare.sources.text_files.parts import REPORT, FilePart, Look, Read, Seen
from bigdata_ml.prepare.sources.text_files.stream import TextPart, texts_of
from bigdata_ml.storage import Location

__all__ = ["TextTable", "text_table"]

_THREADS = 16
_HEADER_BYTES = 64 << 10
# The driver examines sources this small faster than tasks.
_LITTLE_BYTES, _LITTLE_FILES = 4 << 20, 64


@dataclass(frozen=True, kw_only=True, slots=True)
class TextTable:
    """A table in text files, with types inferred from all values.

    Attributes:
        types: of its columns, directory keys last.
        rows: number of rows, including malformed ones.
        torn: number of malformed rows.
        first_torn: the first malformed row: file, line, error.
    """

    spark: SparkSession
    kind: str
    form: TextFormat
    separator: str
    parts: tuple[FilePart, ...]
    layouts: tuple[tuple[str, ...], ...]
    types: tuple[ColumnType, ...]
    arrow: tuple[pa.DataType, ...]
    keys: int
    urls: tuple[str, ...]
    rows: int
    torn: int
    first_torn: str

    def read(self, *, as_text: Collection[str] = (), file_column: str = "", torn_column: str = "") -> DataFrame:
        """Return the rows.

        Args:
            as_text: columns to read as unchanged text.
            file_column: add a column of that name with the URL of the file.
            torn_column: add a column of that name: null, or `reason`, `detail` and `row` of a malformed row as JSON.

        Raises:
            JobRefused: there are malformed rows, and no column for their errors.
        """
        if self.torn and not torn_column:
            raise JobRefused(f"{self.first_torn}; {self.torn} of {self.rows} rows are so; mend them")
        text = [column.name in as_text for column in self.types]
        kinds = [pa.string() if is_text else kind for is_text, kind in zip(text, self.arrow, strict=True)]
        kinds += [pa.string() for column in (file_column, torn_column) if column]
        schema = pa.schema([pa.field(str(place), kind) for place, kind in enumerate(kinds)])
        columns = len(self.types) - self.keys
        read = Read(
            kind=self.kind,
            form=self.form,
            separator=self.separator,
            layouts=self.layouts,
            schema=schema,
            names=tuple(column.name for column in self.types[:columns]),
            types=tuple("string" if is_text else column.type for is_text, column in zip(text, self.types, strict=True))[:columns],
            keys=self.keys,
            with_file=bool(file_column),
            with_torn=bool(torn_column),
            urls=self.urls,
        )
        # Numbers instead of names, which may contain dots.
        spark_schema = StructType([StructField(field.name, from_arrow_type(field.type)) for field in schema])
        rows = a_task_each(self.spark, packs(self.spark, self.parts)).mapInArrow(read, spark_schema)
        return rows.toDF(*(column.name for column in self.types), *(column for column in (file_column, torn_column) if column))


def text_table(
    spark: SparkSession, place: Location, files: Mapping[str, int], *, kind: str, separator: str, form: TextFormat
) -> TextTable:
    """Infer the types of a table, reading each file once.

    Args:
        spark: the session.
        place: a file or a directory.
        files: size of each file in bytes by its path below the place, in order; the path of the place itself is empty.
        kind: `csv` or `json`.
        separator: between values of CSV.
        form: format of the files.

    Raises:
        JobRefused: duplicate column names, different directory keys, another encoding, or an unclosed quote.
        StorageUnavailable: no permission to read a file.
    """
    with refused_by_spark(place.url):
        return _looked_at(spark, place, files, kind=kind, separator=separator, form=form)


def _looked_at(
    spark: SparkSession, place: Location, files: Mapping[str, int], *, kind: str, separator: str, form: TextFormat
) -> TextTable:
    names = list(files)
    urls = [(place / name).url if name else place.url for name in names]
    sizes = list(files.values())
    key_names, key_values = directory_keys(place, names)
    headers = _headers(urls, sizes, separator, form) if kind == "csv" else [()] * len(names)
    layouts = tuple(dict.fromkeys(headers))
    goal = goal_bytes(spark, sum(sizes))
    parts: list[FilePart] = []
    for number, (url, size, header) in enumerate(zip(urls, sizes, headers, strict=True)):
        if kind == "csv" and not header:
            # Skip empty files.
            continue
        whole = FilePart(
            part=TextPart(url=url, size=size),
            file=number,
            layout=layouts.index(header),
            keys=key_values[number],
        )
        parts += cut_file(whole, goal, kind, form)
    look = Look(kind=kind, form=form, separator=separator, layouts=layouts)
    seen = _look(spark, look, parts)
    opened = {parts[place].file for place, part_seen in enumerate(seen) if part_seen.is_open}
    if opened:
        # These files were cut at a line break inside quotes, so one task reads each of them whole.
        parts = [
            whole_file(part) if part.file in opened else part for part in parts if part.file not in opened or part.part.is_first
        ]
        seen = _look(spark, look, parts)
    parts, lines = number_lines(parts, seen)
    shown = [name or place.name for name in names]
    types, arrow = (_csv_types if kind == "csv" else _json_types)(layouts, seen, lines, shown)
    held = {column.name for column in types}
    kept = [number for number, name in enumerate(key_names) if name not in held]
    for name in set(key_names) & held:
        say(f"{name}= in the directories' names is a column of the files, too; the files' values are taken")
    key_names = [key_names[number] for number in kept]
    parts = [replace(part, keys=tuple(part.keys[number] for number in kept)) for part in parts]
    refuse_same_names(place, [*(column.name for column in types), *key_names])
    typed_keys = key_types(key_names, [[values[number] for number in kept] for values in key_values])
    first = next((triple for triple in zip(seen, parts, lines, strict=True) if triple[0].first_torn), None)
    return TextTable(
        spark=spark,
        kind=kind,
        form=form,
        separator=separator,
        parts=tuple(parts),
        layouts=layouts,
        types=(*types, *typed_keys),
        arrow=(*arrow, *(ARROW_TYPES[column.type] for column in typed_keys)),
        keys=len(key_names),
        urls=tuple(f"file:{url}" if place.is_local else url for url in urls),
        rows=sum(part_seen.rows + part_seen.torn for part_seen in seen),
        torn=sum(part_seen.torn for part_seen in seen),
        first_torn=_torn_words(*first) if first else "",
    )


def _torn_words(part_seen: Seen, part: FilePart, line: int) -> str:
    there, detail = part_seen.first_torn or (0, "")
    return f"{part.part.url}, line {there + line}: {detail}"


def _headers(urls: Sequence[str], sizes: Sequence[int], separator: str, form: TextFormat) -> list[tuple[str, ...]]:
    def header(url: str, size: int) -> tuple[str, ...]:
        with closing(texts_of(TextPart(url=url, size=size), form, piece_bytes=_HEADER_BYTES)) as texts:
            names = CsvReader(url, form, separator).header(texts)
        named = tuple(name or f"_c{number}" for number, name in enumerate(names))
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            places = [str(number) for number, name in enumerate(named, 1) if name == twice]
            raise JobRefused(f"{url}: its columns {' and '.join(places)} have one name, {twice!r}; rename one in the file")
        return named

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(header, urls, sizes))


def _look(spark: SparkSession, look: Look, parts: Sequence[FilePart]) -> list[Seen]:
    size = sum(cost_of(file_part) for file_part in parts)
    if (
        size <= _LITTLE_BYTES
        and len(parts) <= _LITTLE_FILES
        and not any(file_part.part.url.endswith(".gz") for file_part in parts)
    ):
        return [look.at(file_part) for file_part in parts]
    reports = a_task_each(spark, packs(spark, parts)).mapInArrow(look, REPORT).collect()
    seen = {(file, start): Seen(**values) for file, start, values in (json.loads(row["report"]) for row in reports)}
    return [seen[file_part.file, file_part.part.start] for file_part in parts]


def _csv_types(
    layouts: Sequence[Sequence[str]], seen: Sequence[Seen], lines: Sequence[int], files: Sequence[str]
) -> tuple[list[ColumnType], list[pa.DataType]]:
    columns = {name: Evidence() for layout in layouts for name in layout}
    for part_seen, line in zip(seen, lines, strict=True):
        for name, written in part_seen.columns.items():
            columns[name].merge(Evidence.from_json(written), line=line)
    types = [evidence.decide(name, files) for name, evidence in columns.items()]
    return types, [ARROW_TYPES[part_seen.type] for part_seen in types]


def _json_types(
    _layouts: Sequence[Sequence[str]], seen: Sequence[Seen], lines: Sequence[int], files: Sequence[str]
) -> tuple[list[ColumnType], list[pa.DataType]]:
    columns: dict[str, Shape] = {}
    for part_seen, line in zip(seen, lines, strict=True):
        for name, written in part_seen.columns.items():
            columns.setdefault(name, Shape()).merge(Shape.from_json(written), line=line)
    arrow = [shape.arrow for shape in columns.values()]
    names = [from_arrow_type(kind).simpleString() for kind in arrow]
    return [shape.decide(name, files, kind) for (name, shape), kind in zip(columns.items(), names, strict=True)], arrow
