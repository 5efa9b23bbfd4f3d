"""Tiny image files for the tests."""

from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["pixels", "save"]


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (4, 4), np.uint8)


def save(path: Path, seed: int, *shape: int) -> np.ndarray:
    """Save noise as an image file; returns its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = pixels(seed, *shape)
    Image.fromarray(array).save(path)
    return array
