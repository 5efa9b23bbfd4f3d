"""Tables in files: CSV, JSON lines, Parquet, ORC."""

import posixpath
from collections.abc import Sequence

import pyarrow.fs as pafs
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.failures import cause_of
from bigdata_ml.prepare.session import spark_path
from bigdata_ml.storage import Location, locate

__all__ = ["FORMATS", "table"]

FORMATS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".orc": "orc"}
# Files are of one kind if they have one format and one separator.
_KINDS = {ending: (kind, "\t" if ending == ".tsv" else ",") for ending, kind in FORMATS.items()}
# A quote in quoted CSV is doubled (RFC 4180), as everyone but Spark writes it.
_OPTIONS = {"header": "true", "inferSchema": "true", "escape": '"', "mode": "FAILFAST"}


def table(spark: SparkSession, url: str, *, null_value: str = "") -> DataFrame:
    """Return the rows of a file, or of a directory of files of one format.

    Args:
        spark: the session.
        url: where it is; the format is told by the files' ending (.csv, .csv.gz, .tsv, .json, .jsonl, .parquet, .orc).
        null_value: the text that means null in CSV, besides nothing at all. CSV needs a header; its types are inferred.

    Raises:
        JobRefused: nothing there, an ending that tells no format, or files that cannot be read.
    """
    place = locate(url)
    if not place.exists():
        raise JobRefused(f"{place.url}: nothing is there; check the path")
    names = [place.name]
    if place.is_directory():
        names = [path for path, info in place.walk() if info.type == pafs.FileType.File]
    endings = {_ending(name): name for name in names}
    kinds = {_KINDS.get(ending) for ending in endings}
    if len(kinds) != 1 or None in kinds:
        found = " and ".join(sorted(endings.values())[:3]) or "no file"
        raise JobRefused(f"{place.url}: its files must be of one format, told by {', '.join(FORMATS)}; found {found}")
    kind, separator = kinds.pop() or ("", "")
    read = spark.read.format(kind).options(**_OPTIONS, sep=separator, nullValue=null_value)
    try:
        rows = read.option("recursiveFileLookup", _is_recursive(place, names)).load(spark_path(place))
    except AnalysisException as error:
        raise JobRefused(f"{place.url}: cannot be read as a table: {cause_of(error)}") from error
    if not rows.columns:
        raise JobRefused(f"{place.url}: it holds no columns; CSV begins with a line of their names")
    return rows


def _ending(name: str) -> str:
    return posixpath.splitext(name.removesuffix(".gz"))[1]


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
