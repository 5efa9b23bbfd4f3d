"""Tables in files: CSV, JSON lines, Parquet, ORC."""

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, DataFrameReader, SparkSession
from pyspark.sql.types import StringType, StructField, StructType

from bigdata_ml.dataset.directory_files import is_parquet
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.columns import named
from bigdata_ml.prepare.failures import cause_of
from bigdata_ml.prepare.session import escape_glob, spark_path
from bigdata_ml.prepare.sources.columnar_tables import columnar_table
from bigdata_ml.prepare.sources.evolution import Layout, common_types, layouts_of
from bigdata_ml.prepare.sources.file_urls import file_url
from bigdata_ml.prepare.sources.listing import refuse_unreadable
from bigdata_ml.prepare.sources.source_table import SourceTable
from bigdata_ml.storage import Entry, Location, locate

__all__ = ["FORMATS", "file_table", "table"]

FORMATS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".orc": "orc"}
# Files are of one kind if they have one format and one separator.
_KINDS = {ending: (kind, "\t" if ending == ".tsv" else ",") for ending, kind in FORMATS.items()}
# A quote in quoted CSV is doubled (RFC 4180), as everyone but Spark writes it.
_OPTIONS = {"header": "true", "inferSchema": "true", "escape": '"', "mode": "FAILFAST"}


def table(
    spark: SparkSession, url: str, *, null_value: str = "", as_text: Collection[str] = (), file_column: str = ""
) -> DataFrame:
    """Return the rows of a file, or of a directory of files of one format.

    Files of a directory may have columns that others lack (they are null there), in any order; whole numbers and floating
    ones of several widths get the widest.

    Args:
        spark: the session.
        url: where it is; the format is told by the files' ending (.csv, .csv.gz, .tsv, .json, .jsonl, .parquet, .orc, in
            upper case, too); Parquet files may have another ending or none.
        null_value: the text that means null in CSV, besides nothing at all. CSV needs a header; its types are inferred.
        as_text: columns that rules give their types: of CSV and JSON the text that stands there is read, and in other files
            they may have several types.
        file_column: add a column of that name: the URL of the row's file.

    Raises:
        JobRefused: nothing there, an ending that tells no format, files that cannot be read, a column of types that have
            nothing in common, or files on a store for which Spark has no jar.
    """
    return file_table(spark, url, null_value=null_value, as_text=as_text, file_column=file_column).rows


def file_table(
    spark: SparkSession,
    url: str,
    *,
    null_value: str = "",
    as_text: Collection[str] = (),
    file_column: str = "",
    drop: Collection[str] = (),
    keep: Collection[str] = (),
    lenient: bool = False,
) -> SourceTable:
    """Return the rows of `table`, and what was left out; see `columnar_table` for `drop`, `keep` and `lenient`."""
    place = locate(url)
    if not place.exists():
        raise JobRefused(f"{place.url}: nothing is there; check the path")
    files = refuse_unreadable(place)
    names = [one.path or place.name for one in files]
    endings = {_ending(place, one): name for one, name in zip(files, names, strict=True)}
    kinds = {_KINDS.get(ending) for ending in endings}
    if len(kinds) != 1 or None in kinds:
        found = " and ".join(sorted(endings.values())[:3]) or "no file"
        raise JobRefused(f"{place.url}: its files must be of one format, told by {', '.join(FORMATS)}; found {found}")
    kind, separator = kinds.pop() or ("", "")
    if kind in ("parquet", "orc"):
        try:
            return columnar_table(
                spark, place, names, kind=kind, as_text=as_text, drop=drop, keep=keep, lenient=lenient, file_column=file_column
            )
        except AnalysisException as error:
            raise JobRefused(f"{place.url}: cannot be read as a table: {cause_of(error)}") from error
    read = _Reading(spark, place, kind, {**_OPTIONS, "sep": separator, "nullValue": null_value}, as_text, file_column)
    recursive = _is_recursive(place, names)
    try:
        layouts = layouts_of(place, names, kind=kind, separator=separator) if kind != "json" and len(names) > 1 else []
        if len(layouts) > 1:
            rows = read.several(layouts)
        else:
            rows = read.one([spark_path(spark, place)], {"recursiveFileLookup": str(recursive).lower()})
    except AnalysisException as error:
        raise JobRefused(f"{place.url}: cannot be read as a table: {cause_of(error)}") from error
    if not [name for name in rows.columns if name != file_column]:
        raise JobRefused(f"{place.url}: it holds no columns; CSV begins with a line of their names")
    return SourceTable(rows)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How files are read, whichever they are."""

    spark: SparkSession
    place: Location
    kind: str
    options: Mapping[str, str]
    as_text: Collection[str]
    file_column: str

    def one(self, paths: Sequence[str], options: Mapping[str, str], as_text: Collection[str] = ()) -> DataFrame:
        """Read files of one layout."""
        texts = {*self.as_text, *as_text}
        rows = self._reader(options).load(list(paths))
        kept = [StructField(one.name, StringType()) if one.name in texts else one for one in rows.schema]
        if self.kind in ("csv", "json") and any(now.dataType != one.dataType for now, one in zip(kept, rows.schema, strict=True)):
            # What was inferred has lost leading zeros and the like.
            rows = self._reader(options).schema(StructType(kept)).load(list(paths))
        return rows.select("*", file_url().alias(self.file_column)) if self.file_column else rows

    def several(self, layouts: Sequence[Layout]) -> DataFrame:
        """Read files of several layouts, and put their columns together by name."""
        types = common_types(layouts, self.place, as_text=self.as_text)
        root = spark_path(self.spark, self.place)
        options = {"basePath": root}
        paths = [[f"{root}/{escape_glob(name)}" for name in layout.files] for layout in layouts]
        parts = [self.one(one, options) for one in paths]
        if self.kind == "csv":
            types = _inferred(parts)
            texts = [name for name, kind in types.items() if kind == "string"]
            parts = [
                self.one(one, options, texts) if set(texts) & set(part.columns) else part
                for one, part in zip(paths, parts, strict=True)
            ]
        parts = [
            part.withColumns({name: named(name).cast(kind) for name, kind in types.items() if name in part.columns})
            for part in parts
        ]
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.unionByName(part, allowMissingColumns=True)
        # Read from the file before the union, which hides it.
        return whole

    def _reader(self, options: Mapping[str, str]) -> DataFrameReader:
        return self.spark.read.format(self.kind).options(**{**self.options, **options})


def _inferred(parts: Sequence[DataFrame]) -> dict[str, str]:
    """Return one type for each column that CSV files of several layouts were found to have several of."""
    kinds: dict[str, set[str]] = {}
    for part in parts:
        for one in part.schema:
            kinds.setdefault(one.name, set()).add(one.dataType.simpleString())
    wide = ("int", "bigint", "double")
    return {
        name: max(found, key=wide.index) if found <= set(wide) else "string" for name, found in kinds.items() if len(found) > 1
    }


def _ending(place: Location, file: Entry) -> str:
    """Return the ending that tells a file's format; Parquet files may have others, or none, as Hive writes them."""
    name = file.path or place.name
    ending = posixpath.splitext(name.removesuffix(".gz"))[1].lower()
    if ending in _KINDS:
        return ending
    return ".parquet" if is_parquet(place / file.path if file.path else place, name, file.size) else ending


def _is_recursive(place: Location, names: Sequence[str]) -> bool:
    """Whether directories below are no more than places of files; otherwise each is `key=value`, a column to Spark.

    Where it is told neither, Spark passes over the files in directories that are not `key=value`.
    """
    folders = {part for name in names for part in name.split("/")[:-1]}
    plain = {folder for folder in folders if "=" not in folder}
    if plain and plain != folders:
        raise JobRefused(
            f"{place.url}: directories must either all be key=value or none; {min(plain)!r} is not, {min(folders - plain)!r} is"
        )
    return bool(plain)
