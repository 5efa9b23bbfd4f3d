"""Batches of tensors by the engine `petastorm`: the native loader's values, by threads that end and errors that arrive."""

import io
import threading
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from contracts import assert_reads_each_row_once, content_of, ids_of
from loading import Sample, draw, draws, loader
from PIL import Image
from tiny import publish_columns, write_plain
from torch.utils.data import DataLoader

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import ChecksumMismatch, DecodeFailed, ResumeMismatch
from bigdata_ml.loader import compose, random_crop, random_flip
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema

pytestmark = pytest.mark.processes

WORKERS = (0, 1, 3)


def contents(dataset: Dataset, engine: str, *, num_workers: int = 0, transform: Any = None, **read: Any) -> list[Any]:
    one = loader(dataset, read={"engine": engine, **read}, num_workers=num_workers, transform=transform)
    return [content_of(batch) for batch in one]


@pytest.mark.parametrize(("num_workers", "remainder"), list(product(WORKERS, ("drop", "pad", "exact"))))
def test_in_the_datasets_order_it_gives_what_the_native_loader_gives(train: Dataset, num_workers: int, remainder: str) -> None:
    read = {"shuffle": False, "remainder": remainder}
    found = contents(train, "petastorm", num_workers=num_workers, **read)
    assert found == contents(train, "arrow", **read)


@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_threads_do_not_change_the_batches(train: Dataset, num_workers: int) -> None:
    alone = contents(train, "petastorm", transform=draw)
    assert contents(train, "petastorm", transform=draw, num_workers=num_workers) == alone


def test_a_row_is_augmented_as_by_the_native_loader(train: Dataset) -> None:
    transform = compose(random_crop(padding=2), random_flip(), draw)
    both = [loader(train, size=47, read={"engine": one}, transform=transform) for one in ("petastorm", "arrow")]
    assert draws(both[0], epoch=2) == draws(both[1], epoch=2)


@pytest.mark.parametrize("num_workers", WORKERS)
def test_every_row_is_read_once_by_two_ranks_together(train: Dataset, num_workers: int) -> None:
    read = {"engine": "petastorm", "remainder": "exact"}
    ranks = [loader(train, read=read, rank=rank, world_size=2, num_workers=num_workers) for rank in range(2)]
    assert len(ranks[0]) == len(ranks[1])
    for _ in range(2):
        assert sorted(row for rank in ranks for batch in rank for row in ids_of(batch)) == list(range(47))


def image(value: int, kind: str, mode: str = "RGB") -> bytes:
    sink, pixels = io.BytesIO(), np.random.default_rng(value).integers(0, 256, (8, 6, len(mode)), dtype=np.uint8)
    Image.fromarray(pixels.squeeze()).save(sink, kind)
    return sink.getvalue()


@pytest.fixture
def every_codec(tmp_path: Path) -> Dataset:
    def npy(array: np.ndarray) -> bytes:
        sink = io.BytesIO()
        np.save(sink, array)
        return sink.getvalue()

    def npz(array: np.ndarray) -> bytes:
        sink = io.BytesIO()
        np.savez_compressed(sink, arr=array)
        return sink.getvalue()

    rows = range(12)
    raw = np.random.default_rng(0).integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)
    tensor = np.random.default_rng(1).random((12, 2, 3), np.float32)
    fields = {
        "id": (Field(name="id", type=pa.int64()), rows),
        "jpeg": (Field(name="jpeg", type=pa.binary(), codec=Codec.IMAGE, channels=3), [image(row, "JPEG") for row in rows]),
        "png": (
            Field(name="png", type=pa.large_binary(), codec=Codec.IMAGE, channels=1, null=NullPolicy.MASK),
            [None if row == 4 else image(row, "PNG", "L") for row in rows],
        ),
        "raw": (Field(name="raw", type=tensor_type(raw), codec=Codec.RAW_IMAGE), tensors(raw)),
        "tensor": (Field(name="tensor", type=tensor_type(tensor), codec=Codec.TENSOR), tensors(tensor)),
        "ragged": (Field(name="ragged", type=pa.list_(pa.int16()), codec=Codec.LIST), [list(range(row % 4)) for row in rows]),
        "matrix": (
            Field(name="matrix", type=pa.binary(), codec=Codec.NDARRAY, dtype="float32", shape=(2, 2)),
            [npy(np.full((2, 2), row, np.float32)) for row in rows],
        ),
        "packed": (
            Field(name="packed", type=pa.binary(), codec=Codec.COMPRESSED_NDARRAY, dtype="int16", shape=(None,)),
            [npz(np.arange(row % 3, dtype=np.int16)) for row in rows],
        ),
        "filled": (
            Field(name="filled", type=pa.int64(), null=NullPolicy.FILL, fill=-1),
            [None if row % 3 else 2**60 + row for row in rows],
        ),
    }
    schema = Schema(tuple(field for field, _ in fields.values()))
    return publish_columns(tmp_path / "d", schema, {name: values for name, (_, values) in fields.items()})


def tensor_type(values: np.ndarray) -> pa.DataType:
    return pa.fixed_shape_tensor(pa.from_numpy_dtype(values.dtype), values.shape[1:])


def tensors(values: np.ndarray) -> pa.Array:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(values)


@pytest.mark.parametrize("num_workers", WORKERS)
def test_every_codec_is_decoded_as_by_the_native_loader(every_codec: Dataset, num_workers: int) -> None:
    found = contents(every_codec, "petastorm", shuffle=False, num_workers=num_workers)
    assert found == contents(every_codec, "arrow", shuffle=False)
    batch = next(iter(loader(every_codec, read={"engine": "petastorm"})))
    assert (batch["tensor"].dtype, batch["tensor"].shape) == (torch.float32, (6, 2, 3))
    assert (batch["raw"].dtype, batch["raw"].shape) == (torch.uint8, (6, 4, 5, 3))


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_loop_left_early_leaves_no_threads(train: Dataset, num_workers: int) -> None:
    before = set(threading.enumerate())
    batches = iter(loader(train, read={"engine": "petastorm"}, num_workers=num_workers))
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_whole_epoch_leaves_no_threads(train: Dataset, num_workers: int) -> None:
    before = set(threading.enumerate())
    assert_reads_each_row_once(
        lambda: loader(train, read={"engine": "petastorm", "remainder": "exact"}, num_workers=num_workers), range(47)
    )
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("num_workers", WORKERS)
def test_an_exception_in_a_transform_reaches_the_caller_and_ends_the_threads(train: Dataset, num_workers: int) -> None:
    def fail(sample: Sample, rng: np.random.Generator) -> Sample:
        if sample["id"] == 14:
            raise KeyError("row 14")
        return sample

    before, read = set(threading.enumerate()), {"engine": "petastorm", "shuffle": False}
    one = loader(train, read=read, transform=fail, num_workers=num_workers)
    batches = iter(one)
    next(batches), next(batches)
    with pytest.raises(KeyError, match="row 14"):
        next(batches)
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_bad_file_and_a_bad_value_are_named(train: Dataset, tmp_path: Path, num_workers: int) -> None:
    one = loader(train, read={"engine": "petastorm", "shuffle": False}, num_workers=num_workers)
    path = Path(train.url) / "split=train/part-1.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ChecksumMismatch, match=r"part-1\.parquet: the file has"):
        list(one)
    schema = Schema((Field(name="id", type=pa.int64()), Field(name="image", type=pa.binary(), codec=Codec.IMAGE, channels=3)))
    columns = {"id": range(9), "image": [image(row, "PNG")[: 40 if row == 7 else None] for row in range(9)]}
    pictures = publish_columns(tmp_path / "d", schema, columns)
    with pytest.raises(DecodeFailed, match=r"d/part-0\.parquet row group 1 row 2 field 'image'"):
        list(loader(pictures, size=3, read={"engine": "petastorm"}, num_workers=num_workers))


def test_a_position_within_an_epoch_is_refused_and_kept_by_no_reading_ahead(train: Dataset) -> None:
    one = loader(train, read={"engine": "petastorm"}, num_workers=2)
    batches = iter(one)
    assert one.state_dict()["step"] == 0
    next(batches)
    with pytest.raises(ResumeMismatch, match="engine='petastorm' resumes at epoch starts only"):
        one.state_dict()
    batches.close()  # type: ignore[attr-defined]


# torch forks its worker processes; Python 3.12 says so of every process with threads.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_one_worker_process_of_a_dataloader_gives_the_same_batches_and_more_are_refused(train: Dataset) -> None:
    one = loader(train, read={"engine": "petastorm"})
    alone = [content_of(batch) for batch in loader(train, read={"engine": "petastorm"})]
    assert [content_of(batch) for batch in DataLoader(one, batch_size=None, num_workers=1)] == alone
    with pytest.raises(ValueError, match="cannot share an epoch among 2 worker processes of a DataLoader"):
        list(DataLoader(one, batch_size=None, num_workers=2))


@pytest.mark.parametrize("num_workers", [1, 4])
def test_no_row_is_lost_over_many_loaders(tmp_path: Path, num_workers: int) -> None:
    files = {f"{number}.parquet": pa.table({"id": range(4 * number, 4 * number + 4)}) for number in range(4)}
    dataset = Dataset.open(write_plain(tmp_path, files))
    for seed in range(60):
        read = {"engine": "petastorm", "seed": seed}
        rows = [row for batch in loader(dataset, size=4, read=read, num_workers=num_workers) for row in ids_of(batch)]
        assert sorted(rows) == list(range(16))
