"""Sources read from real stores: images on HDFS and S3, tables in Hive and in PostgreSQL."""

import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from daemons import end
from native import Cluster
from postgres_server import Postgres, running_postgres
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import TableJob, parse_rules, prepare_table, profile_table
from bigdata_ml.prepare.session.failures import refused_by_spark
from bigdata_ml.prepare.sources import JdbcParts, archives, images, jdbc
from bigdata_ml.prepare.sources import hive as hive_table
from bigdata_ml.storage import locate

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

FILES = {"cats/a b.png": b"1" * 100, "cats/ü%20.png": b"2" * 3000, "dogs/deep/x=1.png": b"3", "top.png": b"4"}
LABELS = {"cats/a b.png": "cats", "cats/ü%20.png": "cats", "dogs/deep/x=1.png": "deep", "top.png": None}


def found(rows: Any) -> dict[str, tuple[str | None, bytes]]:
    return {row["path"]: (row["label"], bytes(row["content"])) for row in rows.collect()}


@pytest.mark.parametrize("store", ["hdfs", "webhdfs", "s3"])
def test_images_are_read_from_every_store_as_files_and_in_an_archive(session: SparkSession, place: str, tmp_path: Path) -> None:
    root = locate(place)
    for path, data in FILES.items():
        (root / "files" / path).write_bytes(data)
        (tmp_path / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / path).write_bytes(data)
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(tmp_path / "files", arcname="")
    (root / "all.tar").write_bytes((tmp_path / "all.tar").read_bytes())
    wanted = {path: (LABELS[path], data) for path, data in FILES.items()}
    assert found(images(session, f"{place}/files").rows) == wanted
    assert found(images(session, f"{place}/files/cats/*.png").rows).keys() == {"a b.png", "ü%20.png"}
    assert found(archives(session, f"{place}/all.tar").rows) == {f"all.tar!/{path}": one for path, one in wanted.items()}


@pytest.fixture
def animals(session: SparkSession) -> str:
    """A partitioned table of the metastore, in a database of its own."""
    session.sql("CREATE DATABASE IF NOT EXISTS zoo")
    session.sql("DROP TABLE IF EXISTS zoo.animals")
    rows = [(number, ("ant", "bee", "cow")[number % 3], (6, 6, 4)[number % 3]) for number in range(60)]
    session.createDataFrame(rows, "id long, name string, legs int").write.partitionBy("legs").saveAsTable("zoo.animals")
    return "zoo.animals"


def test_a_hive_table_and_a_query_over_it_are_read(session: SparkSession, animals: str) -> None:
    assert hive_table(session, animals).count() == 60
    few = hive_table(session, query="SELECT name, count(*) AS n FROM zoo.animals WHERE legs = 6 GROUP BY name")
    assert sorted(tuple(row) for row in few.collect()) == [("ant", 20), ("bee", 20)]
    with pytest.raises(JobRefused, match=r"Hive table zoo\.nothing"):
        hive_table(session, "zoo.nothing")
    with pytest.raises(JobRefused, match=r"Hive query: .*cannot be resolved"):
        hive_table(session, query="SELECT FROM WHERE")


def test_a_partition_whose_directory_is_gone_is_named(session: SparkSession, animals: str, hive: Cluster) -> None:
    locate(f"{hive.hdfs}/warehouse/zoo.db/animals/legs=4").delete()
    session.sql("CREATE OR REPLACE VIEW zoo.names AS SELECT DISTINCT name FROM zoo.animals")
    gone = r"the directory of partition legs=4 of spark_catalog\.zoo\.animals is gone: .*MSCK REPAIR TABLE spark_catalog\.zoo"
    with pytest.raises(JobRefused, match=f"Hive table zoo.animals: {gone}"):
        hive_table(session, animals)
    with pytest.raises(JobRefused, match=f"Hive table zoo.names: {gone}"):
        hive_table(session, "zoo.names")
    for query in (
        "SELECT name, count(*) FROM zoo.animals GROUP BY name",
        "WITH few AS (SELECT * FROM zoo.animals LIMIT 3) SELECT id FROM few",
        "SELECT 1 AS one WHERE EXISTS (SELECT * FROM zoo.animals WHERE legs = 4)",
    ):
        with pytest.raises(JobRefused, match=f"Hive query: {gone}"):
            hive_table(session, query=query)


def test_a_hive_table_becomes_a_dataset_on_hdfs(session: SparkSession, animals: str, hive: Cluster) -> None:
    url = f"{hive.hdfs}/datasets/animals"
    job = TableJob(source=f"hive:{animals}", dataset=url, label="name", split="train=1", split_key="id", replace=True)
    for _ in range(2):
        assert prepare_table(session, job).rows == 60
        assert validate(url) == []
    assert Dataset.open(url).vocabularies["name"].values == ("ant", "bee", "cow")


@pytest.mark.parametrize("source", ["hive:zoo.animals", "hive:SELECT id, name, legs FROM zoo.animals"])
def test_the_profile_of_a_hive_table_suggests_rules_of_its_columns(session: SparkSession, animals: str, source: str) -> None:
    found = profile_table(session, source)
    assert (found.source, found.rows) == (source, 60)
    assert {one.name: one.inferred for one in found.columns} == {"id": "bigint", "name": "string", "legs": "int"}
    assert {one.name for one in parse_rules(found.rules()).columns} == {"id", "name", "legs"}


TABLE = """
CREATE TABLE readings AS
SELECT i AS id, i % 7 AS sensor, i / 4.0 AS value, TIMESTAMP '2024-01-01' + i * INTERVAL '1 minute' AS at,
       CASE WHEN i % 5 = 0 THEN NULL ELSE 'text ' || i END AS note, i % 2 = 0 AS late
FROM generate_series(1, 5000) AS i;
INSERT INTO readings (id, sensor) VALUES (NULL, 1);
"""


@pytest.fixture(scope="module")
def readings(postgres: Postgres) -> dict[str, str]:
    postgres.run_sql(TABLE)
    return {"user": postgres.user, "password": postgres.password}


@pytest.mark.parametrize("column", ["id", "value", "at"])
def test_a_table_of_postgresql_is_read_in_parts_each_row_once(
    session: SparkSession, postgres: Postgres, readings: dict[str, str], column: str
) -> None:
    rows = jdbc(session, postgres.jdbc_url, "readings", parts=JdbcParts(column, 5), properties=readings)
    assert rows.rdd.getNumPartitions() == 5
    ids = [row["id"] for row in rows.select("id").collect()]
    assert sorted(one for one in ids if one is not None) == list(range(1, 5001))
    assert ids.count(None) == 1
    # Each part has its share.
    assert max(len(part) for part in rows.select("id").rdd.glom().collect()) < 1100


EXACT = """
CREATE TABLE exact (id int, day date, hour time, n numeric, m numeric(10, 3), "at.it" timestamp, zoned timestamptz);
INSERT INTO exact VALUES
    (1, '1582-10-10', '24:00:00', 12.3400, 1.5, '2024-07-01 10:00:00.123456', '2024-07-01 10:00:00+05:30'),
    (2, '10000-01-01', '00:00:00.123456', 0.000000000000000001, -1.25, '0001-01-01', '1850-01-01 00:00:00+00'),
    (3, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE inexact (id int, day date, at timestamp, n numeric, wide numeric(60, 30));
INSERT INTO inexact VALUES (1, 'infinity', '2024-01-01', 1.1234567890123456789, 1.123456789),
    (2, '2024-01-01', '-infinity', 'NaN', 1), (3, '0044-03-15 BC', NULL, 1, 1);
"""


def test_values_of_postgresql_are_exact_or_end_the_job(
    session: SparkSession, postgres: Postgres, readings: dict[str, str]
) -> None:
    postgres.run_sql(EXACT)
    for parts in (None, JdbcParts("id", 2), JdbcParts("n", 2), JdbcParts("zoned", 2)):
        rows = jdbc(session, postgres.jdbc_url, "exact", parts=parts, properties=readings).orderBy("id")
        texts = rows.selectExpr("string(day)", "hour", "string(n)", "string(m)", "string(`at.it`)", "string(zoned)").collect()
        assert tuple(texts[0]) == (
            "1582-10-10", "24:00:00", "12.340000000000000000", "1.500", "2024-07-01 10:00:00.123456", "2024-07-01 04:30:00",
        )  # fmt: skip
        assert tuple(texts[1]) == (
            "+10000-01-01", "00:00:00.123456", "0.000000000000000001", "-1.250", "0001-01-01 00:00:00", "1850-01-01 00:00:00",
        )  # fmt: skip
        assert tuple(texts[2]) == (None,) * 6
    with pytest.raises(JobRefused, match="the least of 'day' is 1582-10-10"):
        jdbc(session, postgres.jdbc_url, "exact", parts=JdbcParts("day", 2), properties=readings)
    for column, where, said in (
        ("day", "id = 1", "infinity is no exact date"),
        ("day", "id = 3", "0044-03-15 BC is no exact date"),
        ("at", "id = 2", "-infinity is no exact timestamp"),
        ("n", "id = 1", "1.1234567890123456789 is no exact"),
        ("n", "id = 2", "NaN is no exact"),
        ("wide", "id = 1", "is no exact"),
    ):
        query = f"(SELECT {column} FROM inexact WHERE {where}) AS q"
        with pytest.raises(PySparkException, match=f"column '{column}': .*{said}"):
            jdbc(session, postgres.jdbc_url, query, properties=readings).collect()


def test_a_query_is_read_and_what_is_wrong_is_said_without_the_password(
    session: SparkSession, postgres: Postgres, readings: dict[str, str]
) -> None:
    few = jdbc(
        session, postgres.jdbc_url, "(SELECT sensor, count(*) AS n FROM readings GROUP BY sensor) AS s", properties=readings
    )
    assert few.count() == 7
    for table, parts, said in (
        ("nothing", None, 'relation "nothing" does not exist'),
        ("readings", JdbcParts("no", 2), "has no column 'no'"),
        ("readings", JdbcParts("note", 2), "'note' is string"),
    ):
        with pytest.raises(JobRefused, match=said) as error:
            jdbc(session, postgres.jdbc_url, table, parts=parts, properties=readings)
        assert postgres.password not in str(error.value)
    with pytest.raises(JobRefused, match="the driver of that database is not there"):
        jdbc(session, "jdbc:nothing://x/y", "t")


def test_a_table_of_postgresql_becomes_a_dataset(
    session: SparkSession, postgres: Postgres, readings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JDBC_USER", postgres.user)
    monkeypatch.setenv("JDBC_PASSWORD", postgres.password)
    source = f"{postgres.jdbc_url}#readings#id/4"
    job = TableJob(source=source, dataset=str(tmp_path / "d"), label="late", split_key="id", max_refused=("label_missing=1",))
    assert prepare_table(session, job).rows == 5000
    assert validate(tmp_path / "d") == []
    written = b"".join(path.read_bytes() for path in (tmp_path / "d").rglob("*") if path.is_file())
    assert postgres.password.encode() not in written
    profile = profile_table(session, source)
    nulls = {one.name: one.seen.nulls for one in profile.columns if one.seen is not None}
    assert (profile.rows, nulls["id"], nulls["sensor"], nulls["note"]) == (5001, 1, 0, 1001)


def test_a_database_that_goes_away_in_the_middle_publishes_nothing(session: SparkSession, tmp_path: Path) -> None:
    with running_postgres() as server:
        server.run_sql(TABLE)
        server.run_sql("CREATE VIEW slow AS SELECT id, late, pg_sleep(0.001)::text AS s FROM readings;")
        os.environ |= {"JDBC_USER": server.user, "JDBC_PASSWORD": server.password}
        try:
            stopping = threading.Timer(3.0, end, [[server.daemon]])
            stopping.start()
            source = f"{server.jdbc_url}#(SELECT id, late FROM slow WHERE s IS NOT NULL) AS t#id/4"
            job = TableJob(source=source, dataset=str(tmp_path / "d"), label="late", split_key="id")
            with pytest.raises(JobRefused), refused_by_spark(source):
                prepare_table(session, job)
            stopping.join()
        finally:
            del os.environ["JDBC_USER"], os.environ["JDBC_PASSWORD"]
    assert not (tmp_path / "d").exists()
    assert list(tmp_path.iterdir()) == []
