"""Tables of a database, by JDBC: read in parts by many tasks."""

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

# PostgreSQL's driver holds the whole result in memory where it is told no number of rows.
_FETCH_ROWS = 10_000
# Spark's own search takes a wrapper of its own for the driver where one was loaded before.
_DRIVERS = {
    "db2": "com.ibm.db2.jcc.DB2Driver",
    "mariadb": "org.mariadb.jdbc.Driver",
    "mysql": "com.mysql.cj.jdbc.Driver",
    "oracle": "oracle.jdbc.OracleDriver",
    "postgresql": "org.postgresql.Driver",
    "sqlserver": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
}
# Before it the driver, which Spark asks for the column that parts are cut by, counts days by the Julian calendar.
_FIRST_YEAR = 1583
_BOUNDED = (T.IntegralType, T.DecimalType, T.DateType, T.TimestampType, T.TimestampNTZType)


@dataclass(frozen=True, slots=True)
class JdbcParts:
    """How a table is read by several tasks.

    Attributes:
        column: a whole number, date or timestamp, best indexed and evenly spread; rows without a value are read too.
        count: of parts, each a query of its own, 1 or more.
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

    Without `parts` one task reads all. With them the least and greatest value of the column are asked for first, and the stretch
    between is cut into parts of equal width. Each part is a statement of its own: rows that are changed meanwhile may be missed
    or come twice, so read a replica, a snapshot or a table that rests.

    Dates, timestamps and `numeric` columns of PostgreSQL are exact: a value that Spark's type does not hold, such as `infinity`,
    ends the job when it is read. A `time` is text.

    Args:
        spark: the session; the driver must be on its class path (`--packages org.postgresql:postgresql:42.7.7`).
        url: `jdbc:postgresql://host:port/database` and the like; keep the password out of it.
        table: what is read.
        parts: how.
        properties: the driver's: `user`, `password`, `sessionInitStatement` …; `driver`, its class, for databases less known.

    Raises:
        JobRefused: no driver, nobody answers, no such table or column, or a column that parts are not cut by.
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
        # Spark cuts parts by a column of its own type. Its values are exact: the search for the bounds read all of them as text.
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
    # Spark takes whole numbers for bounds; they need not be the column's own.
    down, up = (F.floor, F.ceil) if isinstance(kind, T.DecimalType) else (_as_it_is, _as_it_is)
    column = named(parts.column)
    # As text: Python has no years beyond 9999.
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
