"""HDFS, YARN and a Hive metastore as plain processes of this machine: `python cluster/native.py up|down|status --state DIR`."""

import argparse
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from commands import command_of, environment_of, format_command
from configuration import HOST, PORTS, free_ports, is_free, write_configuration
from daemons import Daemon, end, is_running, kill, last_lines, launch
from failures import ClusterFailed
from jars import maven_jars
from readiness import datanode_is_ready, metastore_is_ready, namenode_is_ready, yarn_is_ready

__all__ = ["HDFS", "HIVE", "YARN", "Cluster", "daemon_of", "down", "kill_daemon", "start_daemons", "status", "up"]

HDFS = ("namenode", "datanode1", "datanode2")
YARN = ("resourcemanager", "nodemanager")
HIVE = ("metastore",)
_FILE = "cluster.json"
_READY_SECONDS = 180.0
_NAMENODE_HEAP = "256m"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """A cluster that was started: where it keeps its files, its ports, its daemons by name, its NameNode's heap."""

    state: Path
    mark: str
    ports: Mapping[str, int]
    daemons: Mapping[str, Daemon]
    namenode_heap: str = _NAMENODE_HEAP

    @property
    def hdfs(self) -> str:
        """HDFS's URL without a path."""
        return f"hdfs://{HOST}:{self.ports['namenode']}"

    @property
    def webhdfs(self) -> str:
        """The URL of HDFS's REST interface without a path."""
        return f"webhdfs://{HOST}:{self.ports['namenode_http']}"

    @property
    def namenode_page(self) -> str:
        """The NameNode's own page; /jmx under it has its counters."""
        return f"http://{HOST}:{self.ports['namenode_http']}"

    @property
    def yarn_page(self) -> str:
        """The ResourceManager's own page; /ws/v1 under it is its REST interface."""
        return f"http://{HOST}:{self.ports['resourcemanager_http']}"

    @property
    def metastore(self) -> str:
        """The Hive metastore's URI, as hive.metastore.uris has it."""
        return f"thrift://{HOST}:{self.ports['metastore']}"

    @property
    def conf_dir(self) -> Path:
        """What HADOOP_CONF_DIR has to be for clients: core-site.xml, hdfs-site.xml, yarn-site.xml, hive-site.xml."""
        return self.state / "conf"


def up(state: Path, *, yarn: bool = True, hive: bool = True, namenode_heap: str = _NAMENODE_HEAP) -> Cluster:
    """Start the daemons and return when all are ready; what HDFS and the metastore held in `state` before is there again.

    The NameNode holds every file and block in its heap, 256 MB unless `namenode_heap` (as Java's -Xmx has it) says otherwise.

    Raises:
        ClusterFailed: they run already, a port is taken, something needed is missing, or a daemon failed (the others are ended).
    """
    state = state.resolve()
    before = _load(state)
    if before is not None and any(map(is_running, before.daemons.values())):
        raise ClusterFailed(f"{state}: its daemons run already; end them first: python cluster/native.py down --state {state}")
    # Tables in the metastore name HDFS by its port, so the ports stay.
    ports = before.ports if before is not None else free_ports(PORTS)
    names = HDFS + (YARN if yarn else ()) + (HIVE if hive else ())
    taken = sorted(port for name, port in ports.items() if name.split("_")[0] in names and not is_free(port))
    if taken:
        raise ClusterFailed(f"{state}: somebody listens on its port {taken[0]} by now; end that, or give another --state")
    write_configuration(state, ports, jars=maven_jars() / "hadoop")
    mark = f"-Dbigdata_ml.cluster={uuid.uuid4().hex}"
    cluster = Cluster(state=state, mark=mark, ports=ports, daemons={}, namenode_heap=namenode_heap)
    _format(cluster)
    _save(cluster)
    try:
        return start_daemons(cluster, *names)
    except BaseException:
        down(state)
        raise


def down(state: Path) -> list[str]:
    """End the daemons that were started in `state` and still run; return their names. Their files stay."""
    cluster = _load(state.resolve())
    running = [daemon for daemon in cluster.daemons.values() if is_running(daemon)] if cluster is not None else []
    # Backwards: DataNodes that are told to end wait for nobody, and a NameNode is asked until the last.
    end(running[::-1])
    return [daemon.name for daemon in running]


def status(state: Path) -> list[tuple[str, int, int, str]]:
    """Return name, pid, port and `ready`, `not ready` or `not running` of each daemon that was started in `state`.

    Raises:
        ClusterFailed: nothing was started there.
    """
    cluster = _load(state.resolve())
    if cluster is None:
        raise ClusterFailed(f"{state}: no cluster was started there")
    return [(name, daemon.pid, cluster.ports[name], _word(cluster, name)) for name, daemon in cluster.daemons.items()]


def daemon_of(state: Path, name: str) -> Daemon:
    """Return the process that is, or last was, the daemon `name`."""
    cluster = _load(state.resolve())
    if cluster is None or name not in cluster.daemons:
        raise ClusterFailed(f"{state}: no {name} was started there")
    return cluster.daemons[name]


def kill_daemon(cluster: Cluster, name: str) -> None:
    """End one daemon at once, as a machine that loses power does."""
    kill(daemon_of(cluster.state, name))


def start_daemons(cluster: Cluster, *names: str) -> Cluster:
    """Start daemons that were left out or have ended, with their ports and files, and return when they are ready.

    Raises:
        ClusterFailed: one of them runs already, or fails.
    """
    there = _load(cluster.state)
    if there is None:
        raise ClusterFailed(f"{cluster.state}: no cluster was started there")
    for name in names:
        if name in there.daemons and is_running(there.daemons[name]):
            raise ClusterFailed(f"{cluster.state}: {name} runs already")
        there = _start(there, name)
    for name in names:
        _wait(there, name)
    return there


def _word(cluster: Cluster, name: str) -> str:
    if not is_running(cluster.daemons[name]):
        return "not running"
    return "ready" if _readiness(cluster, name)() else "not ready"


def _format(cluster: Cluster) -> None:
    if (cluster.state / "namenode").exists():
        return
    command = format_command(state=cluster.state, mark=cluster.mark)
    done = subprocess.run(command, env=environment_of(cluster.state), capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterFailed(f"{cluster.state}: the NameNode's directory could not be made:\n{done.stderr[-3000:]}")


def _start(cluster: Cluster, name: str) -> Cluster:
    command = command_of(name, state=cluster.state, ports=cluster.ports, mark=cluster.mark, namenode_heap=cluster.namenode_heap)
    log = cluster.state / "logs" / f"{name}.log"
    daemon = launch(name, command, mark=cluster.mark, log=log, environment=environment_of(cluster.state))
    started = replace(cluster, daemons={**cluster.daemons, name: daemon})
    _save(started)
    return started


def _wait(cluster: Cluster, name: str) -> None:
    ready, daemon = _readiness(cluster, name), cluster.daemons[name]
    end_of_patience = time.monotonic() + _READY_SECONDS
    while not ready():
        if not is_running(daemon):
            raise ClusterFailed(f"{name} ended instead of getting ready\n{last_lines(daemon.log)}")
        if time.monotonic() > end_of_patience:
            raise ClusterFailed(f"{name} was not ready after {_READY_SECONDS:.0f} seconds\n{last_lines(daemon.log)}")
        time.sleep(0.2)


def _readiness(cluster: Cluster, name: str) -> Callable[[], bool]:
    ports = cluster.ports
    if name == "metastore":
        return lambda: metastore_is_ready(ports["metastore"])
    if name in YARN:
        return lambda: yarn_is_ready(ports["resourcemanager_http"])
    if name == "namenode":
        return lambda: namenode_is_ready(ports["namenode_http"])
    return lambda: datanode_is_ready(ports[f"{name}_http"])


def _save(cluster: Cluster) -> None:
    daemons = {name: asdict(daemon) for name, daemon in cluster.daemons.items()}
    held = {"mark": cluster.mark, "ports": dict(cluster.ports), "daemons": daemons, "namenode_heap": cluster.namenode_heap}
    new = cluster.state / f"{_FILE}.new"
    new.write_text(json.dumps(held, indent=1))
    new.replace(cluster.state / _FILE)


def _load(state: Path) -> Cluster | None:
    file = state / _FILE
    if not file.exists():
        return None
    held = json.loads(file.read_text())
    daemons = {name: Daemon(**one) for name, one in held["daemons"].items()}
    heap = held.get("namenode_heap", _NAMENODE_HEAP)
    return Cluster(state=state, mark=held["mark"], ports=held["ports"], daemons=daemons, namenode_heap=heap)


def _print_table(rows: list[tuple[str, int, int, str]]) -> None:
    print(f"{'daemon':<16} {'pid':>8} {'port':>6}  state")
    for name, pid, port, word in rows:
        print(f"{name:<16} {pid:>8} {port:>6}  {word}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="cluster/native.py", description=__doc__)
    parser.add_argument("verb", choices=("up", "down", "status"))
    parser.add_argument("--state", type=Path, required=True, help="directory of the cluster's files, logs and pids")
    parser.add_argument("--no-yarn", action="store_true", help="up: without ResourceManager and NodeManager")
    parser.add_argument("--no-hive", action="store_true", help="up: without the metastore")
    parser.add_argument("--namenode-heap", default=_NAMENODE_HEAP, help="up: as Java's -Xmx has it")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "down":
            print("ended:", ", ".join(down(options.state)) or "nothing was running")
            return 0
        if options.verb == "up":
            heap = options.namenode_heap
            cluster = up(options.state, yarn=not options.no_yarn, hive=not options.no_hive, namenode_heap=heap)
            print(f"export HADOOP_CONF_DIR={cluster.conf_dir}\n{cluster.hdfs}\n{cluster.webhdfs}")
        rows = status(options.state)
    except ClusterFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    _print_table(rows)
    return 0 if all(word == "ready" for *_, word in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
