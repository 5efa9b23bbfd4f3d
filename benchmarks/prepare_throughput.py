"""Preparation by Spark against what else one could do: images by a script of one's own, datasets by other writers.

Usage: python benchmarks/prepare_throughput.py [--runs 3] [--images 20000 100000] [--photographs 20000] [--mosaic PYTHON]
       [--bare] [--cases images photographs pixels …]

`images`: JPEG files of 320 × 240 pixels, some of them broken, empty or there twice, cleaned and written by the image job at
local[2] with the settings of conf/ (`--bare`: without them, too) and by a script with two processes; `photographs`: the same of
1024 × 768. `steps`: what the Spark job's time consists of. `pixels`, `table`: the same Parquet files (100,000 pictures of
64 × 64 × 3 bytes; 100,000 rows of 20 columns) written as a dataset by our sink, by Petastorm's materialize_dataset and, where
`--mosaic` names an interpreter that has mosaicml-streaming and pyspark, by its dataframe_to_mds; by the last and by ours both
compressed and not.
Each run is a process of its own, and all take turns. What was kept and refused must be the same, or it is an error.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Measured, save
from PIL import Image

HERE = Path(__file__).parent
CASES = ("images", "photographs", "steps", "pixels", "table")
SMALL, PHOTOGRAPH = (320, 240), (1024, 768)
PICTURES, ROWS = 100_000, 100_000


def write_image(place: tuple[str, int, tuple[int, int]]) -> None:
    """Write one file: of a thousand 20 as an earlier one, 3 cut off, 1 empty."""
    folder, number, (width, height) = place
    target = Path(folder) / f"class{number % 10}" / f"{number:06d}.jpg"
    copied = number % 1000 >= 980
    numbers = np.random.default_rng(number - 500 if copied else number)
    coarse = Image.fromarray(numbers.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    fine = numbers.integers(-12, 13, (height, width, 1), dtype=np.int16)
    pixels = np.clip(np.asarray(coarse).astype(np.int16) + fine, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=85)
    content = stream.getvalue()
    kept = 0 if number % 1000 == 500 else len(content) // 2 if number % 1000 in (100, 300, 700) else len(content)
    target.write_bytes(content[:kept])


def write_images(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Write the image files into ten folders."""
    for one in range(10):
        (folder / f"class{one}").mkdir(parents=True)
    with Pool() as pool:
        pool.map(write_image, [(str(folder), number, size) for number in range(count)], chunksize=200)


def write_pixels(folder: Path) -> None:
    """Write 8 files of pictures as bytes."""
    numbers = np.random.default_rng(0)
    folder.mkdir()
    for file in range(8):
        ids = np.arange(file * PICTURES // 8, (file + 1) * PICTURES // 8)
        # Five bits of noise, so that they can be compressed a little, as pictures can.
        images = [numbers.integers(0, 32, 64 * 64 * 3, dtype=np.uint8).tobytes() for _ in ids]
        pq.write_table(pa.table({"id": ids, "image": images}), folder / f"{file}.parquet", row_group_size=500)


def write_table(folder: Path) -> None:
    """Write 8 files of 10 columns float32 and 10 int64."""
    numbers = np.random.default_rng(0)
    folder.mkdir()
    for file in range(8):
        rows = ROWS // 8
        columns = {f"f{one}": numbers.random(rows, dtype=np.float32) for one in range(10)}
        columns |= {f"i{one}": numbers.integers(0, 1000, rows) for one in range(9)}
        columns["id"] = np.arange(file * rows, (file + 1) * rows)
        pq.write_table(pa.table(columns), folder / f"{file}.parquet")


def run(python: str, case: str, *arguments: str) -> dict[str, float]:
    """Run one case in a process of its own."""
    command = [python, "-W", "ignore", str(HERE / f"cases/{case}.py"), *arguments]
    environment = {**os.environ, "PYSPARK_PYTHON": python, "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def shown(name: str, values: list[float], unit: str) -> Measured:
    """Print and return what was measured."""
    one = Measured(statistics.median(values), min(values), max(values), len(values), unit)
    print(f"  {name:42}{one}", flush=True)
    return one


def compare_images(
    root: Path, name: str, count: int, runs: int, stacks: Sequence[str], *, pixels: tuple[int, int]
) -> tuple[dict[str, object], dict[str, float]]:
    """Measure the image job, one of `stacks` or two, against a script; return the figures, and the median seconds of each."""
    folder = root / f"{name}-{count}"
    write_images(folder, count, pixels)
    size = sum(file.stat().st_size for file in folder.rglob("*.jpg"))
    print(f"\n{count} {name}, {size / count / 1000:.0f} kB each; images a second and core, load {os.getloadavg()[0]:.1f}")
    found: dict[str, list[dict[str, float]]] = {stack: [] for stack in (*stacks, "by hand")}
    for number in range(runs):
        for stack, done in found.items():
            done.append(run(sys.executable, "prepare_images", stack, str(folder), str(root / f"{stack}-{count}-{number}")))
            shutil.rmtree(root / f"{stack}-{count}-{number}")
    kept = {(one["files"], one["kept"]) for done in found.values() for one in done}
    if len(kept) > 1:
        sys.exit(f"they kept different numbers of images: {sorted(kept)}")
    figures: dict[str, object] = {f"{count} {name}: bytes": size}
    for key in ("job", "whole"):
        for stack, done in found.items():
            rates = [one["files"] / one[key] / 2 for one in done]
            figures[f"{count} {name}: {stack}: {key}"] = shown(f"{stack}, {key}", rates, "images/s/core")
        for stack in stacks:
            ratios = [hand[key] / ours[key] for ours, hand in zip(found[stack], found["by hand"], strict=True)]
            figures[f"{count} {name}: {stack} / by hand: {key}"] = shown(f"{stack} / by hand, {key}", ratios, "×")
    return figures, {stack: statistics.median(one["job"] for one in done) for stack, done in found.items()}


def compare_sizes(root: Path, counts: Sequence[int], runs: int, stacks: Sequence[str]) -> dict[str, object]:
    """Measure both at each size; from the least to the greatest the start of Spark and of its Java code cancels out."""
    figures: dict[str, object] = {}
    seconds: list[tuple[int, dict[str, float]]] = []
    for count in sorted(counts):
        found, medians = compare_images(root, "images", count, runs, stacks, pixels=SMALL)
        figures |= found
        seconds.append((count, medians))
    (few, before), (many, after) = seconds[0], seconds[-1]
    if many > few:
        each = {stack: (after[stack] - before[stack]) / (many - few) * 1000 for stack in after}
        figures["milliseconds of each further image"] = each
        each_text = ", ".join(f"{stack} {one:.2f} ms" for stack, one in each.items())
        ratios = [f"{each['by hand'] / one:.2f}" for stack, one in each.items() if stack != "by hand"]
        print(f"  each further image: {each_text}; ratios {', '.join(ratios)}")
    return figures


def take_apart(root: Path, count: int, runs: int, python: str) -> dict[str, object]:
    """Measure what the image job's time consists of."""
    folder = str(root / f"images-{count}")
    done = [run(python, "prepare_images", "steps", folder, str(root / f"steps-{number}")) for number in range(runs)]
    print("\nthe Spark job in steps, each from the files on: seconds")
    return {name: shown(name, [one[name] for one in done], "s") for name in done[0] if name != "files"}


def compare_writers(root: Path, case: str, runs: int, stacks: Mapping[str, str]) -> dict[str, object]:
    """Measure the writers of datasets."""
    {"pixels": write_pixels, "table": write_table}[case](root / case)
    rows = PICTURES if case == "pixels" else ROWS
    print(f"\nwriting, {case}: {rows} rows; rows a second, load {os.getloadavg()[0]:.1f}")
    found: dict[str, list[dict[str, float]]] = {stack: [] for stack in stacks}
    for number in range(runs):
        for stack, python in stacks.items():
            target = root / f"{case}-{stack}-{number}"
            found[stack].append(run(python, "write_dataset", stack, case, str(root / case), str(target)))
            shutil.rmtree(target)
    figures: dict[str, object] = {}
    for stack, done in found.items():
        figures[f"{case}: {stack}"] = shown(stack, [rows / one["seconds"] for one in done], "rows/s")
        figures[f"{case}: {stack}: bytes"] = done[0]["bytes"]
    for mine, other in (("ours", "petastorm"), ("ours", "mosaic"), ("ours uncompressed", "mosaic"), ("ours", "mosaic zstd")):
        if other in found:
            ratios = [theirs["seconds"] / ours["seconds"] for theirs, ours in zip(found[other], found[mine], strict=True)]
            figures[f"{case}: {mine} / {other}"] = shown(f"{mine} / {other}", ratios, "×")
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--images", type=int, nargs="+", default=[20_000, 100_000], help="multiples of 1000")
    parser.add_argument("--photographs", type=int, default=20_000, help="a multiple of 1000")
    parser.add_argument("--bare", action="store_true", help="images and photographs without the settings of conf/, too")
    parser.add_argument("--mosaic", help="interpreter with mosaicml-streaming and pyspark")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    options = parser.parse_args()
    stacks = {"ours": sys.executable, "ours uncompressed": sys.executable, "petastorm": sys.executable}
    if options.mosaic:
        stacks |= {"mosaic": options.mosaic, "mosaic zstd": options.mosaic}
    cleaning = ("spark", "spark, bare") if options.bare else ("spark",)
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        if {"images", "steps"} & {*options.cases}:
            figures |= compare_sizes(root, options.images, options.runs, cleaning)
        if "photographs" in options.cases:
            count, runs = options.photographs, options.runs
            figures |= compare_images(root, "photographs", count, runs, cleaning, pixels=PHOTOGRAPH)[0]
            shutil.rmtree(root / f"photographs-{count}")
        if "steps" in options.cases:
            figures["steps"] = take_apart(root, min(options.images), options.runs, sys.executable)
        for case in ("pixels", "table"):
            if case in options.cases:
                figures |= compare_writers(root, case, options.runs, stacks)
    print(f"\n{save('prepare_throughput', figures)}")


if __name__ == "__main__":
    main()
