"""Planning the order: rows a second, a step out of a thousand million rows, and mixing against its peers.

Usage: python benchmarks/order.py [--runs 5]

Nothing is read: row groups have sizes only. `whole plan` is what the engine does for every row: at which rank it leaves, and
where in its row group it lies. Peers: the order of Mosaic Streaming's py1e (a shift of ± half a block and a sort) and the
buffer of HF datasets and Petastorm, written down here from their sources, on row groups of the same sizes.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measuring import Measured, in_turn, save

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.reader.order.hashing import delayed, hash_words
from bigdata_ml.reader.order.plan import EpochPlan
from bigdata_ml.reader.order.settings import OrderSettings
from bigdata_ml.reader.order.stream_reader import Lane, Share
from bigdata_ml.reader.plan_summary import measure_mixing
from bigdata_ml.reader.select.pruning import surviving
from bigdata_ml.reader.select.selection import Selection


def plan_of(counts: np.ndarray, *, size: int, streams: int, window: int) -> EpochPlan:
    """Return the plan of row groups of those sizes."""
    settings = OrderSettings(seed=0, global_batch_size=size, streams=streams, window=window, remainder="drop", shuffle=True)
    return EpochPlan(Selection(counts, {}, "all"), settings, 0)


def whole_plan(plan: EpochPlan) -> int:
    """Plan every row as the engine does and return how many there were."""
    share, rows = Share(range(plan.settings.streams)), 0
    lanes = [Lane(courses, index, share) for index in share.streams for courses in plan.courses(index, 0)]
    for step in range(plan.steps):
        for lane in lanes:
            for course, group, entries in lane.needed(step):
                rows += len(course.group_rows(group)[0][entries.places])
    return rows


SHAPES = {
    "rows of 1,000 a group, 16 streams, window 393,216": (1000, 16, 393_216),
    "rows of 8,192 a group, 8 streams, window 196,608": (8192, 8, 196_608),
    "rows of 65,536 a group, 16 streams, window 393,216": (65_536, 16, 393_216),
    "rows of 65,536 a group, 16 streams, window 4,194,304": (65_536, 16, 1 << 22),
}


def speeds(runs: int) -> dict[str, Measured]:
    """Rows a second of the parts of planning and of the whole."""
    rows, positions = 8_000_000, np.arange(16_384)
    parts: dict[str, Callable[[], float]] = {
        "hash alone": lambda: sum(len(hash_words(key, positions)) for key in range(rows // 16_384)) / 1e6
    }
    for delay in (512, 12_288, 262_144):
        parts[f"order of a stream, delay {delay:,}"] = lambda delay=delay: len(delayed(1, rows, delay, 0, rows)) / 1e6  # type: ignore[misc]
    for name, (group, streams, window) in SHAPES.items():
        counts = np.full(rows // group, group)
        parts[f"whole plan, {name}"] = lambda counts=counts, streams=streams, window=window: (  # type: ignore[misc]
            whole_plan(plan_of(counts, size=1024 * streams // 8, streams=streams, window=window)) / 1e6
        )
    return in_turn(parts, runs=runs, unit="M rows/s")


def large() -> dict[str, float]:
    """10^9 rows in 10^6 row groups: opening, memory, the slowest of some steps; in a process of its own."""
    import tracemalloc

    counts = np.full(1_000_000, 1000)
    begin = time.perf_counter()
    plan = plan_of(counts, size=1024, streams=16, window=16 * 24_576)
    steps = plan.steps
    opened = time.perf_counter() - begin
    seconds = []
    for step in np.linspace(0, steps - 1, 50).astype(int).tolist():
        begin = time.perf_counter()
        plan.step_rows(step, range(16))
        seconds.append(time.perf_counter() - begin)
    tracemalloc.start()
    again = plan_of(counts, size=1024, streams=16, window=16 * 24_576)
    again.step_rows(steps // 2, range(16))
    held = tracemalloc.get_traced_memory()[1]
    return {
        "open, s": opened,
        "peak memory of opening and a step, MB": held / 1e6,
        "a step, median ms": float(np.median(seconds)) * 1e3,
        "a step, slowest of 50, ms": max(seconds) * 1e3,
    }


def pruned() -> dict[str, float]:
    """Which of 10^6 row groups of 20 columns, ids in any order, predicates leave; in a process of its own."""
    groups = 1_000_000
    least = pa.array(np.random.default_rng(0).permutation(groups) * 1000)
    with tempfile.TemporaryDirectory() as place:
        pq.write_table(pa.table({"id": [1], **{f"column_{one}": [one] for one in range(19)}}), f"{place}/one.parquet")
        dataset = Dataset.open(place)
        table = dataset.row_groups.table.take(np.zeros(groups, np.int64))
        for name, values in (("min.id", least), ("max.id", pc.add(least, 999))):
            table = table.set_column(table.schema.get_field_index(name), name, values)
        dataset = replace(dataset, row_groups=RowGroups(table))
        found = {}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for rows in (5000, 10_000_000):
            begin = time.perf_counter()
            left = surviving(dataset, pc.field("id") < rows)
            assert len(left) == rows // 1000  # noqa: S101
            found[f"a predicate that leaves {len(left):,} row groups, s"] = time.perf_counter() - begin
        found["peak memory of both, MB"] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    return found


def buffered(rows: int, size: int) -> np.ndarray:
    """The order of a buffer of `size` rows: each row that leaves makes room for the next one."""
    numbers = np.random.default_rng(0)
    held, order = list(range(size)), np.empty(rows, np.int64)
    for row in range(size, rows):
        place = int(numbers.integers(size))
        order[row - size], held[place] = held[place], row
    order[rows - size :] = numbers.permutation(held)
    return order


def mixings() -> dict[str, dict[str, float]]:
    """Effective and distinct row groups a batch of 256, and rows held, of 131,072 rows in groups of 512."""
    rows, group, batch = 131_072, 512, 256
    groups = np.random.default_rng(1).permutation(rows // group)

    def figures(order: np.ndarray) -> dict[str, float]:
        where, steps = order // group, rows // batch
        read = np.maximum.accumulate(np.maximum.accumulate(where)[batch - 1 :: batch])
        held = (read + 1) * group - np.arange(1, steps + 1) * batch
        middle = groups[where].reshape(steps, batch)[steps // 8 : -steps // 8]
        counts = [np.unique(step, return_counts=True)[1] for step in middle]
        pairs, shared = len(middle) * batch * (batch - 1), sum(int((count * (count - 1)).sum()) for count in counts)
        return {
            "effective": pairs / shared,
            "distinct": float(np.mean([len(one) for one in counts])),
            "held_peak": int(held.max()),
        }

    found = {
        "row groups shuffled, rows in file order": figures(np.arange(rows)),
        "buffer of 1,000 (HF's default)": figures(buffered(rows, 1000)),
        "buffer of 4,096": figures(buffered(rows, 4096)),
        "py1e, block 8,192": figures(
            np.argsort(np.arange(rows) + (np.random.default_rng(0).random(rows) - 0.5) * 8192, kind="stable")
        ),
    }
    for streams, window in ((1, 8192), (1, 16_384), (8, 16_384), (8, 32_768), (16, 16_384)):
        one = measure_mixing(plan_of(np.full(rows // group, group), size=batch, streams=streams, window=window))
        name = f"ours, {streams} stream{'s'[: streams - 1]}, window {window:,}"
        found[name] = {"effective": one.effective_groups, "distinct": one.distinct_groups, "held_peak": one.held_peak}
    return found


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--large", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.large:
        for name, value in {**large(), **pruned()}.items():
            print(f"{name}\t{value:.4g}")
        return
    speed = speeds(arguments.runs)
    for name, value in speed.items():
        print(f"{name:<70} {value}")
    print("\n10^9 rows in 10^6 row groups, batch 1,024, 16 streams, window 393,216:")
    done = subprocess.run([sys.executable, __file__, "--large"], capture_output=True, text=True, check=True)
    big = {name: float(value) for name, value in (line.split("\t") for line in done.stdout.splitlines())}
    for name, value in big.items():
        print(f"  {name:<40} {value:.4g}")
    print("\n131,072 rows in row groups of 512, batch 256: row groups a batch, effective and distinct; rows held at most")
    mixing = mixings()
    for name, one in mixing.items():
        print(f"  {name:<42} {one['effective']:7.1f} {one['distinct']:7.1f} {one['held_peak']:8,}")
    print(save("order", {"speed": {name: str(value) for name, value in speed.items()}, "large": big, "mixing": mixing}))


if __name__ == "__main__":
    main()
