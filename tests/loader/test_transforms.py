"""Transforms: each row draws from its own generator, whatever reads it."""

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from loading import Sample, draw, draws, loader

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import random_crop, random_flip

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
