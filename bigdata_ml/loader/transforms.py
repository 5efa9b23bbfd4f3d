"""Augmentations as `f(sample, rng) -> sample`: every draw comes from the row's own generator."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bigdata_ml.reader.order import key_of

__all__ = ["Sample", "Transform", "compose", "random_crop", "random_flip", "row_generator"]

Sample = dict[str, Any]
Transform = Callable[[Sample, np.random.Generator], Sample]


def row_generator(seed: int, epoch: int, group: int, row: int, copy: int = 0) -> np.random.Generator:
    """Return the generator of one row in one epoch: the same at any world size, thread count and after a resume.

    Args:
        seed: of the order.
        epoch: 0 …
        group: index of its row group in the dataset.
        row: its place in the row group.
        copy: 0; 1, 2 … for its repetitions in a short last batch.
    """
    return np.random.Generator(np.random.PCG64(key_of(seed, epoch, group, row, copy, 4)))


def compose(*transforms: Transform) -> Transform:
    """Return the transforms one after the other as one."""

    def composed(sample: Sample, rng: np.random.Generator) -> Sample:
        for transform in transforms:
            sample = transform(sample, rng)
        return sample

    return composed


def random_flip(field: str = "image", *, probability: float = 0.5) -> Transform:
    """Return a transform that mirrors the image left to right with that probability (0 … 1)."""

    def flip(sample: Sample, rng: np.random.Generator) -> Sample:
        if rng.random() >= probability:
            return sample
        return {**sample, field: sample[field][:, ::-1]}

    return flip


def random_crop(field: str = "image", *, padding: int) -> Transform:
    """Return a transform that pads the image by `padding` pixels of zero on each side and cuts its old size out at random."""

    def crop(sample: Sample, rng: np.random.Generator) -> Sample:
        image = sample[field]
        height, width = image.shape[:2]
        padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
        top, left = (int(rng.integers(0, 2 * padding + 1)) for _ in range(2))
        return {**sample, field: padded[top : top + height, left : left + width]}

    return crop
