"""Whether daemons answer, by what they say of themselves."""

import http.client
import json
import socket
import struct
import urllib.error
import urllib.request
from typing import Any

from configuration import HOST

__all__ = ["datanode_is_ready", "live_datanodes", "metastore_is_ready", "namenode_is_ready", "yarn_is_ready"]

_SECONDS = 5.0
_NOT_YET = (OSError, urllib.error.URLError, http.client.HTTPException, ValueError, LookupError)
_CALL = 0x8001_0001  # Thrift's binary protocol, version 1; a call
_ALIVE = 2  # fb303's status of a service that serves


def namenode_is_ready(port: int) -> bool:
    """Whether the NameNode at this HTTP port answers and has left safe mode."""
    try:
        return bool(_jmx(port, "NameNode", "NameNodeInfo")["Safemode"] == "")
    except _NOT_YET:
        return False


def datanode_is_ready(port: int) -> bool:
    """Whether the DataNode at this HTTP port has heard from its NameNode.

    The NameNode's own count would not do: it counts a DataNode that was lost for a while as alive.
    """
    try:
        actors = json.loads(_jmx(port, "DataNode", "DataNodeInfo")["BPServiceActorInfo"])
    except _NOT_YET:
        return False
    return bool(actors) and all(one["ActorState"] == "RUNNING" and one["NamenodeHaState"] == "active" for one in actors)


def live_datanodes(port: int) -> int:
    """Return how many DataNodes the NameNode at this HTTP port counts as alive.

    Raises:
        OSError: it does not answer.
    """
    return int(_jmx(port, "NameNode", "FSNamesystemState")["NumLiveDataNodes"])


def yarn_is_ready(port: int) -> bool:
    """Whether the ResourceManager at this HTTP port has a node to run containers on."""
    try:
        return bool(_json(f"http://{HOST}:{port}/ws/v1/cluster/metrics")["clusterMetrics"]["activeNodes"])
    except _NOT_YET:
        return False


def metastore_is_ready(port: int) -> bool:
    """Whether the metastore at this port says that it serves: one Thrift call, `getStatus`, written out."""
    name = b"getStatus"
    call = struct.pack(">II", _CALL, len(name)) + name + struct.pack(">IB", 0, 0)  # number 0, no arguments
    try:
        with socket.create_connection((HOST, port), _SECONDS) as connection:
            connection.sendall(call)
            # The call's head again (name after 8 bytes, number), the type and number of the result's field, the status.
            answer = connection.makefile("rb").read(8 + len(name) + 4 + 3 + 4)
    except OSError:
        return False
    return answer[8 : 8 + len(name)] == name and answer[-4:] == struct.pack(">I", _ALIVE)


def _jmx(port: int, service: str, bean: str) -> dict[str, Any]:
    answer = _json(f"http://{HOST}:{port}/jmx?qry=Hadoop:service={service},name={bean}")
    return dict(answer["beans"][0])


def _json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
        return json.load(answer)
