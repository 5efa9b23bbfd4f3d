"""Augmentations as `f(sample, rng) -> sample`: every draw comes from the row's own generator."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bigdata_ml.reader.order.hashing import key_of

__all__ = ["Sample", "Transform", "compose", "random_crop", "random_flip", "row_generator"]

Sample = dict[str, Any]
Transform = Callable[[Sample, np.random.Generator], Sample]


def row_generator(seed: int, epoch: int, group: int, row: int, number: int = 0) -> np.random.Generator:
    """Return the generator of one row in one epoch: the same at any world size, thread count and after a resume.

    Args:
        seed: of the order.
        epoch: 0 …
        group: index of its row group in the dataset.
        row: its place in the row group.
        number: of the times that the row comes in the epoch: 0; others for copies and for repetitions in a short last batch.
    """
    return np.random.Generator(np.random.PCG64(key_of(seed, epoch, group, row, number, 4)))


def compose(*transforms: Transform) -> Transform:
    """Return the transforms one after the other as one."""
    return _Composed(transforms)


def random_flip(field: str = "image", *, probability: float = 0.5) -> Transform:
    """Return a transform that mirrors the image left to right with that probability (0 … 1)."""
    return _Flip(field, probability)


def random_crop(field: str = "image", *, padding: int) -> Transform:
    """Return a transform that pads the image by `padding` pixels of zero on each side and cuts its old size out at random."""
    return _Crop(field, padding)


# Classes, not closures: worker processes that are spawned get them pickled.
@dataclass(frozen=True, slots=True)
class _Composed:
    transforms: tuple[Transform, ...]

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        for transform in self.transforms:
            sample = transform(sample, rng)
        return sample


@dataclass(frozen=True, slots=True)
class _Flip:
    field: str
    probability: float

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= self.probability:
            return sample
        return {**sample, self.field: sample[self.field][:, ::-1]}


@dataclass(frozen=True, slots=True)
class _Crop:
    field: str
    padding: int

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        image, padding = sample[self.field], self.padding
        height, width = image.shape[:2]
        padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
        top, left = (int(rng.integers(0, 2 * padding + 1)) for _ in range(2))
        return {**sample, self.field: padded[top : top + height, left : left + width]}
