"""Read tables in CSV, JSON, Parquet and ORC files."""

import posixpath
from collections.abc import Collection, Sequence
from dataclasses import replace

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bigdata_ml.dataset.opening.directory_files import is_parquet
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.failures import cause_of
from bigdata_ml.prepare.sources.listing import refuse_unreadable
from bigdata_ml.prepare.sources.tables.columnar import columnar_table
from bigdata_ml.prepare.sources.tables.source_table import SourceTable
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.sources.text_files.table import text_table
from bigdata_ml.storage import Entry, Location, locate

__all__ = ["FORMATS", "file_table", "table"]

FORMATS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".orc": "orc"}


def table(
    spark: SparkSession,
    url: str,
    *,
    null_value: str = "",
    as_text: Collection[str] = (),
    file_column: str = "",
    form: TextFormat | None = None,
) -> DataFrame:
    """Return the rows of a file, or of a directory of files of one format.

    Files of a directory may have different columns in any order; missing ones are null. Numbers of several widths get the widest
    type. A CSV column is a number, date or time only if every value prints back the same.

    Args:
        spark: the session.
        url: of the file or directory; file endings tell the format (.csv, .csv.gz, .tsv, .json, .jsonl, .parquet, .orc).
        null_value: the text that means null in CSV, in addition to empty values.
        as_text: columns whose types come from rules: CSV and JSON values are read as unchanged text, and in other files these
            columns may have several types.
        file_column: add a column of that name with the URL of the file.
        form: how CSV and JSON files are written. CSV needs a header.

    Raises:
        JobRefused: the path does not exist, has no known ending, or cannot be read. A text row is malformed, a column has no
            common type, or Spark has no jar for the store.
    """
    form = form or TextFormat()
    form = replace(form, null_value=null_value or form.null_value)
    return file_table(spark, url, form=form, as_text=as_text, file_column=file_column).rows


def file_table(
    spark: SparkSession,
    url: str,
    *,
    form: TextFormat,
    as_text: Collection[str] = (),
    file_column: str = "",
    torn_column: str = "",
    drop: Collection[str] = (),
    keep: Collection[str] = (),
    lenient: bool = False,
    prefix: str = "",
) -> SourceTable:
    """Return the rows of a table, its omitted columns, and the inferred types.

    Args:
        spark, url, form, as_text, file_column: see `table`.
        torn_column: add a column of that name with the error of each malformed row of a text file, see `TextTable.read`. Without
            it, such rows end the job.
        drop, keep, lenient, prefix: for Parquet and ORC, see `columnar_table`.
    """
    place = locate(url)
    if not place.exists():
        raise JobRefused(f"{place.url}: nothing is there; check the path")
    files = refuse_unreadable(place)
    sizes = {entry.path: entry.size for entry in files}
    names = [entry.path or place.name for entry in files]
    endings = {_ending(place, entry): name for entry, name in zip(files, names, strict=True)}
    kinds = {(FORMATS.get(ending), form.separator_of(ending)) for ending in endings}
    if len(kinds) != 1 or None in (kind for kind, _ in kinds):
        examples = " and ".join(sorted(endings.values())[:3]) or "no file"
        raise JobRefused(f"{place.url}: its files must be of one format, told by {', '.join(FORMATS)}; found {examples}")
    ((kind, separator),) = kinds
    if kind in ("csv", "json"):
        _refuse_mixed_keys(place, names)
        text = text_table(spark, place, sizes, kind=kind, separator=separator, form=form)
        if not text.types:
            raise JobRefused(f"{place.url}: it holds no columns; CSV begins with a line of their names")
        rows = text.read(as_text=as_text, file_column=file_column, torn_column=torn_column)
        return SourceTable(rows, types=text.types, text=text)
    try:
        read = columnar_table(
            spark,
            place,
            names,
            kind=str(kind),
            as_text=as_text,
            drop=drop,
            keep=keep,
            lenient=lenient,
            prefix=prefix,
            file_column=file_column,
        )
    except AnalysisException as error:
        raise JobRefused(f"{place.url}: cannot be read as a table: {cause_of(error)}") from error
    return replace(read, rows=read.rows.withColumn(torn_column, F.lit(None).cast("string"))) if torn_column else read


def _ending(place: Location, file: Entry) -> str:
    """Return the ending that tells the format; Parquet files may have another or none, as written by Hive."""
    name = file.path or place.name
    ending = posixpath.splitext(name.removesuffix(".gz"))[1].lower()
    if ending in FORMATS:
        return ending
    return ".parquet" if is_parquet(place / file.path if file.path else place, name, file.size) else ending


def _refuse_mixed_keys(place: Location, names: Sequence[str]) -> None:
    folders = {part for name in names for part in name.split("/")[:-1]}
    plain = {folder for folder in folders if "=" not in folder}
    if plain and plain != folders:
        raise JobRefused(
            f"{place.url}: directories must either all be key=value or none; {min(plain)!r} is not, {min(folders - plain)!r} is"
        )
