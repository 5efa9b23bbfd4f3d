"""Batches of tensors: shapes, positions, threads, errors."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pytest
import torch
from contracts import assert_reads_each_row_once, assert_resumes_elsewhere, assert_resumes_exactly, content_of, ids_of
from fsspec.implementations.local import LocalFileSystem
from loading import Sample, draw, loader
from tiny import publish_columns, write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid, DecodeFailed, ResumeMismatch, SchemaMismatch, WorldSizeNotAllowed
from bigdata_ml.loader import compose, make_loader, random_crop, random_flip
from bigdata_ml.reader import ReadOptions, RowWeights
from bigdata_ml.schema import Codec, Field, NullPolicy, Schema
from bigdata_ml.storage import Location

WORKERS, REMAINDERS = (0, 2, 3), ("drop", "pad", "exact")


@pytest.mark.parametrize(("num_workers", "remainder"), list(product(WORKERS, REMAINDERS)))
def test_it_resumes_exactly(train: Dataset, num_workers: int, remainder: str) -> None:
    assert_resumes_exactly(lambda: loader(train, size=10, read={"remainder": remainder, "seed": 2}, num_workers=num_workers))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_any_world_size_and_number_of_threads_goes_on_with_the_same_global_batches(train: Dataset, num_workers: int) -> None:
    read, transform = {"remainder": "exact", "window": 20}, compose(random_crop(padding=2), random_flip(), draw)

    def make(rank: int, world_size: int) -> Any:
        threads = num_workers if world_size > 1 else 3
        return loader(train, size=12, read=read, rank=rank, world_size=world_size, transform=transform, num_workers=threads)

    assert_resumes_elsewhere(make, (2, 3, 12))


@pytest.mark.parametrize("num_workers", WORKERS)
def test_it_resumes_exactly_with_a_predicate_and_a_transform_on_one_rank_of_two(train: Dataset, num_workers: int) -> None:
    read = {"predicate": pc.field("id") > 6, "columns": ("image", "id"), "remainder": "exact"}
    transform = compose(random_crop(padding=2), random_flip(), draw)
    settings = {"num_workers": num_workers, "transform": transform, "rank": 1, "world_size": 2}
    assert_resumes_exactly(lambda: loader(train, size=8, read=read, **settings))


def test_a_state_goes_on_with_another_number_of_workers_and_another_world_size(train: Dataset) -> None:
    whole = [ids_of(batch) for batch in loader(train)]
    stopped = loader(train, num_workers=2)
    batches = iter(stopped)
    next(batches)
    ranks = [loader(train, rank=rank, world_size=3) for rank in range(3)]
    for rank in ranks:
        rank.load_state_dict(stopped.state_dict())
    assert [[one for share in step for one in ids_of(share)] for step in zip(*ranks, strict=True)] == whole[1:]


@pytest.mark.parametrize(("num_workers", "remainder"), list(product(WORKERS, ("pad", "exact"))))
def test_every_row_is_read_once_an_epoch(train: Dataset, num_workers: int, remainder: str) -> None:
    assert_reads_each_row_once(lambda: loader(train, read={"remainder": remainder}, num_workers=num_workers), range(47))


@pytest.mark.parametrize("num_workers", [1, 2, 3, 8])
def test_threads_do_not_change_the_batches(train: Dataset, num_workers: int) -> None:
    alone = [content_of(batch) for batch in loader(train, transform=draw)]
    assert [content_of(batch) for batch in loader(train, transform=draw, num_workers=num_workers, prefetch=1)] == alone


def test_slow_reading_and_decoding_do_not_change_the_batches(train: Dataset) -> None:
    clock = np.random.default_rng()

    def dawdle(sample: Sample, rng: np.random.Generator) -> Sample:
        time.sleep(clock.random() / 500)
        return draw(sample, rng)

    class SlowFiles(LocalFileSystem):  # type: ignore[misc]
        cachable = False

        def _open(self, path: str, *args: object, **settings: object) -> object:
            time.sleep(clock.random() / 100)
            return super()._open(path, *args, **settings)

    place = train.location
    slow = replace(train, location=Location(place.url, pafs.PyFileSystem(pafs.FSSpecHandler(SlowFiles())), place.path))
    alone = [content_of(batch) for batch in loader(train, read={"window": 20}, transform=draw)]
    for num_workers in (1, 4, 16):
        found = loader(slow, read={"window": 20}, transform=dawdle, num_workers=num_workers)
        assert [content_of(batch) for batch in found] == alone


def test_a_batch_is_a_dict_of_tensors_as_the_schema_says(train: Dataset) -> None:
    batch = next(iter(loader(train)))
    kinds = {name: (one.dtype, tuple(one.shape)) for name, one in batch.items() if isinstance(one, torch.Tensor)}
    assert kinds == {
        "id": (torch.int64, (6,)),
        "image": (torch.uint8, (6, 8, 8, 1)),
        "label": (torch.int64, (6,)),
        "weight": (torch.float64, (6,)),
        "city": (torch.int64, (6,)),
        "note_valid": (torch.bool, (6,)),
        "valid": (torch.bool, (6,)),
    }
    assert [one is not None for one in batch["note"]] == batch["note_valid"].tolist()


def test_values_are_those_of_their_rows(train: Dataset) -> None:
    for batch in loader(train, size=1, read={"remainder": "drop"}):
        row = int(batch["id"][0])
        assert batch["label"].item() == row % 3
        assert batch["city"].item() == (0, 1, 2, 0)[row % 4]
        assert torch.equal(batch["weight"].isnan(), torch.tensor([row % 5 == 0]))
        assert (batch["image"].min() // 80).item() == row % 3


def test_valid_is_false_for_repeated_rows_of_exact_only(train: Dataset) -> None:
    last = {remainder: list(loader(train, size=10, read={"remainder": remainder}))[-1] for remainder in REMAINDERS}
    assert last["exact"]["valid"].tolist() == [True] * 7 + [False] * 3
    assert last["pad"]["valid"].all()
    assert last["pad"]["repeated"].tolist() == [False] * 7 + [True] * 3
    assert ["repeated" in last[remainder] for remainder in REMAINDERS] == [False, True, False]


def test_all_ranks_make_the_same_number_of_steps_of_equal_batches(train: Dataset) -> None:
    for remainder in REMAINDERS:
        ranks = [loader(train, size=12, read={"remainder": remainder}, rank=rank, world_size=4) for rank in range(4)]
        steps = [[len(batch["id"]) for batch in rank] for rank in ranks]
        assert steps == [[3] * len(ranks[0])] * 4


@pytest.mark.parametrize("sizes", [{}, {"global_batch_size": 4, "batch_size": 4}])
def test_exactly_one_batch_size_must_be_given(train: Dataset, sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="exactly one of global_batch_size"):
        make_loader(train, ReadOptions(), **sizes)


def test_a_batch_size_is_of_one_rank(train: Dataset) -> None:
    one = make_loader(train, ReadOptions(), batch_size=3, world_size=4)
    assert (len(one), one.state_dict()["global_batch_size"]) == (3, 12)


def test_another_world_size_with_a_batch_size_is_refused_naming_the_one_that_would_do(train: Dataset) -> None:
    state = make_loader(train, ReadOptions(), batch_size=3, world_size=4).state_dict()
    with pytest.raises(ResumeMismatch, match="batch_size=6 keeps it"):
        make_loader(train, ReadOptions(), batch_size=3, world_size=2).load_state_dict(state)


@pytest.mark.parametrize("settings", [{"num_workers": -1}, {"prefetch": 0}])
def test_workers_and_prefetch_that_make_no_sense_are_refused(train: Dataset, settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="num_workers must be 0 or more and prefetch 1 or more"):
        loader(train, **settings)


@pytest.mark.parametrize("size", [0, -4])
def test_a_batch_of_nothing_is_refused(train: Dataset, size: int) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        make_loader(train, ReadOptions(), batch_size=size, world_size=2)


def test_a_world_size_that_does_not_divide_is_refused(train: Dataset) -> None:
    with pytest.raises(WorldSizeNotAllowed):
        loader(train, size=6, world_size=4)


def test_each_iteration_is_the_next_epoch(train: Dataset) -> None:
    one, other = loader(train), loader(train)
    first, second = (list(map(ids_of, one)) for _ in range(2))
    assert first != second
    assert one.epoch == 2
    other.set_epoch(1)
    assert list(map(ids_of, other)) == second


def test_the_restored_epoch_keeps_its_position_and_another_starts_at_its_first_step(train: Dataset) -> None:
    stopped = loader(train)
    stopped.set_epoch(3)
    batches = iter(stopped)
    next(batches), next(batches)
    for epoch, steps in ((3, 5), (4, 7), (2, 7)):
        resumed = loader(train)
        resumed.load_state_dict(stopped.state_dict())
        assert resumed.epoch == 3
        resumed.set_epoch(epoch)
        assert len(list(resumed)) == steps


def test_the_state_after_the_last_batch_is_the_start_of_the_next_epoch(train: Dataset) -> None:
    one = loader(train)
    for _ in one:
        state = one.state_dict()
    assert (state["epoch"], state["step"]) == (1, 0)


def test_a_state_says_what_was_handed_out_not_what_was_read_ahead(train: Dataset) -> None:
    one = loader(train, num_workers=3, prefetch=5)
    batches = iter(one)
    assert one.state_dict()["step"] == 0
    next(batches)
    assert one.state_dict()["step"] == 1


def test_an_epoch_before_the_first_is_refused(train: Dataset) -> None:
    with pytest.raises(ValueError, match="epoch must be 0 or more"):
        loader(train).set_epoch(-1)


def test_a_loop_left_early_leaves_no_threads(train: Dataset) -> None:
    before = set(threading.enumerate())
    batches = iter(loader(train, num_workers=2))
    next(batches)
    assert set(threading.enumerate()) - before
    batches.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before


def test_a_whole_epoch_leaves_no_threads(train: Dataset) -> None:
    before = set(threading.enumerate())
    assert len(list(loader(train, num_workers=3))) == 7
    assert set(threading.enumerate()) <= before


def fails_on(row: int) -> Callable[[Sample, np.random.Generator], Sample]:
    def fail(sample: Sample, rng: np.random.Generator) -> Sample:
        if sample["id"] == row:
            raise KeyError(f"row {row}")
        return sample

    return fail


@pytest.mark.parametrize("num_workers", WORKERS)
def test_an_exception_in_a_transform_reaches_the_caller_and_keeps_the_position(train: Dataset, num_workers: int) -> None:
    before = set(threading.enumerate())
    one = loader(train, read={"shuffle": False}, transform=fails_on(14), num_workers=num_workers, prefetch=4)
    batches = iter(one)
    next(batches), next(batches)
    with pytest.raises(KeyError, match="row 14"):
        next(batches)
    assert one.state_dict()["step"] == 2
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_file_that_vanishes_under_the_loader_is_named_and_nothing_hangs(train: Dataset, num_workers: int) -> None:
    one = loader(train, read={"shuffle": False}, num_workers=num_workers)
    (Path(train.url) / "split=train/part-1.parquet").unlink()
    with pytest.raises(DatasetInvalid, match=r"part-1\.parquet row group 0"):
        list(one)


def test_a_training_step_may_write_into_its_batch(train: Dataset) -> None:
    one, other = loader(train, size=3, read={"shuffle": False}), loader(train, size=3, read={"shuffle": False})
    for batch, untouched in zip(one, other, strict=True):
        assert torch.equal(batch["image"], untouched["image"])
        batch["image"].zero_()


def png(height: int) -> bytes:
    import io

    from PIL import Image

    sink = io.BytesIO()
    Image.new("L", (8, height), 7).save(sink, "PNG")
    return sink.getvalue()


PICTURES = Schema((Field(name="id", type=pa.int64()), Field(name="image", type=pa.binary(), codec=Codec.IMAGE, channels=1)))


def test_images_of_differing_sizes_are_refused_with_the_way_out(tmp_path: Path) -> None:
    dataset = publish_columns(tmp_path / "d", PICTURES, {"id": [0, 1], "image": [png(8), png(9)]})
    with pytest.raises(ValueError, match=r"field 'image': the values of a batch have 2 shapes.*image_size=\(height, width\)"):
        next(iter(loader(dataset, size=2)))
    assert next(iter(loader(dataset, size=2, read={"image_size": (4, 6)})))["image"].shape == (2, 4, 6, 1)


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_corrupt_image_is_named_with_file_row_group_row_and_field(tmp_path: Path, num_workers: int) -> None:
    dataset = publish_columns(tmp_path / "d", PICTURES, {"id": range(9), "image": [png(8)] * 7 + [png(8)[:50]] + [png(8)]})
    with pytest.raises(DecodeFailed, match=r"d/part-0\.parquet row group 1 row 2 field 'image'"):
        list(loader(dataset, size=3, num_workers=num_workers))


def test_a_value_outside_the_vocabulary_is_named_with_file_row_group_row_and_field(tmp_path: Path) -> None:
    from bigdata_ml.dataset import Vocabulary

    schema = Schema((Field(name="id", type=pa.int64()), Field(name="label", type=pa.string(), vocabulary=True)))
    known = {"label": Vocabulary(values=("a",), counts=(7,), unknown=False)}
    columns = {"id": range(8), "label": ["a"] * 6 + ["b", "a"]}
    dataset = publish_columns(tmp_path / "d", schema, columns, vocabularies=known)
    with pytest.raises(SchemaMismatch, match=r"d/part-0\.parquet row group 1 row 1 field 'label': 'b' is not in the vocabulary"):
        list(loader(dataset, size=4))


def test_plain_parquet_can_be_trained_over(tmp_path: Path) -> None:
    files = {
        f"day={day}/x.parquet": pa.table({"id": [2 * day, 2 * day + 1], "x": [None, 1.5], "tags": [["a"], []]})
        for day in (0, 1, 2)
    }
    dataset = Dataset.open(write_plain(tmp_path, files))
    assert_resumes_exactly(lambda: loader(dataset, size=4, read={"remainder": "exact"}, num_workers=2))
    assert_reads_each_row_once(lambda: loader(dataset, size=4, read={"remainder": "exact"}), range(6))
    batch = next(iter(loader(dataset, size=6, read={"shuffle": False})))
    assert batch["day"].tolist() == [0, 0, 1, 1, 2, 2]
    assert batch["x"].isnan().tolist() == [True, False] * 3


def test_a_field_whose_nulls_are_filled_needs_no_mask(tmp_path: Path) -> None:
    schema = Schema((Field(name="x", type=pa.int32(), null=NullPolicy.FILL, fill=-1),))
    dataset = publish_columns(tmp_path / "d", schema, {"x": [1, None, 3]})
    assert next(iter(loader(dataset, size=3, read={"shuffle": False})))["x"].tolist() == [1, -1, 3]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_copies_of_a_weighted_row_are_augmented_each_in_its_own_way(train: Dataset, num_workers: int) -> None:
    read = {"weights": RowWeights("label", {"bee": 3}, default=0), "remainder": "pad", "columns": ("id",)}
    drawn = [
        (row, number)
        for batch in loader(train, read=read, transform=draw, num_workers=num_workers)
        for row, number, repeated in zip(*(batch[name].tolist() for name in ("id", "draw", "repeated")), strict=True)
        if not repeated
    ]
    bees = [row for row in range(47) if row % 3 == 1]
    assert sorted(row for row, _ in drawn) == sorted(3 * bees)
    assert len(set(drawn)) == len(drawn)


def test_weighted_rows_go_on_after_any_batch_with_threads_and_a_transform(train: Dataset) -> None:
    read = {"weights": RowWeights("id", {5: 3.5, 6: 0.5}), "remainder": "exact", "window": 20}
    assert_resumes_exactly(lambda: loader(train, size=8, read=read, transform=draw, num_workers=2))
