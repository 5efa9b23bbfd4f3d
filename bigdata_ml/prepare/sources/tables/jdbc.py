"""Read tables of a database by JDBC, in parallel parts."""

from collections.abc import Mapping
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.session.columns import named
from bigdata_ml.prepare.session.failures import cause_of
from bigdata_ml.prepare.sources.tables.jdbc_values import exact_values, read_as_text

__all__ = ["JdbcParts", "jdbc"]

# Without a fetch size, PostgreSQL's driver keeps the whole result in memory.
_FETCH_ROWS = 10_000
# Spark's own search finds its wrapper instead of the driver, if one was loaded before.
_DRIVERS = {
    "db2": "com.ibm.db2.jcc.DB2Driver",
    "mariadb": "org.mariadb.jdbc.Driver",
    "mysql": "com.mysql.cj.jdbc.Driver",
    "oracle": "oracle.jdbc.OracleDriver",
    "postgresql": "org.postgresql.Driver",
    "sqlserver": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
}
# For the partition column Spark uses the driver, which counts earlier days by the Julian calendar.
_FIRST_YEAR = 1583
_BOUNDED = (T.IntegralType, T.DecimalType, T.DateType, T.TimestampType, T.TimestampNTZType)


@dataclass(frozen=True, slots=True)
class JdbcParts:
    """How several tasks read a table.

    Attributes:
        column: a whole number, date or timestamp, preferably indexed and evenly distributed; null rows are read too.
        count: number of parts, at least 1; each is a separate query.
    """

    column: str
    count: int

    def __post_init__(self) -> None:
        if not self.column or self.count < 1:
            raise ValueError(f"parts are those of a column, and 1 or more, got {self.column!r} and {self.count}")


def jdbc(
    spark: SparkSession, url: str, table: str, *, parts: JdbcParts | None = None, properties: Mapping[str, str] | None = None
) -> DataFrame:
    """Return the rows of a table, a view, or a query in brackets with a name: `(SELECT … WHERE …) AS recent`.

    Without `parts` one task reads everything. With `parts`, the range from the least to the greatest value of the column is cut
    into parts of equal width. Each part is a separate statement: rows changed meanwhile may be missed or duplicated, so read a
    replica, a snapshot or a table without writers.

    Dates, timestamps and `numeric` columns of PostgreSQL are exact: reading a value that Spark's type cannot hold, such as
    `infinity`, ends the job. A `time` is text.

    Args:
        spark: the session; the driver must be on its class path (`--packages org.postgresql:postgresql:42.7.7`).
        url: such as `jdbc:postgresql://host:port/database`, without the password.
        table: name, or query in brackets.
        parts: how to read in parallel.
        properties: of the driver: `user`, `password`, `sessionInitStatement` …; `driver` is its class for other databases.

    Raises:
        JobRefused: no driver, no response, no such table or column, or a column of another type for parts.
    """
    known = {name: driver for name, driver in _DRIVERS.items() if url.startswith(f"jdbc:{name}:")}
    driver = {"driver": next(iter(known.values()))} if known else {}
    read = spark.read.format("jdbc").options(**{"fetchsize": str(_FETCH_ROWS), **driver, **(properties or {})})
    read = read.option("url", url).option("dbtable", table)
    place = f"{url.partition('?')[0]} table {table}"
    try:
        schema = read.load().schema
        rows = _exact(read, schema, url, place)
        if parts is None:
            return rows
        least, greatest = _bounds(rows, parts, place)
        if least is None:
            return rows
        bounds = {"partitionColumn": parts.column, "lowerBound": least, "upperBound": greatest, "numPartitions": parts.count}
        read = read.options(**{name: str(value) for name, value in bounds.items()})
        # Spark needs the partition column in its own type. Its values are exact: the query for bounds read all of them as text.
        return _exact(read, schema, url, place, parted_by=parts.column)
    except (PySparkException, Py4JJavaError) as error:
        if "ClassNotFoundException" in str(error) or "No suitable driver" in str(error):
            text = "the driver of that database is not there; give spark-submit its jar by --packages or --jars"
            raise JobRefused(f"{place}: {text}") from error
        raise JobRefused(f"{place}: cannot be read: {cause_of(error)}") from error


def _exact(read: DataFrameReader, schema: T.StructType, url: str, place: str, *, parted_by: str = "") -> DataFrame:
    texts = read_as_text(url, T.StructType([field for field in schema if field.name != parted_by]))
    return exact_values(read.option("customSchema", texts).load(), schema, place) if texts else read.load()


def _bounds(rows: DataFrame, parts: JdbcParts, place: str) -> tuple[str | None, str | None]:
    if parts.column not in rows.columns:
        raise JobRefused(f"{place}: has no column {parts.column!r} to cut parts by; it has {', '.join(rows.columns)}")
    kind = rows.schema[parts.column].dataType
    if not isinstance(kind, _BOUNDED):
        raise JobRefused(
            f"{place}: parts are cut by a whole number, date or timestamp; {parts.column!r} is {kind.simpleString()}"
        )
    # Spark expects whole numbers as bounds; the column need not contain them.
    down, up = (F.floor, F.ceil) if isinstance(kind, T.DecimalType) else (_as_it_is, _as_it_is)
    column = named(parts.column)
    # As text, because Python has no years beyond 9999.
    bounds = (down(F.min(column)).cast("string").alias("least"), up(F.max(column)).cast("string").alias("greatest"))
    year = F.year(F.min(column)) if not isinstance(kind, T.IntegralType | T.DecimalType) else F.lit(None)
    row = rows.agg(*bounds, year.alias("year")).collect()[0]
    if row["year"] is not None and row["year"] < _FIRST_YEAR:
        raise JobRefused(
            f"{place}: parts are cut by dates from {_FIRST_YEAR} on; the least of {parts.column!r} is {row['least']}"
        )
    return row["least"], row["greatest"]


def _as_it_is(column: Column) -> Column:
    return column
