"""How many of Petastorm's readers end early, with rows missing and no error: unmodified on the old stack, and through the bridge.

Usage: python benchmarks/petastorm_rows.py [--old OLD_PYTHON] [--share 1.0]

Plain Parquet on local disk: 4 row groups of 100 rows, read by 1,000 readers, and 100 row groups of 100 rows, read by 150. Worker
processes take seconds to start, so their readers are fewer. A case that has not ended in a quarter of an hour is ended, and said
to hang. Exits with 1 if a reader through the bridge is short, or hangs.
"""

import argparse
import json
import os
import signal
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
# Seconds.
PATIENCE = 900.0


def short_readers(case: int, share: float) -> list[int]:
    """Return the rows that were given by each reader that gave too few; runs in either stack."""
    warnings.simplefilter("ignore")
    # Beside this file lies another petastorm.py.
    here = Path(__file__).resolve().parent
    sys.path[:] = [one for one in sys.path if Path(one or ".").resolve() != here]
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from petastorm import make_batch_reader

    pool, workers, groups, readers = CASES[case]
    given = []
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "rows.parquet"
        pq.write_table(pa.table({"id": np.arange(groups * ROWS)}), path, row_group_size=ROWS)
        for _ in range(max(1, round(readers * share))):
            with make_batch_reader(f"file://{path}", reader_pool_type=pool, workers_count=workers) as reader:
                given.append(sum(len(batch.id) for batch in reader))
    return [rows for rows in given if rows != groups * ROWS]


def measured(command: list[str], case: int, share: float) -> list[int] | None:
    """Run a case in one stack, in a process of its own; None if it does not end, as readers of the old stack may not."""
    asked = [*command, __file__, "--case", str(case), "--share", str(share)]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return None
        finally:
            # Also where this script is interrupted: its worker processes would live on.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, asked)
    found: list[int] = json.loads(said.splitlines()[-1])
    return found


def shown(short: list[int] | None) -> str:
    """Return what is printed of a case."""
    return "does not end" if short is None else f"{len(short)} short"


def main() -> int:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", metavar="PYTHON", help="the old stack's interpreter")
    parser.add_argument("--share", type=float, default=1.0, help="of the readers of each case")
    parser.add_argument("--case", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.case is not None:
        print(json.dumps(short_readers(asked.case, asked.share)))
        return 0
    from measuring import save

    stacks = {
        "bridge": [sys.executable, "-m", "bigdata_ml.petastorm_bridge"],
        **({"old stack": [asked.old]} if asked.old else {}),
    }
    figures: dict[str, object] = {}
    failed = False
    for case, (pool, workers, groups, readers) in enumerate(CASES):
        name = f"{pool}, {workers} workers, {groups} row groups, {max(1, round(readers * asked.share))} readers"
        found = {stack: measured(command, case, asked.share) for stack, command in stacks.items()}
        print(f"{name:<55}", *(f"{stack}: {shown(short)}  " for stack, short in found.items()), flush=True)
        figures[name] = {
            stack: {"ended": short is not None, "short": len(short or ()), "rows": (short or [])[:20]}
            for stack, short in found.items()
        }
        failed |= found["bridge"] != []
    print(save("petastorm_rows", figures))
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
