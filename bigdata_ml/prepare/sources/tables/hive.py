"""Read Hive tables, and SQL queries over them."""

from collections.abc import Iterator
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from bigdata_ml.errors import JobRefused, StorageUnavailable
from bigdata_ml.prepare.session.failures import cause_of
from bigdata_ml.storage import locate

__all__ = ["hive"]


def hive(spark: SparkSession, table: str | None = None, *, query: str | None = None) -> DataFrame:
    """Return the rows of a table or query by the Hive metastore.

    Args:
        spark: a session with Hive's catalogue: `spark_session(name, hive=True)`. The metastore's address comes from
            `hive-site.xml` in HADOOP_CONF_DIR or from `spark.hadoop.hive.metastore.uris`.
        table: `table` or `database.table`.
        query: Spark SQL over tables, instead of a table.

    Raises:
        ValueError: not exactly one of table and query.
        JobRefused: the table does not exist, the query is invalid, or the session has no Hive catalogue. The directory of a
            partition is missing, also behind a view or subquery: Spark would skip it silently.
    """
    if (table is None) == (query is None):
        raise ValueError("give exactly one of table and query")
    if spark.conf.get("spark.sql.catalogImplementation", "in-memory") != "hive":
        raise JobRefused(
            "the Spark session has no Hive catalogue; make it by spark_session(NAME, hive=True), or give spark-submit "
            "--conf spark.sql.catalogImplementation=hive"
        )
    source = f"Hive table {table}" if table is not None else "Hive query"
    try:
        rows = spark.table(table) if table is not None else spark.sql(query or "")
    except PySparkException as error:
        raise JobRefused(f"{source}: {cause_of(error)}") from error
    for metadata in _tables_of(rows):
        gone = next(_gone_partitions(spark, metadata), None)
        if gone is not None:
            name = metadata.identifier().unquotedString()
            raise JobRefused(
                f"{source}: the directory of partition {gone[0]} of {name} is gone: {gone[1]}; put it back, or have Hive forget "
                f"it: MSCK REPAIR TABLE {name} DROP PARTITIONS"
            )
    return rows


def _tables_of(rows: DataFrame) -> Iterator[Any]:
    """Yield catalogue metadata of each table that rows are read from, also behind views and subqueries."""
    plans = [rows._jdf.queryExecution().analyzed()]
    while plans:
        plan = plans.pop()
        nested, leaves = plan.subqueriesAll(), plan.collectLeaves()
        plans += [nested.apply(number) for number in range(nested.size())]
        for number in range(leaves.size()):
            leaf = leaves.apply(number)
            kind = leaf.getClass().getSimpleName()
            if kind == "HiveTableRelation":
                yield leaf.tableMeta()
            elif kind == "LogicalRelation" and leaf.catalogTable().isDefined():
                yield leaf.catalogTable().get()


def _gone_partitions(spark: SparkSession, table: Any) -> Iterator[tuple[str, str]]:
    """Yield (partition, URL of its directory) for partitions whose directory is missing."""
    if table.partitionColumnNames().isEmpty():
        return
    partitions = spark._jsparkSession.sessionState().catalog().listPartitions(table.identifier(), _nothing(spark))
    for number in range(partitions.size()):
        partition = partitions.apply(number)
        url = partition.location().toString()
        try:
            is_there = locate(url if "://" in url else url.replace("file:", "file://", 1)).exists()
        except (StorageUnavailable, ValueError):
            # Only Spark reaches this store.
            continue
        if not is_there:
            yield str(partition.spec().mkString(", ")).replace(" -> ", "="), url


def _nothing(spark: SparkSession) -> object:
    """Return Scala's None."""
    jvm: Any = spark._jvm
    return getattr(getattr(jvm.scala, "None$"), "MODULE$")
