"""Gathering rows of tables into batches: scattered as row groups arrive, against taken from chunked arrays and its peers.

Usage: python benchmarks/gather.py [--runs 5]

26 columns of numbers, 144 bytes a row; row groups of 8,192 rows, 32 of them mixed; batches of 4,096 rows. Every way is given
the same row groups in memory and makes the same batches of the same plan. Reading and decoding Parquet are not measured.
"""

import argparse
from collections import deque

import numpy as np
import pyarrow as pa
from measuring import in_turn, save

from bigdata_ml.reader.assemble.batch_assembler import BatchAssembler
from bigdata_ml.reader.order.plan import EpochPlan, StepRows
from bigdata_ml.reader.order.settings import OrderSettings
from bigdata_ml.reader.order.stream_reader import Share
from bigdata_ml.reader.select.selection import Selection

GROUPS, ROWS, MIXED, BATCH = 320, 8192, 32, 4096
KINDS = [pa.float64()] * 8 + [pa.int64()] * 2 + [pa.float32()] * 10 + [pa.int32()] * 6


class Held:
    """Row groups in memory; the same one under many numbers, with another id column each."""

    def __init__(self) -> None:
        numbers = np.random.default_rng(0)
        self.schema = pa.schema([pa.field(f"c{one}", kind, nullable=False) for one, kind in enumerate(KINDS)])
        self._variants = [
            {field.name: pa.array(numbers.integers(0, 2**30, ROWS).astype(field.type.to_pandas_dtype())) for field in self.schema}
            for _ in range(8)
        ]

    def read(self, group: int) -> dict[str, pa.Array]:
        """Return the columns of a row group."""
        return self._variants[group % 8]


def scattered(plan: EpochPlan, held: Held) -> int:
    """Our way: each row group is scattered into the open batches when it arrives."""
    assembler = BatchAssembler(plan, Share(range(plan.settings.streams)), held)  # type: ignore[arg-type]
    return sum(assembler.next().batch.num_rows for _ in assembler.steps)


def taken(held: Held, steps: list[StepRows]) -> int:
    """The obvious way: `take` from the chunked table of the row groups a batch needs."""
    rows = 0
    for step in steps:
        groups, which = np.unique(step.groups, return_inverse=True)
        table = pa.concat_tables([pa.table(held.read(group)) for group in groups.tolist()])
        batch = table.take(pa.array(which * ROWS + step.rows)).combine_chunks()
        rows += batch.num_rows
    return rows


def taken_whole(held: Held, steps: list[StepRows]) -> int:
    """`take` from one chunk: the row groups a batch needs are joined first, whenever they change."""
    rows, kept, table = 0, np.zeros(0), None
    for step in steps:
        groups, which = np.unique(step.groups, return_inverse=True)
        if table is None or not np.array_equal(groups, kept):
            kept, table = groups, pa.concat_tables([pa.table(held.read(group)) for group in groups.tolist()]).combine_chunks()
        rows += table.take(pa.array(which * ROWS + step.rows)).num_rows
    return rows


def by_group(held: Held, steps: list[StepRows]) -> int:
    """numpy, group by group and column by column, into the batch's arrays."""
    rows = 0
    for step in steps:
        batch = {field.name: np.empty(len(step.rows), field.type.to_pandas_dtype()) for field in held.schema}
        order = np.argsort(step.groups, kind="stable")
        groups, begins = np.unique(step.groups[order], return_index=True)
        for group, mine in zip(groups.tolist(), np.split(order, begins[1:]), strict=True):
            columns = held.read(group)
            for name, values in batch.items():
                values[mine] = columns[name].to_numpy()[step.rows[mine]]
        rows += len(order)
    return rows


def unmixed(held: Held) -> int:
    """The bound: rows of one group permuted and cut, never mixed across groups."""
    rows, waiting = 0, deque(range(GROUPS))
    while waiting:
        columns, order = held.read(waiting.popleft()), np.random.default_rng(0).permutation(ROWS)
        mixed = {name: column.to_numpy()[order] for name, column in columns.items()}
        for begin in range(0, ROWS, BATCH):
            rows += len({name: values[begin : begin + BATCH].copy() for name, values in mixed.items()}["c0"])
    return rows


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    settings = OrderSettings(seed=0, global_batch_size=BATCH, streams=1, window=MIXED * ROWS, remainder="drop", shuffle=True)
    plan, held = EpochPlan(Selection(np.full(GROUPS, ROWS), {}, "all"), settings, 0), Held()
    steps = [plan.step_rows(step, range(1)) for step in range(plan.steps)]
    found = in_turn(
        {
            "scattered as groups arrive (ours, its planning included)": lambda: scattered(plan, held) / 1e6,
            "taken from chunked arrays": lambda: taken(held, steps[40:60]) / 1e6,
            "taken from one chunk, joined when groups change": lambda: taken_whole(held, steps[40:60]) / 1e6,
            "numpy by group and column": lambda: by_group(held, steps[40:60]) / 1e6,
            "bound: permuted within groups only": lambda: unmixed(held) / 1e6,
        },
        runs=runs,
        unit="M rows/s",
    )
    ours, chunked = (
        next(value for name, value in found.items() if name.startswith(start)) for start in ("scattered", "taken from ch")
    )
    print(f"{sum(kind.bit_width for kind in KINDS) // 8} bytes a row, {len(KINDS)} columns")
    for name, value in found.items():
        print(f"{name:<60} {value}")
    print(f"ours ÷ chunked take: {ours.median / chunked.median:.1f}")
    print(save("gather", found))


if __name__ == "__main__":
    main()
