"""Tiny image files for the tests."""

from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["picture", "pixels", "save"]


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape or (4, 4), np.uint8)


def save(path: Path, seed: int, *shape: int) -> np.ndarray:
    """Save noise as an image file; returns its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = pixels(seed, *shape)
    Image.fromarray(array).save(path)
    return array


def picture(seed: int, height: int = 96, width: int = 128) -> Image.Image:
    """Return coarse blobs of colour under fine noise: an image with looks of its own."""
    rng = np.random.default_rng(seed)
    blobs = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    return Image.fromarray(
        np.clip(np.asarray(blobs).astype(int) + rng.integers(-12, 12, (height, width, 3)), 0, 255).astype(np.uint8)
    )
