"""Our readers under Petastorm's names against Petastorm itself: rows a second and memory, over the same files.

Usage: python benchmarks/petastorm.py [--runs 5] [--old PYTHON] [--cases table jpeg]

Five cases: a table of 2,000,000 rows and 20 columns by BatchedDataLoader(4096), as it comes and with a shuffling queue of 100,000
rows; 20,000 pictures of 64 × 64, JPEG and PNG as Petastorm writes them and PNG as Pillow does, by make_reader and DataLoader(64).
Four epochs each, two threads everywhere. Each run is a process of its own; the stacks take turns, so that a busy moment meets all
of them. `--old` is an interpreter with Petastorm 0.13.1 on pyarrow 14 (scripts/petastorm-stacks.sh makes one). Rows are counted
and their ids summed: a run that did not read every row once an epoch is an error. Ratios are those of runs beside each other:
native ÷ bridge, native ÷ old, bridge ÷ old. With `--old`, the shuffling queue of Petastorm is measured by itself as well, so that
what torch's versions differ by is not taken for the bridge's.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Measured, save

import bigdata_ml.petastorm_bridge  # noqa: F401

HERE = Path(__file__).parent
ROWS, PICTURES, EPOCHS = 2_000_000, 20_000, 4
PICTURED = ("jpeg", "png", "png by Pillow")
CASES = ("table", "table, queue", *PICTURED)


def write_table(root: Path) -> None:
    """Write 8 files with 5 row groups of 50,000 rows: 10 columns float32, 10 int64, and their number."""
    numbers = np.random.default_rng(0)
    root.mkdir(parents=True)
    for file in range(8):
        rows = ROWS // 8
        columns: dict[str, Any] = {f"f{one}": numbers.random(rows, dtype=np.float32) for one in range(10)}
        columns |= {f"i{one}": numbers.integers(0, 1000, rows) for one in range(9)}
        columns["id"] = np.arange(file * rows, (file + 1) * rows)
        pq.write_table(pa.table(columns), root / f"{file}.parquet", row_group_size=50_000)


def write_pictures(root: Path, case: str) -> None:
    """Write 4 files with 10 row groups of 500 pictures as a Petastorm dataset."""
    from petastorm.codecs import CompressedImageCodec

    from bigdata_ml.compat import petastorm as ours
    from bigdata_ml.compat.petastorm.etl.dataset_metadata import write_metadata

    form, _, by_pillow = case.partition(" by ")
    numbers, codec = np.random.default_rng(0), ours.CompressedImageCodec(form, 90)
    image = ours.UnischemaField("image", np.uint8, (64, 64, 3), codec, False)
    number = ours.UnischemaField("id", np.int64, (), ours.ScalarCodec("bigint"), False)
    encode = codec.encode if by_pillow else CompressedImageCodec(form, 90).encode
    down, across = np.mgrid[0:64, 0:64]
    root.mkdir(parents=True)
    for file in range(4):
        ids, encoded = np.arange(file * PICTURES // 4, (file + 1) * PICTURES // 4), []
        for one in ids.tolist():
            picture = np.stack([across * (one % 7 + 1), down * (one % 5 + 1), across + down + one], -1).astype(np.uint8)
            encoded.append(bytes(encode(image, picture ^ numbers.integers(0, 16, picture.shape, dtype=np.uint8))))
        rows = pa.table({"id": ids, "image": pa.array(encoded, pa.binary())})
        pq.write_table(rows, root / f"{file}.parquet", row_group_size=500)
    write_metadata(f"file://{root}", ours.Unischema("Pictures", [number, image]))


def run(python: str, program: str, *arguments: str) -> dict[str, Any]:
    """Run a program of cases/ in a process of its own."""
    command = [python, "-W", "ignore", str(HERE / "cases" / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{', '.join(arguments)}:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(python: str, stack: str, case: str, root: Path) -> dict[str, Any]:
    """Run one case."""
    found = run(python, "petastorm_readers.py", stack, case, str(root), str(EPOCHS))
    total = PICTURES if case in PICTURED else ROWS
    if (found["rows"], found["sum"]) != (EPOCHS * total, EPOCHS * total * (total - 1) / 2):
        sys.exit(f"{stack}, {case}: {found['rows']:,.0f} rows, ids summing up to {found['sum']:,.0f}: not every row once")
    return found


def compare_queues(old: str, runs: int) -> dict[str, object]:
    """Measure Petastorm's queue without a reader, on the old stack's torch and on this one's."""
    pythons, found = {"old": old, "bridge": sys.executable}, []
    for _ in range(runs):
        found.append({stack: run(python, "petastorm_queue.py", stack) for stack, python in pythons.items()})
    print("\nPetastorm's queue alone")
    figures: dict[str, object] = {}
    for stack in pythons:
        torch, rates = found[0][stack]["torch"], [one[stack]["rate"] for one in found]
        figures[f"queue alone: {stack}"] = shown(f"torch {torch}", rates, "rows/s")
    ratios = [one["bridge"]["rate"] / one["old"]["rate"] for one in found]
    figures["queue alone: bridge / old"] = shown("bridge is", ratios, "× old")
    return figures


def shown(name: str, values: list[float], unit: str) -> Measured:
    """Print and return what was measured."""
    one = Measured(statistics.median(values), min(values), max(values), len(values), unit)
    print(f"  {name} {one}")
    return one


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--old", help="interpreter of the old stack")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    options = parser.parse_args()
    stacks = {"bridge": sys.executable, "native": sys.executable}
    if options.old:
        stacks = {"old": options.old, **stacks}
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        write_table(root / "table")
        for case in set(PICTURED) & set(options.cases):
            write_pictures(root / case, case)
        for case in options.cases:
            runs: dict[str, list[dict[str, Any]]] = {stack: [] for stack in stacks}
            for _ in range(options.runs):
                for stack, python in stacks.items():
                    runs[stack].append(measured(python, stack, case, root / case.partition(",")[0]))
            for key, unit in (("loop", "rows/s"), ("whole", "rows/s"), ("peak", "MiB"), ("processor", "s")):
                print(f"\n{case}: {key}")
                for stack, found in runs.items():
                    figures[f"{case}: {stack}: {key}"] = shown(f"{stack:6}", [one[key] for one in found], unit)
            for mine, theirs in [("native", "bridge"), ("native", "old"), ("bridge", "old")]:
                if theirs not in stacks:
                    continue
                pairs = zip(runs[mine], runs[theirs], strict=True)
                ratios = [one["loop"] / other["loop"] for one, other in pairs]
                figures[f"{case}: {mine} / {theirs}"] = shown(f"{mine} is", ratios, f"× {theirs}")
    if options.old:
        figures |= compare_queues(options.old, options.runs)
    print(f"\n{save('petastorm', figures)}")


if __name__ == "__main__":
    main()
