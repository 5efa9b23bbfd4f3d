"""Bad rows and row groups: named by default, passed over in place when asked, counted, and never too many."""

import io
import logging
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from contracts import assert_reads_each_row_once, assert_resumes_exactly, content_of, ids_of
from forged_pictures import FORGED
from loading import Sample, draw, loader
from PIL import Image
from tiny import publish_columns

from bigdata_ml.dataset import Dataset, Vocabulary
from bigdata_ml.errors import ChecksumMismatch, DatasetInvalid, DecodeFailed, SchemaMismatch
from bigdata_ml.reader import ReadOptions, open_reader
from bigdata_ml.schema import Codec, Field, Schema

WORKERS = (0, 1, 3)
BAD_ROWS, ROWS = (7, 23), 40
SKIP = {"on_error": "skip", "max_skipped": 0.2, "seed": 5}


def png(value: int) -> bytes:
    sink = io.BytesIO()
    Image.new("L", (6, 4), value).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    """40 pictures in row groups of 5, each of its own id's grey; those of BAD_ROWS are cut short."""
    fields = Schema(
        (
            Field(name="id", type=pa.int64()),
            Field(name="image", type=pa.binary(), codec=Codec.IMAGE, channels=1),
            Field(name="note", type=pa.string()),
        )
    )
    images = [png(one)[: 50 if one in BAD_ROWS else None] for one in range(ROWS)]
    return publish_columns(
        tmp_path / "d", fields, {"id": range(ROWS), "image": images, "note": [f"n{one}" for one in range(ROWS)]}
    )


@pytest.fixture
def rotten(train: Dataset, change_bytes: Callable[[Path, int], None]) -> tuple[Dataset, list[int]]:
    """The tiny train split with one row group of changed bytes, and the ids of its rows."""
    record = train.row_groups.record(3)
    lost = next(iter(loader(train, size=47, read={"shuffle": False})))["id"][15:20].tolist()
    change_bytes(Path(train.url) / record["path"], record["offset"] + 100)
    return train, lost


@pytest.mark.parametrize("num_workers", WORKERS)
def test_an_undecodable_image_is_named_by_default(pictures: Dataset, num_workers: int) -> None:
    with pytest.raises(DecodeFailed, match=r"d/part-0\.parquet row group 1 row 2 field 'image': the image cannot be decoded"):
        list(loader(pictures, size=4, read={"shuffle": False}, num_workers=num_workers))


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_corrupt_row_group_is_named_by_default(rotten: tuple[Dataset, list[int]], num_workers: int) -> None:
    with pytest.raises(ChecksumMismatch, match=r"train/part-0\.parquet row group 3: its bytes have the checksum"):
        list(loader(rotten[0], read={"shuffle": False}, num_workers=num_workers))


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_skipped_row_keeps_its_place_and_all_others_theirs(pictures: Dataset, num_workers: int) -> None:
    order = [one for batch in loader(pictures, size=4, read={"seed": 5, "columns": ("id",)}) for one in batch["id"].tolist()]
    one = loader(pictures, size=4, read=SKIP, num_workers=num_workers)
    batches = list(one)
    found = [(row, ok) for batch in batches for row, ok in zip(batch["id"].tolist(), batch["valid"].tolist(), strict=True)]
    assert found == [(0, False) if row in BAD_ROWS else (row, True) for row in order]
    for batch in batches:
        assert batch["image"].shape == (4, 4, 6, 1)
        assert torch.equal(batch["image"].amax((1, 2, 3)).long(), batch["id"])
        assert [note == f"n{row}" for note, row in zip(batch["note"], batch["id"].tolist(), strict=True)] == batch[
            "valid"
        ].tolist()
        assert [batch["note"][row] for row in range(4) if not batch["valid"][row]] == [""] * int((~batch["valid"]).sum())
    assert one.skipped == len(BAD_ROWS)


@pytest.mark.parametrize(("num_workers", "remainder"), list(product(WORKERS, ("drop", "pad", "exact"))))
def test_rows_of_a_corrupt_row_group_keep_their_places(
    rotten: tuple[Dataset, list[int]], num_workers: int, remainder: str
) -> None:
    dataset, lost = rotten
    read = {**SKIP, "remainder": remainder, "window": 20}
    plan = loader(dataset, read=read)._cursor.begin()[0]
    one = loader(dataset, read=read, num_workers=num_workers)
    counted = 0
    for step, batch in enumerate(one):
        rows = plan.step_rows(step, range(plan.settings.streams))
        bad = rows.groups == 3
        assert (batch["id"].numpy()[bad] == 0).all()
        assert (batch["image"].numpy()[bad] == 0).all()
        valid = ~(bad | rows.repeated) if remainder == "exact" else ~bad
        assert batch["valid"].tolist() == valid.tolist()
        counted += int((bad & ~rows.repeated).sum())
    assert one.skipped == counted
    assert counted == len(lost) or remainder == "drop"


def test_every_other_row_is_read_once_and_a_stop_changes_nothing(rotten: tuple[Dataset, list[int]]) -> None:
    dataset, lost = rotten
    read = {**SKIP, "remainder": "exact"}
    assert_reads_each_row_once(lambda: loader(dataset, read=read, num_workers=2), set(range(47)) - set(lost))
    assert_resumes_exactly(lambda: loader(dataset, read=read, transform=draw, num_workers=2))


def test_the_reader_marks_skipped_rows_too(rotten: tuple[Dataset, list[int]]) -> None:
    dataset, lost = rotten
    one = open_reader(dataset, ReadOptions(**SKIP, remainder="exact"), global_batch_size=6)
    batches = list(one)
    valid = [row for batch in batches for row in batch["valid"].to_pylist()]
    repeated = [row for batch in batches for row in batch["repeated"].to_pylist()]
    assert sum(not ok and not again for ok, again in zip(valid, repeated, strict=True)) == one.skipped == len(lost)


def test_a_value_outside_its_vocabulary_is_a_bad_row(tmp_path: Path) -> None:
    fields = Schema((Field(name="id", type=pa.int64()), Field(name="label", type=pa.string(), vocabulary=True)))
    known = {"label": Vocabulary(values=("a", "b"), counts=(7, 1), unknown=False)}
    dataset = publish_columns(tmp_path / "d", fields, {"id": range(8), "label": ["a"] * 6 + ["z", "b"]}, vocabularies=known)
    (batch,) = loader(dataset, size=8, read={**SKIP, "shuffle": False})
    assert batch["valid"].tolist() == [True] * 6 + [False, True]
    assert batch["label"].tolist() == [0] * 7 + [1]
    with pytest.raises(SchemaMismatch, match=r"row group 1 row 1 field 'label': 'z' is not in the vocabulary"):
        next(iter(loader(dataset, size=8)))


@pytest.mark.parametrize("num_workers", WORKERS)
@pytest.mark.parametrize(("most", "enough"), [(0.025, False), (0.05, True)])
def test_more_rows_than_allowed_are_refused_with_the_last_of_them(
    pictures: Dataset, most: float, enough: bool, num_workers: int
) -> None:
    one = loader(pictures, size=4, read={**SKIP, "max_skipped": most, "shuffle": False}, num_workers=num_workers)
    if enough:
        assert len(list(one)) == 10
        return
    handed = []
    with pytest.raises(
        DatasetInvalid, match=r"2 rows of this epoch's 40 on this rank were skipped, more than max_skipped=0\.025"
    ):
        handed.extend(ids_of(batch) for batch in one)
    assert len(handed) == 5
    assert one.state_dict()["step"] == 5


def test_the_default_allows_one_row_in_a_thousand(pictures: Dataset) -> None:
    with pytest.raises(DatasetInvalid, match=r"max_skipped=0\.001 allows; the last: .*row group \d row \d field 'image'"):
        list(loader(pictures, size=4, read={"on_error": "skip"}))


def test_what_was_skipped_is_said(rotten: tuple[Dataset, list[int]], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "bigdata_ml"):
        list(loader(rotten[0], size=47, read={**SKIP, "shuffle": False}))
    (record,) = caplog.records
    assert "part-0.parquet row group 3: its bytes have the checksum" in record.getMessage()


def test_the_count_begins_anew_each_epoch(pictures: Dataset) -> None:
    one = loader(pictures, size=4, read=SKIP)
    assert [(len(list(one)), one.skipped) for _ in range(3)] == [(10, 2)] * 3


def test_a_transform_sees_zeros_and_what_it_makes_of_them_is_zeroed(pictures: Dataset) -> None:
    def brighten(sample: Sample, rng: np.random.Generator) -> Sample:
        return {**sample, "image": sample["image"] + np.uint8(9), "mean": float(sample["image"].mean() + 9)}

    for batch in loader(pictures, size=4, read=SKIP, transform=brighten):
        assert (batch["image"].amax((1, 2, 3)) == torch.where(batch["valid"], batch["id"] + 9, 0)).all()
        assert ((batch["mean"] > 0) == batch["valid"]).all()


@pytest.mark.parametrize("num_workers", [1, 2, 8])
def test_augmentation_is_the_same_with_any_number_of_threads_and_after_any_stop(train: Dataset, num_workers: int) -> None:
    def make(threads: int) -> Any:
        return loader(train, read={"remainder": "pad", "window": 20}, transform=draw, num_workers=threads)

    assert [content_of(batch) for batch in make(num_workers)] == [content_of(batch) for batch in make(0)]
    assert_resumes_exactly(lambda: make(num_workers))


def test_a_rows_repetitions_are_augmented_differently(train: Dataset) -> None:
    one = loader(train, size=32, read={"remainder": "pad", "columns": ("id",)}, transform=draw)
    *_, last = one
    draws = list(zip(last["id"].tolist(), last["draw"].tolist(), strict=True))
    assert last["repeated"].sum() == 17
    assert len(set(draws)) == 32 > len({row for row, _ in draws})


def test_a_row_draws_the_same_whatever_else_is_selected(train: Dataset) -> None:
    import pyarrow.compute as pc

    def drawn(**read: Any) -> dict[int, int]:
        one = loader(train, read={"remainder": "exact", **read}, transform=draw)
        return {
            row: value
            for batch in one
            for row, value, ok in zip(batch["id"].tolist(), batch["draw"].tolist(), batch["valid"].tolist(), strict=True)
            if ok
        }

    every, some = drawn(), drawn(predicate=pc.field("id") > 20)
    assert some == {row: value for row, value in every.items() if row > 20}


def test_a_transform_never_sees_a_skipped_row(tmp_path: Path) -> None:
    fields = Schema((Field(name="id", type=pa.int64()), Field(name="image", type=pa.binary(), codec=Codec.IMAGE, channels=1)))

    def picture(height: int) -> bytes:
        sink = io.BytesIO()
        Image.new("L", (8, height), 7).save(sink, "PNG")
        return sink.getvalue()

    def cut(sample: Sample, rng: np.random.Generator) -> Sample:
        assert sample["image"].shape[0] >= 8
        return {**sample, "image": sample["image"][:8]}

    dataset = publish_columns(
        tmp_path / "d", fields, {"id": range(4), "image": [picture(8), picture(9), b"no image", picture(12)]}
    )
    (batch,) = loader(dataset, size=4, read={**SKIP, "max_skipped": 0.3, "shuffle": False}, transform=cut)
    assert batch["image"].shape == (4, 8, 8, 1)
    assert batch["valid"].tolist() == [True, True, False, True]
    assert batch["image"][2].sum() == 0


def test_pictures_that_lie_or_break_a_decoder_are_rows_that_cannot_be_decoded(tmp_path: Path) -> None:
    fields = Schema((Field(name="image", type=pa.binary(), codec=Codec.IMAGE, channels=1),))
    files = [png(1), *(content for content, _ in FORGED.values()), png(2)]
    dataset = publish_columns(tmp_path / "d", fields, {"image": files})
    places = {"max_skipped": 1, "shuffle": False, "remainder": "exact"}
    for size in (None, (4, 6)):
        reading = loader(dataset, size=len(files), read={**SKIP, **places, "image_size": size})
        (batch,) = reading
        assert batch["valid"].tolist() == [True, *[False] * len(FORGED), True]
        assert [int(image.max()) for image in batch["image"]] == [1, *[0] * len(FORGED), 2]
    for row, (name, (content, reason)) in enumerate(FORGED.items()):
        alone = publish_columns(tmp_path / f"{row}", fields, {"image": [png(1), content]})
        text = rf"part-0\.parquet row group 0 row 1 field 'image': .*{reason}"
        with pytest.raises(DecodeFailed, match=text):
            list(loader(alone, size=2, read={"shuffle": False}))
        assert name


def test_how_many_pixels_an_image_may_have_can_be_said(tmp_path: Path) -> None:
    fields = Schema((Field(name="image", type=pa.binary(), codec=Codec.IMAGE, channels=1),))
    dataset = publish_columns(tmp_path / "d", fields, {"image": [png(1), png(2)]})
    assert len(list(loader(dataset, size=2, read={"max_pixels": 24}))) == 1
    with pytest.raises(DecodeFailed, match="4 × 6"):
        list(loader(dataset, size=2, read={"max_pixels": 23}))
