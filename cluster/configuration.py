"""Free ports, and the files of conf/ with them."""

import getpass
import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template

__all__ = ["HOST", "PORTS", "free_ports", "is_free", "write_configuration"]

HOST = "127.0.0.1"
PORTS = (
    "namenode", "namenode_http",
    "datanode1", "datanode1_http", "datanode1_ipc",
    "datanode2", "datanode2_http", "datanode2_ipc",
    "resourcemanager", "resourcemanager_http", "resourcemanager_scheduler", "resourcemanager_tracker", "resourcemanager_admin",
    "nodemanager", "nodemanager_http", "nodemanager_localizer",
    "metastore",
)  # fmt: skip
# Below the ports that systems give to outgoing connections (from 32768 on Linux): those could take one before its daemon does.
_RANGE = range(20_000, 32_000)


def free_ports(names: Iterable[str]) -> dict[str, int]:
    """Return a port for each name on which nobody listens now."""
    candidates = iter(random.sample(_RANGE, len(_RANGE)))
    return {name: next(port for port in candidates if is_free(port)) for name in names}


def is_free(port: int) -> bool:
    """Whether nobody listens on the port, on any address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def write_configuration(state: Path, ports: Mapping[str, int], *, jars: Path) -> Path:
    """Write conf/ with its places and ports filled in to STATE/conf, for daemons and clients; return that directory."""
    conf = state / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    values = {**ports, "state": state, "conf": conf, "jars": jars, "user": getpass.getuser()}
    for template in sorted((Path(__file__).parent / "conf").iterdir()):
        (conf / template.name).write_text(Template(template.read_text()).substitute(values))
    return conf
