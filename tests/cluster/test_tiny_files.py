"""Tiny files on HDFS: what they cost its NameNode grows with their number and no faster, and they share tasks."""

import importlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from namenode_calls import calls_between, namenode_calls
from native import Cluster
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bigdata_ml.prepare.sources import images
from bigdata_ml.storage import locate

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

FOLDERS = 3
# What spark_session counts a file as, besides its bytes.
OPENING = 64 << 10


@pytest.fixture(scope="module")
def tiny(hadoop: Cluster) -> dict[int, str]:
    """URLs of 300 and of 1,200 files in three folders, the file of number n of n bytes."""
    roots = {files: locate(f"{hadoop.hdfs}/tiny/{files}") for files in (300, 1200)}
    # A file takes half a second: the NameNode is asked whether it is complete before the DataNode has said so.
    with ThreadPoolExecutor(64) as pool:
        for files, root in roots.items():
            places = [root / f"{number % FOLDERS}/{number}.png" for number in range(1, files + 1)]
            list(pool.map(lambda place: place.write_bytes(b"x" * int(place.name.removesuffix(".png"))), places))
    return {files: root.url for files, root in roots.items()}


def asked(cluster: Cluster, session: SparkSession, url: str) -> tuple[dict[str, int], tuple[int, int]]:
    """Read all; return the NameNode's calls, and files and bytes that were read."""
    ports = {"port": cluster.ports["namenode"], "http_port": cluster.ports["namenode_http"]}
    before = namenode_calls(**ports)
    found = images(session, url).rows.agg(F.count("path"), F.sum(F.octet_length("content"))).collect()[0]
    calls = calls_between(before, namenode_calls(**ports))
    # Clients that wrote say so from time to time that they are there.
    calls.pop("RenewLease", None)
    return calls, tuple(found)


@pytest.mark.parametrize(("reader", "listings"), [("Spark", 2), ("ours", 1)])
def test_a_file_costs_the_namenode_two_calls_and_a_folder_one_listing_or_two(
    hadoop: Cluster,
    session: SparkSession,
    tiny: dict[int, str],
    monkeypatch: pytest.MonkeyPatch,
    reader: str,
    listings: int,
) -> None:
    if reader == "ours":
        # The package's name for the module is the function's.
        monkeypatch.setattr(importlib.import_module("bigdata_ml.prepare.sources.image_files.folders"), "_MOST_FILES_OF_SPARK", 0)
    few, read_few = asked(hadoop, session, tiny[300])
    many, read_many = asked(hadoop, session, tiny[1200])
    assert (read_few, read_many) == ((300, 300 * 301 // 2), (1200, 1200 * 1201 // 2))
    each = {kind: round((count - few.get(kind, 0)) / 900, 2) for kind, count in many.items()}
    assert {kind: count for kind, count in each.items() if count} == {"GetBlockLocations": 1, "GetFileInfo": 1}
    # We list, and Spark's reader once more; up to 500 files of two replicas come with one call.
    assert many["GetListing"] == listings * (1 + FOLDERS)
    assert many["GetBlockLocations"] == 1200
    assert sum(many.values()) <= 2 * 1200 + listings * (1 + FOLDERS) + 20


def test_tiny_files_share_tasks_by_bytes_and_number(session: SparkSession, tiny: dict[int, str]) -> None:
    # Two cores get a task each whatever there is; four times the files are no more tasks.
    for files, url in tiny.items():
        assert images(session, url).rows.rdd.getNumPartitions() <= 3, files
    default = session.conf.get("spark.sql.files.maxPartitionBytes")
    try:
        # Files have 600 bytes on average: a hundred a task.
        session.conf.set("spark.sql.files.maxPartitionBytes", str(100 * (OPENING + 600)))
        tasks = {files: images(session, url).rows.rdd.getNumPartitions() for files, url in tiny.items()}
    finally:
        session.conf.set("spark.sql.files.maxPartitionBytes", default)
    assert tasks[300] in (3, 4)
    assert tasks[1200] in (12, 13)
