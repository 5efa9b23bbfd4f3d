"""The command line of each daemon."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from configuration import HOST
from failures import ClusterFailed
from jars import maven_jars, pyspark_jars

__all__ = ["command_of", "environment_of", "format_command"]

# Small heaps and the quick compiler: five daemons are up in a third of the time, and in 1.5 GB.
_JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_HDFS = "org.apache.hadoop.hdfs.server"
_YARN = "org.apache.hadoop.yarn.server"
_METASTORE_SETTINGS = {
    "datanucleus.schema.autoCreateAll": "true",
    "hive.metastore.schema.verification": "false",
    # Its logger needs a library that Spark leaves out.
    "hive.async.log.enabled": "false",
}


def command_of(name: str, *, state: Path, ports: Mapping[str, int], mark: str, namenode_heap: str) -> list[str]:
    """Return what starts the daemon `name`, with `mark` among the JVM's arguments; `namenode_heap` is as Java's -Xmx has it."""
    if name == "metastore":
        return _metastore(state, ports, mark)
    if name.startswith("datanode"):
        return [*_hadoop(state, mark, name), f"{_HDFS}.datanode.DataNode", *_datanode_settings(name, state, ports)]
    main = {
        "namenode": f"{_HDFS}.namenode.NameNode",
        "resourcemanager": f"{_YARN}.resourcemanager.ResourceManager",
        "nodemanager": f"{_YARN}.nodemanager.NodeManager",
    }[name]
    # Guice makes classes in java.lang.
    opens = ["--add-opens", "java.base/java.lang=ALL-UNNAMED"] if name.endswith("manager") else []
    # Of two sizes Java takes the last.
    heap = [f"-Xmx{namenode_heap}"] if name == "namenode" else []
    return [*_hadoop(state, mark, name), *heap, *opens, main]


def format_command(*, state: Path, mark: str) -> list[str]:
    """Return what makes the NameNode's empty directory."""
    return [*_hadoop(state, mark, "format"), f"{_HDFS}.namenode.NameNode", "-format", "-nonInteractive"]


def environment_of(state: Path) -> dict[str, str]:
    """Return the environment of daemons: this one's, with the configuration and a JAVA_HOME that containers inherit."""
    return {**os.environ, "HADOOP_CONF_DIR": str(state / "conf"), "JAVA_HOME": str(Path(_java()).resolve().parent.parent)}


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java")
    if java is None or not os.access(java, os.X_OK):
        raise ClusterFailed(
            f"the daemons need Java 17 or newer, and {java or 'java'} is not there: scripts/check-java.sh says more"
        )
    return java


def _hadoop(state: Path, mark: str, name: str) -> list[str]:
    target = maven_jars()
    classpath = f"{state / 'conf'}:{target / 'pages'}:{target / 'hadoop'}/*"
    settings = [f"-Dhadoop.log.dir={state / 'logs'}", f"-Djava.io.tmpdir={_directory(state / 'tmp' / name)}"]
    return [_java(), *_JVM, mark, *settings, "-cp", classpath]


def _datanode_settings(name: str, state: Path, ports: Mapping[str, int]) -> list[str]:
    settings = {
        "data.dir": f"file://{state / name}",
        "hostname": HOST,
        "address": f"{HOST}:{ports[name]}",
        "http.address": f"{HOST}:{ports[f'{name}_http']}",
        "ipc.address": f"{HOST}:{ports[f'{name}_ipc']}",
    }
    return [part for key, value in settings.items() for part in ("-D", f"dfs.datanode.{key}={value}")]


def _metastore(state: Path, ports: Mapping[str, int], mark: str) -> list[str]:
    settings = {
        **_METASTORE_SETTINGS,
        "javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={state / 'metastore'};create=true",
        "hive.exec.scratchdir": str(_directory(state / "tmp" / "hive")),
    }
    java = [_java(), *_JVM, mark, f"-Dderby.stream.error.file={state / 'logs' / 'derby.log'}"]
    java += [f"-Djava.io.tmpdir={_directory(state / 'tmp' / 'metastore')}", "-Dorg.apache.logging.log4j.level=INFO"]
    classpath = f"{state / 'conf'}:{pyspark_jars()}/*"
    main = ["org.apache.hadoop.hive.metastore.HiveMetaStore", "-p", str(ports["metastore"])]
    return [*java, "-cp", classpath, *main, *(part for item in settings.items() for part in ("--hiveconf", "=".join(item)))]


def _directory(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
