"""Files of one table whose columns differ: new columns, another order, another type; read by name, never by place."""

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq

from bigdata_ml.errors import JobRefused
from bigdata_ml.storage import Location, reading

__all__ = ["Layout", "common_types", "layouts_of"]

_THREADS = 16
_HEADER_BYTES = 1 << 20
# From narrow to wide; a column of several of them becomes the widest.
_WHOLE = ("int8", "int16", "int32", "int64")
_FLOATING = ("float", "double")
_SPARK = {"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "float": "float", "double": "double"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Files that have the same columns in the same order, with Arrow types (CSV: none)."""

    columns: tuple[tuple[str, str], ...]
    files: tuple[str, ...]


def layouts_of(place: Location, files: Sequence[str], *, kind: str, separator: str) -> list[Layout]:
    """Return the layouts of the files, by their first file's path; costs a small read a file.

    Args:
        place: the directory.
        files: paths in it.
        kind: `csv`, `parquet` or `orc`.
        separator: of CSV.

    Raises:
        JobRefused: a file that is not whole, by name.
        StorageUnavailable: a file that may not be read, by name.
    """

    def columns(name: str) -> tuple[tuple[str, str], ...]:
        file = place / name
        return tuple((one, "") for one in _header(file, separator)) if kind == "csv" else _footer(file, kind)

    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(columns, files))
    by_columns: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for name, one in zip(files, found, strict=True):
        by_columns.setdefault(one, []).append(name)
    # An empty CSV has no columns, and nothing to say.
    return [Layout(columns, tuple(names)) for columns, names in by_columns.items() if columns]


def common_types(layouts: Sequence[Layout], place: Location, *, as_text: Collection[str]) -> Mapping[str, str]:
    """Return Spark's type for each column that has several in the layouts.

    Whole numbers and floating ones get the widest; a column named in `as_text` gets `string`, for rules to give it a type.

    Raises:
        JobRefused: a column of other types, naming two files.
    """
    types: dict[str, dict[str, str]] = {}
    for layout in layouts:
        for name, kind in layout.columns:
            types.setdefault(name, {}).setdefault(kind, layout.files[0])
    common = {}
    for name, found in types.items():
        if len(found) < 2:
            continue
        if name in as_text:
            common[name] = "string"
            continue
        widest = _widest(found)
        if widest is None:
            (one, first), (other, second) = list(found.items())[:2]
            raise JobRefused(
                f"{place.url}: column {name!r} is {one} in {first} and {other} in {second}; say by a rule what it is to be "
                f"(--rules, `columns: {{{name}: {{type: …}}}}`), or read these files apart"
            )
        common[name] = widest
    return common


def _widest(kinds: Collection[str]) -> str | None:
    if all(kind in _WHOLE for kind in kinds):
        return _SPARK[max(kinds, key=_WHOLE.index)]
    if all(kind in _WHOLE + _FLOATING for kind in kinds):
        return "double"
    return None


def _header(file: Location, separator: str) -> tuple[str, ...]:
    with reading(file), file.filesystem.open_input_stream(file.path, compression=None) as stream:
        start = bytes(stream.read(_HEADER_BYTES))
    if file.path.endswith(".gz"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(start)) as unpacked:
                start = unpacked.read1(_HEADER_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise JobRefused(f"{file.url}: no whole gzip file: {error}; write it again, or take it away") from error
    text = start.decode(errors="replace").removeprefix("\ufeff")
    return tuple(next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), []))


def _footer(file: Location, kind: str) -> tuple[tuple[str, str], ...]:
    with reading(file):
        opened = file.filesystem.open_input_file(file.path)
    try:
        with opened as stream:
            schema = pq.read_schema(stream) if kind == "parquet" else orc.ORCFile(stream).schema
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise JobRefused(f"{file.url}: no whole {kind.upper()} file: {reason}; write it again, or take it away") from error
    return tuple((one.name, str(one.type).removeprefix("large_")) for one in schema)
