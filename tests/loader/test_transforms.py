"""Transforms: each row draws from its own generator, whatever reads it."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from loading import Sample, draw, draws, loader
from PIL import Image

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import random_crop, random_flip
from bigdata_ml.loader.collate import blanked

WORKERS = (0, 2, 3)


@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_row_draws_the_same_at_any_world_size_and_number_of_workers(train: Dataset, num_workers: int) -> None:
    wanted = draws(loader(train, transform=draw, read={"remainder": "exact"}))
    ranks = [
        loader(train, transform=draw, read={"remainder": "exact"}, rank=rank, world_size=2, num_workers=num_workers)
        for rank in (0, 1)
    ]
    assert draws(ranks[0]) | draws(ranks[1]) == wanted


def test_a_row_draws_anew_each_epoch_and_for_each_seed_and_unlike_its_neighbours(train: Dataset) -> None:
    found = [
        draws(loader(train, transform=draw, read={"remainder": "exact", "seed": seed}), epoch=epoch)
        for seed, epoch in product((0, 1), (0, 1))
    ]
    assert len({one for each in found for one in each.values()}) == 4 * 47


@pytest.mark.parametrize("transform", [lambda sample: sample, lambda: None, lambda a, b, c: a])
def test_a_transform_of_other_arguments_is_refused(train: Dataset, transform: Any) -> None:
    with pytest.raises(TypeError, match=r"a transform must take \(sample, rng\)"):
        loader(train, transform=transform)


def test_a_transform_cannot_write_into_rows_that_other_batches_share(train: Dataset) -> None:
    def write(sample: Sample, rng: np.random.Generator) -> Sample:
        sample["image"][:] = 0
        return sample

    with pytest.raises(ValueError, match="read-only"):
        next(iter(loader(train, transform=write)))


def test_samples_of_differing_fields_are_refused(train: Dataset) -> None:
    def sometimes(sample: Sample, rng: np.random.Generator) -> Sample:
        return {**sample, "extra": 1} if sample["id"] % 2 else sample

    with pytest.raises(ValueError, match="the same fields for every row"):
        next(iter(loader(train, transform=sometimes)))


def test_a_crop_keeps_the_size_and_no_padding_keeps_the_image(train: Dataset) -> None:
    plain = next(iter(loader(train)))["image"]
    assert torch.equal(next(iter(loader(train, transform=random_crop(padding=0))))["image"], plain)
    cropped = next(iter(loader(train, transform=random_crop(padding=2))))["image"]
    assert (cropped.shape == plain.shape, torch.equal(cropped, plain)) == (True, False)


def test_a_sure_flip_mirrors_and_an_unlikely_one_does_not(train: Dataset) -> None:
    plain, mirrored, same = (
        next(iter(loader(train, transform=transform)))["image"]
        for transform in (None, random_flip(probability=1.0), random_flip(probability=0.0))
    )
    assert torch.equal(mirrored, plain.flip(2))
    assert torch.equal(same, plain)


def _images(sample: Sample, rng: np.random.Generator) -> Sample:
    image = torch.from_numpy(sample["image"].copy())
    grey = Image.fromarray(sample["image"][:, :, 0])
    pillow = Image.merge("RGB", (grey, grey.point(lambda one: 255 - one), grey))
    return {
        "tensor": image.permute(2, 0, 1),
        "bfloat16": (image / 255).to(torch.bfloat16),
        "scalar": torch.tensor(sample["id"], dtype=torch.int32),
        "learnt": torch.full((2,), float(sample["id"]), requires_grad=True) * 2,
        "mixed": sample["image"] if sample["id"] % 2 else image,
        "rgb": pillow,
        "grey": grey,
        "alpha": pillow.convert("RGBA"),
        "number": int(sample["id"]),
        "numpy": np.float32(sample["id"]),
        "text": np.str_(sample["id"]),
    }


def test_tensors_and_pillow_images_of_a_transform_become_tensors(train: Dataset) -> None:
    plain, batch = next(iter(loader(train))), next(iter(loader(train, transform=_images)))
    image, ids = plain["image"], plain["id"]
    colours = torch.cat([image, 255 - image, image], dim=3)
    wanted = {
        "tensor": image.permute(0, 3, 1, 2),
        "bfloat16": (image / 255).to(torch.bfloat16),
        "scalar": ids.to(torch.int32),
        "learnt": (ids.float() * 2)[:, None].expand(-1, 2),
        "mixed": image,
        "rgb": colours,
        "grey": image,
        "alpha": torch.cat([colours, torch.full_like(image, 255)], dim=3),
        "number": ids.to(torch.int64),
        "numpy": ids.float(),
        "valid": plain["valid"],
    }
    assert batch.pop("text") == [str(one) for one in ids.tolist()]
    assert {name: one.dtype for name, one in batch.items()} == {name: one.dtype for name, one in wanted.items()}
    assert [name for name, one in wanted.items() if not torch.equal(batch[name], one)] == []
    assert not batch["learnt"].requires_grad


def test_tensors_of_one_dimension_and_differing_lengths_stay_a_list_and_others_are_refused(train: Dataset) -> None:
    def ragged(dimensions: int) -> Any:
        return lambda sample, rng: {"x": torch.full((int(sample["id"]) % 3,) + (2,) * (dimensions - 1), sample["id"])}

    ids = next(iter(loader(train)))["id"].tolist()
    assert [one.tolist() for one in next(iter(loader(train, transform=ragged(1))))["x"]] == [[one] * (one % 3) for one in ids]
    with pytest.raises(ValueError, match=r"field 'x': .* have 2 shapes, \(1, 2\) and \(2, 2\)"):
        next(iter(loader(train, transform=ragged(2))))


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (lambda row: (1, 2), "a tuple, .* a field for each of its parts"),
        (lambda row: {"a": 1}, "a dict, "),
        (lambda row: Image.new("P", (2, 2)), r"mode 'P', .* image\.convert"),
        (lambda row: np.array([None]), "object"),
        (lambda row: np.datetime64("2026-01-01"), "datetime64"),
        (lambda row: 1.5 if row % 2 else None, "NoneType and float"),
        (lambda row: torch.tensor(row, dtype=torch.int8 if row % 2 else torch.int16), "torch.int16 and torch.int8"),
    ],
    ids=["tuple", "dict", "palette", "object", "time", "null", "dtypes"],
)
def test_a_value_that_cannot_be_in_a_column_is_refused_by_field_and_type(train: Dataset, value: Any, named: str) -> None:
    with pytest.raises(TypeError, match=f"field 'x': .*{named}"):
        next(iter(loader(train, transform=lambda sample, rng: {"x": value(int(sample["id"]))})))


def test_tensors_of_rows_that_were_skipped_are_zeros() -> None:
    columns = {"x": torch.tensor([[1, 2], [3, 4]]), "ragged": [torch.tensor([1]), torch.tensor([2, 3])]}
    found = blanked(columns, np.array([False, True]))
    assert torch.equal(found["x"], torch.tensor([[1, 2], [0, 0]]))
    assert [one.tolist() for one in found["ragged"]] == [[1], [0, 0]]
    assert columns["x"].tolist() == [[1, 2], [3, 4]]
