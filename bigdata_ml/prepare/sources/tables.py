"""Tables in files: CSV, JSON lines, Parquet, ORC."""

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session import spark_path
from bigdata_ml.storage import locate

__all__ = ["FORMATS", "table"]

FORMATS = {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet", ".orc": "orc"}


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
    names = [place.name] if not place.is_directory() else [path for path, _ in place.walk()]
    endings = {ending for name in names for ending in FORMATS if name.removesuffix(".gz").endswith(ending)}
    formats = {FORMATS[ending] for ending in endings}
    if len(formats) != 1:
        found = f"found {', '.join(sorted(formats))}" if formats else f"none of {len(names)} files ends so"
        raise JobRefused(f"{place.url}: its files must be of one format, told by {', '.join(FORMATS)}; {found}")
    options = {"header": "true", "inferSchema": "true", "nullValue": null_value, "mode": "FAILFAST"}
    if ".tsv" in endings:
        options["sep"] = "\t"
    try:
        return spark.read.format(formats.pop()).options(**options).load(spark_path(place))
    except AnalysisException as error:
        raise JobRefused(f"{place.url}: cannot be read as a table: {error}") from error
