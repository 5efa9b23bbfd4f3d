"""Connections that break: a few are survived and change nothing; a store that goes on failing costs an error, never rows."""

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pyarrow.compute as pc
import pytest
from broken_connections import BreakingProxy, broken_connections
from contracts import content_of
from tiny import publish_dataset

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.reader import Reader, ReadOptions, open_reader
from bigdata_ml.storage import Location, list_tree, locate, locate_by_fsspec

# Ours asks four times; that of S3, which asks three times by itself, alone would not survive as many.
FEW, ALWAYS = 3, 10**6
every_way = pytest.mark.parametrize(("store", "find"), [("s3", locate), ("webhdfs", locate), ("webhdfs", locate_by_fsspec)])
Find = Callable[[str], Location]


@pytest.fixture
def published(place: str) -> str:
    """Where a dataset lies."""
    publish_dataset(place)
    return place


@pytest.fixture
def proxy(store: str, published: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BreakingProxy]:
    """A proxy in front of the store, of WebHDFS the NameNode, that breaks nothing yet."""
    server = request.getfixturevalue("s3").endpoint if store == "s3" else published.replace("webhdfs", "http")
    with broken_connections(server, at={}) as made:
        monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
        yield made


def through(proxy: BreakingProxy, url: str, find: Find) -> Location:
    """Return the same place by the proxy."""
    place = urlsplit(url)
    return find(url if place.scheme == "s3" else f"webhdfs://{proxy.address}{place.path}")


def reader(dataset: Dataset) -> Reader:
    read = ReadOptions(seed=3, predicate=pc.field("id") > 3, on_error="skip", max_skipped=1.0)
    return open_reader(dataset.split("train"), read, global_batch_size=8)


@every_way
def test_a_few_broken_connections_change_nothing(published: str, proxy: BreakingProxy, find: Find) -> None:
    wanted = [content_of(batch) for batch in reader(Dataset.open(locate(published)))]
    proxy.left = {b"GET": FEW, b"HEAD": FEW}
    place = through(proxy, published, find)
    dataset = Dataset.open(place)
    assert proxy.left[b"GET"] == 0
    proxy.left = {b"GET": FEW, b"HEAD": FEW}
    read = reader(dataset)
    assert [content_of(batch) for batch in read] == wanted
    assert (read.skipped, proxy.left[b"GET"]) == (0, 0)
    proxy.left = {b"GET": FEW, b"HEAD": FEW}
    # Without the manifest: by listing and footers.
    (locate(published) / "_bigdata_ml/manifest.json").delete()
    plain = Dataset.open(place)
    assert (plain.rows, proxy.left[b"GET"]) == (dataset.rows, 0)
    assert len(list_tree(place).visible) == len(list_tree(locate(published)).visible)


@every_way
def test_a_store_that_goes_on_failing_is_an_error_and_no_row_is_skipped(published: str, proxy: BreakingProxy, find: Find) -> None:
    place = through(proxy, published, find)
    dataset = Dataset.open(place)
    read = reader(dataset)
    proxy.left = {b"GET": ALWAYS, b"HEAD": ALWAYS}
    with pytest.raises(StorageUnavailable, match="the store failed 4 times"):
        list(read)
    assert read.skipped == 0
    with pytest.raises(StorageUnavailable, match="the store failed 4 times"):
        Dataset.open(place)
