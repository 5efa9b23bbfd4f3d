"""How many of Petastorm's readers end early, with rows missing and no error: unmodified on the old stack, and through the bridge.

Usage: python benchmarks/petastorm_rows.py [--old OLD_PYTHON] [--share 1.0]

Plain Parquet on local disk: 4 row groups of 100 rows, read by 1,000 readers, and 100 row groups of 100 rows, read by 150. Worker
processes take seconds to start, so their readers are fewer. Exits with 1 if a reader through the bridge is short.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

# pool, workers, row groups, readers
CASES = [
    *(("thread", threads, 4, 1000) for threads in (1, 4, 10)),
    *(("thread", threads, 100, 150) for threads in (1, 4, 10)),
    ("dummy", 1, 4, 1000),
    ("dummy", 1, 100, 150),
    ("process", 2, 4, 20),
    ("process", 2, 100, 10),
]
ROWS = 100


def short_readers(share: float) -> list[list[int]]:
    """Return, for each case, the rows that were given by each reader that gave too few; runs in either stack."""
    warnings.simplefilter("ignore")
    # Beside this file lies another petastorm.py.
    here = Path(__file__).resolve().parent
    sys.path[:] = [one for one in sys.path if Path(one or ".").resolve() != here]
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from petastorm import make_batch_reader

    found = []
    with tempfile.TemporaryDirectory() as place:
        for pool, workers, groups, readers in CASES:
            path = Path(place) / f"{groups}.parquet"
            if not path.exists():
                pq.write_table(pa.table({"id": np.arange(groups * ROWS)}), path, row_group_size=ROWS)
            given = []
            for _ in range(max(1, round(readers * share))):
                with make_batch_reader(f"file://{path}", reader_pool_type=pool, workers_count=workers) as reader:
                    given.append(sum(len(batch.id) for batch in reader))
            found.append([rows for rows in given if rows != groups * ROWS])
    return found


def measured(command: list[str], share: float) -> list[list[int]]:
    """Run this script for one stack."""
    done = subprocess.run([*command, __file__, "--here", "--share", str(share)], stdout=subprocess.PIPE, text=True, check=True)
    found: list[list[int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", metavar="PYTHON", help="the old stack's interpreter")
    parser.add_argument("--share", type=float, default=1.0, help="of the readers of each case")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps(short_readers(asked.share)))
        return 0
    from measuring import save

    stacks = {"bridge": measured([sys.executable, "-m", "bigdata_ml.petastorm_bridge"], asked.share)}
    if asked.old:
        stacks["old stack"] = measured([asked.old], asked.share)
    figures: dict[str, object] = {}
    for number, (pool, workers, groups, readers) in enumerate(CASES):
        name = f"{pool}, {workers} workers, {groups} row groups, {max(1, round(readers * asked.share))} readers"
        figures[name] = {stack: {"short": len(found[number]), "rows": found[number][:20]} for stack, found in stacks.items()}
        print(f"{name:<55}", *(f"{stack}: {len(found[number])} short  " for stack, found in stacks.items()))
    print(save("petastorm_rows", figures))
    return 1 if any(stacks["bridge"]) else 0


if __name__ == "__main__":
    raise SystemExit(main())
