"""A DataNode is killed in the middle of a read or a write: the bytes are the same, or the error says what failed."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import native
import psutil
import pytest
from native import Cluster

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage import Location, locate

DATANODES = ("datanode1", "datanode2")
BLOCK = 8 * 2**20
SIZE = 8 * BLOCK
LARGE = 4 * SIZE


@pytest.fixture
def losing(hadoop: Cluster) -> Iterator[Cluster]:
    """The cluster; DataNodes that the test killed are started again after it."""
    yield hadoop
    lost = [name for name, _, _, word in native.status(hadoop.state) if word == "not running"]
    native.start_daemons(hadoop, *lost)


@pytest.fixture
def file(losing: Cluster, place: str) -> Iterator[Location]:
    """Where the test's file lies or will lie."""
    file = locate(place) / "file"
    file.parent.filesystem.create_dir(file.parent.path, recursive=True)
    yield file
    file.delete()


@pytest.mark.parametrize("lost", DATANODES)
@pytest.mark.parametrize("store", ["hdfs", "webhdfs"])
def test_reading_goes_on_when_a_datanode_is_lost(losing: Cluster, file: Location, lost: str) -> None:
    data = os.urandom(SIZE)
    file.write_bytes(data)
    with file.filesystem.open_input_file(file.path) as stream:
        first = stream.read(SIZE // 2)
        native.kill_daemon(losing, lost)
        rest = [stream.read(2**20) for _ in range(SIZE // 2 // 2**20)]
    assert b"".join([first, *rest]) == data
    # And whoever opens it now, while the NameNode still counts the DataNode.
    assert file.read_bytes() == data


@pytest.mark.parametrize("lost", DATANODES)
@pytest.mark.parametrize("store", ["hdfs"])
def test_a_write_goes_on_or_is_sent_again_when_a_datanode_is_lost(losing: Cluster, file: Location, lost: str) -> None:
    data = os.urandom(LARGE)
    with in_the_background(lambda: file.write_bytes(data)) as (thread, found):
        while size_of(file) < BLOCK:  # whole blocks count
            assert thread.is_alive()
        native.kill_daemon(losing, lost)
        assert thread.is_alive()
    assert found == [None]
    assert file.read_bytes() == data


@pytest.mark.parametrize("store", ["webhdfs"])
def test_an_answer_that_breaks_off_is_gone_on_with_elsewhere(losing: Cluster, file: Location) -> None:
    data = os.urandom(LARGE)
    file.write_bytes(data)
    stream = file.filesystem.handler.fs.open(file.path, mode="rb")
    with in_the_background(stream.read) as (thread, found):
        while stream.tell() < 2 * BLOCK:
            assert thread.is_alive()
        native.kill_daemon(losing, asked_by_http(losing))
        assert stream.tell() < LARGE
    assert found == [data]


@pytest.mark.parametrize("store", ["webhdfs"])
def test_a_write_that_breaks_off_is_sent_again_to_another_datanode(losing: Cluster, file: Location) -> None:
    data = os.urandom(LARGE)
    there = locate(file.url.replace(losing.webhdfs, losing.hdfs))
    with in_the_background(lambda: file.write_bytes(data)) as (thread, found):
        while size_of(there) < BLOCK:
            assert thread.is_alive()
        native.kill_daemon(losing, asked_by_http(losing))
        assert thread.is_alive()
    assert found == [None]
    assert there.read_bytes() == data


@pytest.mark.parametrize("store", ["hdfs", "webhdfs"])
def test_a_file_whose_datanodes_are_all_lost_is_an_error(losing: Cluster, file: Location) -> None:
    file.write_bytes(b"x" * 1000)
    for lost in DATANODES:
        native.kill_daemon(losing, lost)
    with pytest.raises(StorageUnavailable, match="the store failed 4 times"):
        file.read_bytes()
    native.start_daemons(losing, *DATANODES)
    assert file.read_bytes() == b"x" * 1000


@contextmanager
def in_the_background(run: Callable[[], object]) -> Iterator[tuple[threading.Thread, list[object]]]:
    """Run something in a thread while the body runs; the list has what it returned once the body is over."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(run()))
    thread.start()
    try:
        yield thread, found
    finally:
        thread.join()


def size_of(file: Location) -> int:
    """Return the bytes of a file, also of one that is being written; 0 if it is not there."""
    return file.info().size or 0


def asked_by_http(cluster: Cluster) -> str:
    """Return the DataNode to whose HTTP port this process has a connection."""
    ports = {one.raddr.port for one in psutil.Process().net_connections("tcp") if one.raddr and one.status == "ESTABLISHED"}
    (name,) = (name for name in DATANODES if cluster.ports[f"{name}_http"] in ports)
    return name
