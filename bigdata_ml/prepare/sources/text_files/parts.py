"""Infer types from parts of text files and read their rows, on the executors."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.csv_rows import CsvReader, Torn
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.sources.text_files.inferred_types import Evidence, typed_column
from bigdata_ml.prepare.sources.text_files.json_columns import Shape, converted
from bigdata_ml.prepare.sources.text_files.json_rows import JsonReader
from bigdata_ml.prepare.sources.text_files.stream import TextPart, texts_of

__all__ = ["FilePart", "Look", "Read", "Seen", "packed_parts"]

REPORT = "report string"


@dataclass(frozen=True, kw_only=True, slots=True)
class FilePart:
    """A part of a file of a table.

    Attributes:
        part: its place.
        file: the file's number.
        layout: number of its column names in the layouts of the table.
        is_whole: whether it is the whole file.
        keys: values of the directory keys.
    """

    part: TextPart
    file: int
    layout: int = 0
    is_whole: bool = True
    keys: tuple[str | None, ...] = ()


def packed_parts(parts: Sequence[FilePart]) -> bytes:
    """Return the parts as bytes for a task."""
    return json.dumps([asdict(file_part) for file_part in parts]).encode()


def _unpacked(blob: bytes) -> list[FilePart]:
    return [
        FilePart(**{**file_part, "part": TextPart(**file_part["part"]), "keys": tuple(file_part["keys"])})
        for file_part in json.loads(blob)
    ]


@dataclass(slots=True)
class Seen:
    """Statistics of a part: rows, lines, malformed rows, whether it ends inside a quote, and column statistics."""

    rows: int
    lines: int
    torn: int
    first_torn: tuple[int, str] | None
    is_open: bool
    columns: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _OfParts:
    """Settings for reading parts.

    Attributes:
        kind: `csv` or `json`.
        form, separator: format of the files.
        layouts: column names, for CSV.
    """

    kind: str
    form: TextFormat
    separator: str
    layouts: tuple[tuple[str, ...], ...]

    def reader(self, file_part: FilePart) -> CsvReader:
        return CsvReader(
            file_part.part.url, self.form, self.separator, width=len(self.layouts[file_part.layout]), line=file_part.part.line
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Look(_OfParts):
    """Collects statistics of parts, on the executors, or on the driver for small sources."""

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield a report of each part."""
        for batch in batches:
            for blob in batch.column(0):
                for file_part in _unpacked(blob.as_py()):
                    report = json.dumps([file_part.file, file_part.part.start, asdict(self.at(file_part))])
                    yield pa.RecordBatch.from_pydict({"report": [report]})

    def at(self, file_part: FilePart) -> Seen:
        """Return the statistics of a part."""
        texts = texts_of(file_part.part, self.form)
        return self._csv(file_part, texts) if self.kind == "csv" else self._json(file_part, texts)

    def _csv(self, file_part: FilePart, texts: Iterator[str]) -> Seen:
        reader, names = self.reader(file_part), self.layouts[file_part.layout]
        collected = [Evidence() for _ in names]
        rows, torn, first = 0, 0, None
        for batch in reader.rows(texts, skip_header=file_part.part.is_first, at_end=file_part.is_whole):
            for evidence, column in zip(collected, batch.columns, strict=True):
                evidence.add(column, batch.lines, self.form, file=file_part.file)
            rows += len(batch.lines)
            torn += len(batch.torn)
            first = first or _first(batch.torn)
        columns = {name: evidence.to_json() for name, evidence in zip(names, collected, strict=True)}
        return Seen(rows, reader.line - file_part.part.line, torn, first, reader.is_open, columns)

    def _json(self, file_part: FilePart, texts: Iterator[str]) -> Seen:
        reader, rows_shape = JsonReader(file_part.part.url, file_part.part.line), Shape()
        rows, torn, first = 0, 0, None
        for batch in reader.rows(texts, is_first=file_part.part.is_first):
            for row, line in zip(batch.objects, batch.lines, strict=True):
                rows_shape.add(row, line, file=file_part.file)
            rows += len(batch.lines)
            torn += len(batch.torn)
            first = first or _first(batch.torn)
        columns = {name: shape.to_json() for name, shape in rows_shape.fields.items()}
        return Seen(rows, reader.line - file_part.part.line, torn, first, False, columns)


@dataclass(frozen=True, kw_only=True, slots=True)
class Read(_OfParts):
    """Reads rows of parts, on the executors.

    Attributes:
        schema: the columns, then directory keys, URL of the file, and error.
        names, types: of the columns in the files; types in Spark's words.
        keys: number of directory keys.
        with_file, with_torn: whether URL and error are columns.
        urls: of the files, as in rows.
    """

    schema: pa.Schema
    names: tuple[str, ...]
    types: tuple[str, ...]
    keys: int
    with_file: bool
    with_torn: bool
    urls: tuple[str, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the parts."""
        for batch in batches:
            for blob in batch.column(0):
                for file_part in _unpacked(blob.as_py()):
                    yield from self._of(file_part)

    def _of(self, file_part: FilePart) -> Iterator[pa.RecordBatch]:
        texts = texts_of(file_part.part, self.form)
        try:
            if self.kind == "csv":
                for batch in self.reader(file_part).rows(texts, skip_header=file_part.part.is_first):
                    columns = self._csv(file_part, batch.columns, len(batch.lines))
                    yield from self._rows(file_part, columns, len(batch.lines), batch.torn)
            else:
                reader = JsonReader(file_part.part.url, file_part.part.line)
                for objects in reader.rows(texts, is_first=file_part.part.is_first):
                    yield from self._rows(file_part, self._json(objects.objects), len(objects.lines), objects.torn)
        except (pa.ArrowInvalid, ValueError) as error:
            changed = f"{file_part.part.url}: it has values it had not before, it changes while the job reads it"
            raise JobRefused(f"{changed}: {error}") from error

    def _csv(self, file_part: FilePart, columns: Sequence[pa.Array], rows: int) -> list[pa.Array]:
        there = dict(zip(self.layouts[file_part.layout], columns, strict=True))
        return [
            typed_column(there[name], kind, self.form) if name in there else pa.nulls(rows, field.type)
            for name, kind, field in zip(self.names, self.types, self.schema, strict=False)
        ]

    def _json(self, objects: Sequence[Mapping[str, Any]]) -> list[pa.Array]:
        columns = zip(self.names, self.schema, strict=False)
        return [converted([row.get(name) for row in objects], field.type) for name, field in columns]

    def _rows(self, file_part: FilePart, columns: list[pa.Array], rows: int, torn: Sequence[Torn]) -> Iterator[pa.RecordBatch]:
        if rows:
            yield self._batch(file_part, columns, [None] * rows)
        if torn:
            if not self.with_torn:
                first = torn[0]
                raise JobRefused(f"{file_part.part.url}, line {first.line}: {first.detail}")
            nothing = [pa.nulls(len(torn), field.type) for field in list(self.schema)[: len(self.names)]]
            yield self._batch(file_part, nothing, [_written(row) for row in torn])

    def _batch(self, file_part: FilePart, columns: list[pa.Array], torn: Sequence[str | None]) -> pa.RecordBatch:
        rows, fields = len(torn), list(self.schema)[len(self.names) :]
        more = [_repeated(value, rows, kind.type) for value, kind in zip(file_part.keys, fields, strict=False)]
        more += [pa.repeat(pa.scalar(self.urls[file_part.file], pa.string()), rows)] if self.with_file else []
        more += [pa.array(torn, pa.string())] if self.with_torn else []
        return pa.RecordBatch.from_arrays([*columns, *more], schema=self.schema)


def _repeated(value: str | None, rows: int, kind: pa.DataType) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), rows).cast(kind)


def _first(torn: Sequence[Torn]) -> tuple[int, str] | None:
    return (torn[0].line, torn[0].detail) if torn else None


def _written(row: Torn) -> str:
    text = json.dumps({"__line": row.line, "__text": row.text}, ensure_ascii=False)
    return json.dumps({"reason": row.reason, "detail": f"line {row.line}: {row.detail}", "row": text}, ensure_ascii=False)
