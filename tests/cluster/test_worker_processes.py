"""Worker processes of torch's DataLoader over every store: each makes its own client, and the batches stay the same."""

import pickle
from collections.abc import Callable

import pytest
from contracts import content_of
from s3_server import S3
from stores import STORES
from tiny import publish_dataset
from torch.utils.data import DataLoader

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import Loader, make_loader
from bigdata_ml.reader import ReadOptions
from bigdata_ml.storage import Location, locate, locate_by_fsspec

pytestmark = [
    pytest.mark.filterwarnings("ignore:each of the DataLoader's:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
]
EVERY_WAY = [*((store, locate) for store in STORES), ("webhdfs", locate_by_fsspec)]


def loader(place: str, find: Callable[[str], Location]) -> Loader:
    read = ReadOptions(seed=4, remainder="exact", window=20)
    return make_loader(Dataset.open(find(place)).split("train"), read, global_batch_size=8, num_workers=1)


@pytest.mark.parametrize(("store", "find"), EVERY_WAY)
def test_their_batches_are_those_of_one_process(place: str, find: Callable[[str], Location]) -> None:
    publish_dataset(place)
    one = loader(place, find)
    wanted = [content_of(batch) for batch in one]
    for start in ("fork", "spawn"):
        one.set_epoch(0)
        around = DataLoader(one, batch_size=None, num_workers=2, multiprocessing_context=start)
        assert [content_of(batch) for batch in around] == wanted
    # This process's own client still works after the others' ends.
    one.set_epoch(0)
    assert [content_of(batch) for batch in one] == wanted


def test_a_pickled_loader_carries_neither_client_nor_keys(s3: S3) -> None:
    place = f"s3://{s3.bucket}/pickled"
    publish_dataset(place)
    one = loader(place, locate)
    data = pickle.dumps(one)
    assert s3.secret_key.encode() not in data
    assert s3.endpoint.encode() not in data
    assert [content_of(batch) for batch in pickle.loads(data)] == [content_of(batch) for batch in one]
