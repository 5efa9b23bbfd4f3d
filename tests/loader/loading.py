"""Loaders for the tests, and a transform that shows what each row draws."""

from typing import Any

import numpy as np

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import Loader, make_loader
from bigdata_ml.reader import ReadOptions

Sample = dict[str, Any]


def loader(dataset: Dataset, *, size: int = 6, read: dict[str, Any] | None = None, **settings: Any) -> Loader:
    return make_loader(dataset, ReadOptions(**read or {}), global_batch_size=size, **settings)


def draw(sample: Sample, rng: np.random.Generator) -> Sample:
    return {**sample, "draw": rng.integers(0, 2**62)}


def draws(one: Loader, *, epoch: int = 0) -> dict[int, int]:
    one.set_epoch(epoch)
    return {row: drawn for batch in one for row, drawn in zip(batch["id"].tolist(), batch["draw"].tolist(), strict=True)}
