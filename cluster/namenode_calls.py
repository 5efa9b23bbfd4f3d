"""How often a NameNode was asked what, as it counts itself."""

import json
import time
import urllib.request

from configuration import HOST

__all__ = ["calls_between", "namenode_calls"]

# What DataNodes say of themselves, all the time.
_OF_DATANODES = (
    "BlockReceivedAndDeleted",
    "BlockReport",
    "CacheReport",
    "CommitBlockSynchronization",
    "ErrorReport",
    "RegisterDatanode",
    "ReportBadBlocks",
    "SendHeartbeat",
    "VersionRequest",
)
# The same calls counted again, by another clock.
_AGAIN = ("Deferred", "Overall")
# Counters of /jmx are up to a second old: conf/hadoop-metrics2.properties.
_STALE_SECONDS = 1.2


def namenode_calls(*, port: int, http_port: int) -> dict[str, int]:
    """Return how many calls of each kind clients have made since the NameNode started, such as {"GetListing": 3}.

    Args:
        port: the NameNode's for calls.
        http_port: its page's.

    Raises:
        OSError: it does not answer.
    """
    time.sleep(_STALE_SECONDS)
    bean = f"Hadoop:service=NameNode,name=RpcDetailedActivityForPort{port}"
    with urllib.request.urlopen(f"http://{HOST}:{http_port}/jmx?qry={bean}") as answer:
        (found,) = json.load(answer)["beans"]
    counts = {name.removesuffix("NumOps"): int(count) for name, count in found.items() if name.endswith("NumOps")}
    return {name: count for name, count in counts.items() if name not in _OF_DATANODES and not name.startswith(_AGAIN)}


def calls_between(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return the calls that were made between two counts, those of which there were any."""
    found = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count for name, count in sorted(found.items()) if count}
