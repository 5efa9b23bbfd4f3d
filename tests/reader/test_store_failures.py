"""A store that fails for a while is asked again; one that goes on failing is an error, and no reason to leave out rows."""

import errno
import http.client
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import botocore.exceptions
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import requests
import urllib3
from contracts import ids_of
from fsspec.implementations.local import LocalFileSystem

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.layout import MANIFEST
from bigdata_ml.errors import ChecksumMismatch, DatasetInvalid, StorageUnavailable
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.reader.fetch.read_ahead import Stop
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.storage import Location, Retry, is_store_failure, place_in
from bigdata_ml.storage.webhdfs_file import webhdfs_errors

AT_ONCE = Retry(first_wait=0)
SKIP = {"on_error": "skip", "max_skipped": 1.0}
RESET = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


@dataclass
class Breaks:
    """How often a store still fails, and by what; where."""

    times: int
    error: Exception = RESET
    at: str = "read"
    seen: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, at: str) -> None:
        with self.lock:
            if at == self.at and self.seen < self.times:
                self.seen += 1
                raise self.error


class Flaky(LocalFileSystem):  # type: ignore[misc]
    """This machine's files as a store has them, whose connections break."""

    cachable = False

    def __init__(self, breaks: Breaks) -> None:
        super().__init__()
        self.breaks = breaks

    def info(self, path: str, **options: Any) -> Any:
        self.breaks.check("info")
        return super().info(path, **options)

    def _open(self, path: str, *arguments: Any, **options: Any) -> Any:
        self.breaks.check("open")
        stream, breaks = super()._open(path, *arguments, **options), self.breaks

        class Stream:
            def __getattr__(self, name: str) -> Any:
                return getattr(stream, name)

            def read(self, size: int = -1) -> bytes:
                breaks.check("read")
                return bytes(stream.read(size))

        return Stream()


def flaky(dataset: Dataset, breaks: Breaks) -> Dataset:
    place = dataset.location
    files = place_in(Flaky(breaks), place.url, place.path).filesystem
    return replace(dataset, location=Location(place.url, files, place.path), selections={})


def read_ids(dataset: Dataset, **read: Any) -> list[int]:
    batches = open_reader(dataset, ReadOptions(shuffle=False, **read), global_batch_size=5)
    return [row for batch in batches for row in ids_of(batch)]


@pytest.mark.parametrize("columns", [None, ["id"]], ids=["checksums", "pages"])
@pytest.mark.parametrize("at", ["open", "read", "info"])
def test_a_row_group_is_read_though_the_store_failed_three_times(train: Dataset, at: str, columns: list[str] | None) -> None:
    names, breaks = columns or train.schema.names, Breaks(3, at=at)
    wanted = GroupSource(train, names).read(2)
    assert GroupSource(flaky(train, breaks), names, retry=AT_ONCE).read(2) == wanted
    assert breaks.seen == 3


@pytest.mark.parametrize("at", ["open", "read", "info"])
@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_dataset_is_opened_though_the_store_failed_three_times(tiny: Dataset, at: str, with_manifest: bool) -> None:
    breaks = Breaks(3, OSError("the client says neither class nor number"), at=at)
    if not with_manifest:
        (Path(tiny.url) / MANIFEST).unlink()
    assert Dataset.open(flaky(tiny, breaks).location).rows == tiny.rows
    assert breaks.seen == 3


@pytest.mark.parametrize("with_manifest", [True, False])
def test_a_store_that_goes_on_failing_is_no_broken_metadata_and_no_broken_file(tiny: Dataset, with_manifest: bool) -> None:
    if not with_manifest:
        (Path(tiny.url) / MANIFEST).unlink()
    with pytest.raises(StorageUnavailable, match="the store failed 4 times, at last with ConnectionError: nobody knows"):
        Dataset.open(flaky(tiny, Breaks(10**6, OSError("nobody knows"))).location)


@pytest.mark.parametrize(
    "error",
    [
        RESET,
        TimeoutError("The read operation timed out"),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        requests.ConnectionError("Max retries exceeded"),
        requests.exceptions.ChunkedEncodingError("Connection broken"),
        urllib3.exceptions.ProtocolError("Connection broken"),
        http.client.IncompleteRead(b"half"),
        botocore.exceptions.EndpointConnectionError(endpoint_url="http://store"),
        OSError("When reading information for key 'x': AWS Error NETWORK_CONNECTION during HeadObject operation"),
        OSError("AWS Error SLOW_DOWN during GetObject operation"),
        OSError("the client says neither class nor number"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_clients_raise_of_a_broken_connection_is_the_stores(train: Dataset, error: Exception) -> None:
    one = GroupSource(flaky(train, Breaks(10**6, error)), train.schema.names, retry=AT_ONCE)
    with pytest.raises(StorageUnavailable, match=r"part-0\.parquet row group 1: the store failed 4 times") as found:
        one.read(1)
    assert str(error) in str(found.value)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file"),
        PermissionError(errno.EACCES, "Permission denied"),
        pa.ArrowInvalid("Parquet magic bytes not found in footer"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_the_files_is_asked_once(train: Dataset, error: Exception) -> None:
    breaks = Breaks(10**6, error)
    with pytest.raises(DatasetInvalid, match=r"part-0\.parquet row group 1: cannot be read"):
        GroupSource(flaky(train, breaks), train.schema.names, retry=AT_ONCE).read(1)
    assert breaks.seen == 1
    assert not is_store_failure(error)


@pytest.mark.parametrize(
    "text", ["Couldn't deserialize thrift: TProtocolException", "AWS Error ACCESS_DENIED during GetObject operation"]
)
def test_what_pyarrow_says_of_a_file_is_not_the_stores(text: str) -> None:
    assert not is_store_failure(OSError(text))


def test_an_answer_of_hdfs_is_the_stores_unless_it_is_of_the_file() -> None:
    hdfs = pytest.importorskip("hdfs")
    for java, is_stores in (("StandbyException", True), ("BlockMissingException", True), ("FileNotFoundException", False)):
        with pytest.raises(OSError, match="said so") as found, webhdfs_errors("/x"):
            raise hdfs.HdfsError("said so", exception=java)
        assert is_store_failure(found.value) is is_stores


@pytest.mark.parametrize("engine", ["arrow", "petastorm"])
def test_every_row_comes_once_though_the_store_failed_twice(train: Dataset, engine: str) -> None:
    breaks = Breaks(2)
    assert read_ids(flaky(train, breaks), engine=engine, **SKIP) == read_ids(train)
    assert breaks.seen == 2


@pytest.mark.parametrize("engine", ["arrow", "petastorm"])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_store_that_goes_on_failing_is_an_error_and_no_row_is_skipped(train: Dataset, engine: str, on_error: str) -> None:
    read = ReadOptions(shuffle=False, engine=engine, on_error=on_error, max_skipped=1.0)  # type: ignore[arg-type]
    one = open_reader(flaky(train, Breaks(10**6)), read, global_batch_size=5)
    with pytest.raises(StorageUnavailable, match=r"part-0\.parquet row group 0: the store failed 4 times"):
        list(one)
    assert one.skipped == 0


def test_a_loader_of_threads_says_so_too_and_ends_them(train: Dataset) -> None:
    one = make_loader(flaky(train, Breaks(10**6)), ReadOptions(**SKIP), global_batch_size=5, num_workers=2)  # type: ignore[arg-type]
    with pytest.raises(StorageUnavailable, match="the store failed 4 times"):
        list(one)
    assert one.skipped == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("fetch", "read", "decode"))]


def test_a_broken_file_on_such_a_store_is_skipped(train: Dataset, change_bytes: Callable[[Path, int], None]) -> None:
    record = train.row_groups.record(3)
    change_bytes(Path(train.url) / record["path"], record["offset"] + 100)
    with pytest.raises(ChecksumMismatch):
        read_ids(flaky(train, Breaks(0)))
    breaks = Breaks(2)
    one = open_reader(flaky(train, breaks), ReadOptions(shuffle=False, **SKIP), global_batch_size=5)  # type: ignore[arg-type]
    assert sum(batch.num_rows for batch in one) == 45
    assert (breaks.seen, one.skipped) == (2, 5)


def test_a_cut_read_is_a_checksum_that_differs(train: Dataset) -> None:
    place = Path(train.url) / train.row_groups.record(1)["path"]
    os.truncate(place, place.stat().st_size - 9)
    with pytest.raises(ChecksumMismatch):
        GroupSource(flaky(train, Breaks(2)), train.schema.names, retry=AT_ONCE).read(1)


def test_predicates_are_read_though_the_store_failed_and_never_guessed(plain: Dataset) -> None:
    breaks = Breaks(2)
    assert read_ids(flaky(plain, breaks), predicate=pc.field("price") > 4) == read_ids(plain, predicate=pc.field("price") > 4)
    assert breaks.seen == 2
    with pytest.raises(StorageUnavailable, match=r"\.parquet row group \d: the store failed 4 times"):
        read_ids(flaky(plain, Breaks(10**6)), predicate=pc.field("price") > 4, on_error="skip")


def test_nobody_waits_for_a_store_when_the_iteration_was_left() -> None:
    stop, calls = Stop(), 0

    def read() -> None:
        nonlocal calls
        calls += 1
        raise RESET

    ended = threading.Timer(0.05, lambda: setattr(stop, "is_said", True))
    ended.start()
    begin = time.monotonic()
    with pytest.raises(RuntimeError, match="was left"):
        Retry(first_wait=60).reading(read, "the store", check=stop.check)
    assert calls == 1
    assert time.monotonic() - begin < 10
    ended.join()
