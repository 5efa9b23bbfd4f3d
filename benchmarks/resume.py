"""Going on in the middle of an epoch: seconds to the next batch, against running up to it as loaders without a position do.

Usage: python benchmarks/resume.py [--runs 5]

A table of 4,000,000 rows and 8 columns of random numbers in 250 row groups, on local disk, cached by the kernel; batches of 4,096
rows, the default window. The run-up is read by the same loader, so it is the best that a loader without a position could do.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import Measured, save

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader import Reader, ReadOptions, open_reader

ROWS, GROUP, FILES, BATCH = 4_000_000, 16_000, 10, 4096


def write(root: Path) -> Dataset:
    """Write the table."""
    numbers = np.random.default_rng(0)
    for number in range(FILES):
        rows = pa.table({f"c{one}": numbers.random(ROWS // FILES) for one in range(8)})
        pq.write_table(rows, root / f"{number}.parquet", row_group_size=GROUP)
    return Dataset.open(root)


def opened(dataset: Dataset) -> Reader:
    """Return a fresh reader."""
    return open_reader(dataset, ReadOptions(seed=1), global_batch_size=BATCH)


def next_batch(dataset: Dataset, step: int) -> float:
    """Seconds from nothing to the batch of a step, by its state."""
    state = opened(dataset).state_at(1, step)
    begin = time.perf_counter()
    one = opened(dataset)
    one.load_state_dict(state)
    next(iter(one))
    return time.perf_counter() - begin


def run_up(dataset: Dataset, step: int) -> float:
    """Seconds from nothing to the batch of a step, by reading all before it."""
    begin = time.perf_counter()
    one = opened(dataset)
    one.set_epoch(1)
    for number, _ in enumerate(one):
        if number == step:
            break
    return time.perf_counter() - begin


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as place:
        dataset = write(Path(place))
        steps, found = len(opened(dataset)), {}
        for share in (0.0, 0.1, 0.5, 0.9):
            step = int(share * steps)
            resumed, run = zip(*((next_batch(dataset, step), run_up(dataset, step)) for _ in range(runs)), strict=True)
            for name, seconds in (("by its state", resumed), ("by running up to it", run)):
                one = sorted(seconds)
                found[f"step {step} of {steps} {name}"] = Measured(one[len(one) // 2], one[0], one[-1], runs, "s")
    for name, value in found.items():
        print(f"{name:<45} {value}")
    print(save("resume", found))


if __name__ == "__main__":
    main()
