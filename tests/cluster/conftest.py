"""Real stores, each started when the first test asks for it and ended with the session."""

import sys
from collections.abc import Iterator
from pathlib import Path

import native
import pytest
from native import Cluster
from postgres_server import Postgres, running_postgres
from pyspark.sql import SparkSession
from s3_server import S3, running_s3

from bigdata_ml.prepare import spark_session


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def hadoop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """HDFS: a NameNode and two DataNodes. The fixtures `yarn` and `hive` add their daemons to it."""
    state = tmp_path_factory.mktemp("hadoop")
    try:
        yield native.up(state, yarn=False, hive=False)
    finally:
        native.down(state)


@pytest.fixture(scope="session")
def yarn(hadoop: Cluster) -> Cluster:
    """The same cluster with YARN's ResourceManager and a NodeManager."""
    return native.start_daemons(hadoop, *native.YARN)


@pytest.fixture(scope="session")
def hive(hadoop: Cluster) -> Cluster:
    """The same cluster with a Hive metastore."""
    return native.start_daemons(hadoop, *native.HIVE)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, empty at first."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_driver() -> Path:
    """PostgreSQL's JDBC driver, a jar."""
    from jars import maven_jars

    (jar,) = (maven_jars() / "jdbc").glob("postgresql-*.jar")
    return jar


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server, whose variables are not set."""
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The S3 server, with AWS's variables set so that clients of this test find it."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(scope="package")
def session(
    hive: Cluster, s3_server: S3, postgres_driver: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SparkSession]:
    """Spark's local mode with Hive's catalogue, PostgreSQL's driver and S3A; its Python workers know the S3 server.

    It is one for all tests.
    """
    from jars import s3a_jars

    settings = {
        "spark.hadoop.hive.metastore.uris": hive.metastore,
        "spark.hadoop.fs.defaultFS": hive.hdfs,
        "spark.sql.warehouse.dir": f"{hive.hdfs}/warehouse",
        "spark.jars": ",".join(map(str, [postgres_driver, *s3a_jars()])),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.sql.shuffle.partitions": "2",
        "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
        **{f"spark.executorEnv.{name}": value for name, value in s3_server.environment.items()},
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    builder.enableHiveSupport().getOrCreate()
    made = spark_session("stores", hive=True)
    yield made
    made.stop()


@pytest.fixture
def place(store: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An URL of the test's own on the store that the test is parametrized with; nothing is there yet."""
    if store == "local":
        return str(tmp_path / "tests/place")
    if store == "s3":
        server = request.getfixturevalue("s3")
        return f"s3://{server.bucket}/{tmp_path.name}/place"
    cluster = request.getfixturevalue("hadoop")
    root = cluster.hdfs if store == "hdfs" else cluster.webhdfs
    return f"{root}/tests/{store}/{tmp_path.name}/place"


@pytest.fixture
def hadoop_environment(hadoop: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, with the variables by which Spark and Hadoop's clients find it."""
    monkeypatch.setenv("HADOOP_CONF_DIR", str(hadoop.conf_dir))
    monkeypatch.setenv("YARN_CONF_DIR", str(hadoop.conf_dir))
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    return hadoop
