"""The cluster itself: what it starts, says and ends."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import native
import psutil
import pytest
from configuration import is_free
from failures import ClusterFailed
from native import Cluster
from readiness import live_datanodes

from bigdata_ml.storage import locate

PROGRAM = Path(native.__file__)


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where a cluster of the test's own may be started; it is ended after the test."""
    yield tmp_path / "state"
    native.down(tmp_path / "state")


def listening_addresses(pid: int) -> set[str]:
    return {one.laddr.ip for one in psutil.Process(pid).net_connections("tcp") if one.status == psutil.CONN_LISTEN}


def test_the_command_line_starts_a_cluster_shows_it_and_ends_it(state: Path) -> None:
    up = run("up", "--state", state, "--no-yarn", "--no-hive")
    assert up.returncode == 0, up.stderr
    hdfs = next(line for line in up.stdout.splitlines() if line.startswith("hdfs://"))
    (locate(f"{hdfs}/kept") / "file").write_bytes(b"kept")
    assert run("status", "--state", state).stdout.count(" ready") == 3
    refused = run("up", "--state", state)
    assert (refused.returncode, "run already" in refused.stderr) == (1, True)
    pids = [daemon["pid"] for daemon in json.loads((state / "cluster.json").read_text())["daemons"].values()]
    assert run("down", "--state", state).stdout == "ended: namenode, datanode1, datanode2\n"
    assert [pid for pid in pids if psutil.pid_exists(pid)] == []
    assert run("status", "--state", state).returncode == 1
    assert run("down", "--state", state).stdout == "ended: nothing was running\n"
    # And again: the same ports, the same files.
    assert hdfs in run("up", "--state", state, "--no-yarn", "--no-hive").stdout
    assert locate(f"{hdfs}/kept/file").read_bytes() == b"kept"


def test_a_status_of_nothing_says_so(tmp_path: Path) -> None:
    found = run("status", "--state", tmp_path / "none")
    assert (found.returncode, "no cluster was started there" in found.stderr) == (1, True)


def test_a_port_that_was_taken_meanwhile_is_named(hadoop: Cluster, tmp_path: Path) -> None:
    held = {"mark": "-Dnone", "daemons": {}, "ports": dict(hadoop.ports)}
    (tmp_path / "cluster.json").write_text(json.dumps(held))
    with pytest.raises(ClusterFailed, match="somebody listens on its port"):
        native.up(tmp_path, yarn=False, hive=False)


def test_a_daemon_that_fails_is_shown_by_its_log_and_the_others_are_ended(state: Path) -> None:
    (state / "datanode1").mkdir(parents=True)
    (state / "datanode1" / "current").write_text("no directory")
    with pytest.raises(ClusterFailed, match=r"(?s)datanode1 ended instead of getting ready.*the last lines of .*datanode1\.log"):
        native.up(state, yarn=False, hive=False)
    assert [word for *_, word in native.status(state)] == ["not running"] * 3


def test_a_process_that_got_the_pid_of_a_daemon_is_left_alone(tmp_path: Path) -> None:
    daemon = {"name": "namenode", "pid": os.getpid(), "mark": "-Dnot-mine", "log": "none"}
    held = {"mark": "-Dnot-mine", "ports": {"namenode": 1, "namenode_http": 2}, "daemons": {"namenode": daemon}}
    (tmp_path / "cluster.json").write_text(json.dumps(held))
    assert native.down(tmp_path) == []
    assert [word for *_, word in native.status(tmp_path)] == ["not running"]


def test_hdfs_has_two_datanodes_and_listens_on_this_machine_only(hadoop: Cluster) -> None:
    assert live_datanodes(hadoop.ports["namenode_http"]) == 2
    for name in native.HDFS:
        assert listening_addresses(native.daemon_of(hadoop.state, name).pid) <= {"127.0.0.1", "::ffff:127.0.0.1"}, name


def test_yarn_has_a_node_and_listens_on_this_machine_only(yarn: Cluster) -> None:
    words = {name: word for name, *_, word in native.status(yarn.state)}
    assert [words[name] for name in native.YARN] == ["ready", "ready"]
    for name in native.YARN:
        assert listening_addresses(native.daemon_of(yarn.state, name).pid) <= {"127.0.0.1", "::ffff:127.0.0.1"}, name


def test_the_metastore_answers_at_its_port(hive: Cluster) -> None:
    words = {name: word for name, *_, word in native.status(hive.state)}
    assert words["metastore"] == "ready"


def test_a_port_is_free_until_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)
