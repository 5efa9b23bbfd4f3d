"""Random histories of a folder of images: files come, change, go, and are told apart by their times alone."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["History"]

FOLDERS = ("cats", "dogs", "cats/young")


class History:
    """A folder that changes by the draws of a seed. Each change gives a file a time of its own, days ago, unlike any before.

    `shapes` are those that pictures have: height, width and, of coloured ones, 3.
    """

    def __init__(self, root: Path, seed: int, shapes: tuple[tuple[int, ...], ...]) -> None:
        self.root = root
        self._rng = np.random.default_rng(seed)
        self._shapes = shapes
        self._clock = time.time_ns() - 10 * 86_400 * 10**9
        self._number = 0
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True)
        for _ in range(14):
            self.add()
        for _ in range(3):
            self.duplicate()
        self.break_one()

    def files(self) -> list[Path]:
        """All files, sorted by path."""
        return sorted(path for path in self.root.rglob("*") if path.is_file())

    def step(self, changes: int = 7) -> list[str]:
        """Make some changes, each of a kind drawn; returns the kinds."""
        kinds: tuple[Callable[[], None], ...] = (
            self.add,
            self.change,
            self.change_in_place,
            self.delete,
            self.rename,
            self.duplicate,
            self.shrink,
            self.touch,
            self.set_back,
            self.break_one,
        )
        drawn = [kinds[one] for one in self._rng.integers(0, len(kinds), changes)]
        for change in drawn:
            change()
        return [change.__name__ for change in drawn]

    def add(self) -> None:
        """A new picture."""
        self._draw(self._new("png" if self._rng.random() < 0.7 else "jpg"))

    def change(self) -> None:
        """Another picture under the same name."""
        self._draw(self._one())

    def change_in_place(self) -> None:
        """Other bytes, as many, at a newer time: a picture's pixels are not compressed in BMP."""
        bitmaps = [path for path in self.files() if path.suffix == ".bmp"]
        path = bitmaps[int(self._rng.integers(len(bitmaps)))] if bitmaps else self._new("bmp")
        if not bitmaps:
            self._draw(path)
        data = bytearray(path.read_bytes())
        data[-30] ^= 1 + int(self._rng.integers(255))
        path.write_bytes(data)
        self.stamp(path)

    def delete(self) -> None:
        """A file less."""
        self._one().unlink()

    def rename(self) -> None:
        """A file under another name, in another folder perhaps; its time stays, as with mv."""
        path = self._one()
        path.rename(self._new(path.suffix[1:]))

    def duplicate(self) -> None:
        """A copy, under another label perhaps."""
        path = self._one()
        copy = self._new(path.suffix[1:])
        shutil.copy(path, copy)
        self.stamp(copy)

    def shrink(self) -> None:
        """A smaller copy, which looks alike where pictures are large enough."""
        pictures = [path for path in self.files() if path.stat().st_size > 20]
        path = pictures[int(self._rng.integers(len(pictures)))]
        with Image.open(path) as image:
            small = image.resize((max(1, image.width * 7 // 8), max(1, image.height * 7 // 8)))
        if len({shape[:2] for shape in self._shapes}) > 1:
            copy = self._new("png")
            small.save(copy)
            self.stamp(copy)

    def touch(self) -> None:
        """The same bytes at a newer time."""
        self.stamp(self._one())

    def set_back(self) -> None:
        """Other bytes at an older time, as a copy from a backup has."""
        path = self._one()
        before = path.stat().st_mtime_ns
        self._draw(path)
        os.utime(path, ns=(before - 10**9, before - 10**9))

    def break_one(self) -> None:
        """A file that is no picture."""
        path = self._one()
        path.write_bytes(b"no picture %d" % self._number)
        self.stamp(path)

    def stamp(self, path: Path) -> None:
        """Give a file the next time."""
        self._clock += 1_000_003
        os.utime(path, ns=(self._clock, self._clock))

    @contextmanager
    def unreadable(self, paths: list[Path]) -> Iterator[None]:
        """Have these files hold garbage, of the same size and at the same time, while the body runs."""
        kept = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
        for path, (data, when) in kept.items():
            path.write_bytes(bytes(255 - one for one in data))
            os.utime(path, ns=(when, when))
        try:
            yield
        finally:
            for path, (data, when) in kept.items():
                path.write_bytes(data)
                os.utime(path, ns=(when, when))

    def _one(self) -> Path:
        files = self.files()
        return files[int(self._rng.integers(len(files)))]

    def _new(self, ending: str) -> Path:
        self._number += 1
        return self.root / FOLDERS[int(self._rng.integers(len(FOLDERS)))] / f"{self._number}.{ending}"

    def _draw(self, path: Path) -> None:
        shape = self._shapes[int(self._rng.integers(len(self._shapes)))]
        coarse = self._rng.integers(0, 256, (5, 5, *shape[2:]), np.uint8)
        Image.fromarray(coarse).resize((shape[1], shape[0]), Image.Resampling.BICUBIC).save(path)
        self.stamp(path)
