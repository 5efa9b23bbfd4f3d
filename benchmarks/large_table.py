"""A table of 20 million rows and 20 columns cleaned and published by Spark in a heap of 2 GB.

Usage: python benchmarks/large_table.py [--rows 20000000] [--memory 2g] [--folder FOLDER]

Writes the table as Parquet files of 500,000 rows (numbers, categories in several spellings, nulls, outliers, one row of 200 there
twice by its key), runs jobs/prepare_table.py with rules by spark-submit at local[2], and reads Spark's event log: seconds, what
was shuffled and spilled, the greatest heap, the greatest memory of the Python workers. What must be spilled: each task sorts its
partition, so what of two partitions is beyond the memory Spark has for both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measuring import save

ROOT = Path(__file__).parent.parent
FILE_ROWS = 500_000
RULES = """
columns:
  amount: {type: number, range: {min: 0, otherwise: fill}, outliers: {method: quantile, low: 0.001, high: 0.999, otherwise: fill}}
  count: {type: integer, range: [0, 1000]}
  carrier: {normalise: {case: upper}, set: [AA, BB, CC, DD, EE, FF, GG, HH]}
  city: {not_null: {otherwise: fill, fill: unknown}}
duplicates: {key: [id], keep: most_complete}
"""


def write_table(folder: Path, rows: int) -> int:
    """Write the table and return its bytes."""
    folder.mkdir(parents=True)
    for file in range(rows // FILE_ROWS):
        pq.write_table(_part(file), folder / f"part-{file:05d}.parquet", compression="zstd")
    return sum(one.stat().st_size for one in folder.iterdir())


def _part(file: int) -> pa.Table:
    numbers = np.random.default_rng(file)
    ids = np.arange(file * FILE_ROWS, (file + 1) * FILE_ROWS)
    ids[::200] = ids[1::200]
    spellings = np.array(
        [f"{name}{space}" for name in ("AA", "BB", "cc", "DD", "ee", "FF", "GG", "hh", "xx") for space in ("", " ")]
    )
    cities = pa.array([f"city {one}" for one in range(5000)])
    columns: dict[str, Any] = {
        "id": ids,
        "amount": np.round(numbers.normal(100, 30, FILE_ROWS), 2),
        "count": numbers.integers(0, 1001, FILE_ROWS),
        "carrier": pa.array(spellings).take(pa.array(numbers.integers(0, len(spellings), FILE_ROWS))),
        "city": cities.take(pa.array(numbers.integers(0, 5000, FILE_ROWS), mask=numbers.random(FILE_ROWS) < 0.01)),
        "label": numbers.integers(0, 2, FILE_ROWS).astype(np.int32),
    }
    for one in range(8):
        columns[f"x{one}"] = pa.array(
            np.round(numbers.random(FILE_ROWS), 3).astype(np.float32), mask=numbers.random(FILE_ROWS) < 0.02
        )
    for one in range(6):
        columns[f"n{one}"] = numbers.integers(0, 10 ** (one + 1), FILE_ROWS)
    return pa.table(columns)


def run_job(source: Path, work: Path, memory: str) -> tuple[float, int]:
    """Run the job; return its seconds and the greatest memory of the Python workers together, in bytes."""
    (work / "rules.yaml").write_text(RULES)
    (work / "events").mkdir()
    conf = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{work}/events",
        "spark.eventLog.compress": "false",
        "spark.eventLog.logStageExecutorMetrics": "true",
        "spark.executor.metrics.pollingInterval": "500",
        "spark.local.dir": str(work / "local"),
        "spark.ui.enabled": "false",
    }
    command = ["spark-submit", "--master", "local[2]", "--driver-memory", memory]
    command += [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    command += [str(ROOT / "jobs/prepare_table.py"), "--source", str(source), "--dataset", str(work / "dataset")]
    command += ["--label", "label", "--rules", str(work / "rules.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYSPARK_PYTHON": sys.executable}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    begin, most = time.perf_counter(), 0
    with (work / "log").open("w") as log, subprocess.Popen(command, stderr=log, stdout=log, env=environment) as job:
        while job.poll() is None:
            most = max(most, sum(_workers(job.pid)))
            time.sleep(0.5)
    if job.returncode:
        sys.exit((work / "log").read_text()[-4000:])
    return time.perf_counter() - begin, most


def _workers(ancestor: int) -> Iterator[int]:
    """Yield the resident bytes of the Spark workers below a process."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    for parent in parents:
        above = parent
        while above in parents and above != ancestor:
            above = parents[above]
        try:
            if above == ancestor and b"pyspark.daemon" in Path(f"/proc/{parent}/cmdline").read_bytes():
                yield int(Path(f"/proc/{parent}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue


def read_events(folder: Path) -> dict[str, float]:
    """Return the sums of what the tasks wrote to shuffles and spilled, in bytes, and the greatest heap."""
    found: dict[str, float] = dict.fromkeys(("shuffled", "spilled to disk", "spilled from memory", "heap"), 0)
    seconds: list[float] = []
    for file in sorted(folder.rglob("*")):
        for line in file.read_text().splitlines() if file.is_file() and not file.name.startswith(".") else ():
            event = json.loads(line)
            metrics = event.get("Task Metrics") or {}
            if event["Event"] == "SparkListenerTaskEnd" and metrics:
                found["shuffled"] += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
                found["spilled to disk"] += metrics["Disk Bytes Spilled"]
                found["spilled from memory"] += metrics["Memory Bytes Spilled"]
                seconds.append(metrics["JVM GC Time"] / max(1, metrics["Executor Run Time"]))
            if event["Event"] == "SparkListenerStageExecutorMetrics":
                found["heap"] = max(found["heap"], event["Executor Metrics"]["JVMHeapMemory"])
    return {**found, "median share of collecting garbage": statistics.median(seconds)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000, help=f"a multiple of {FILE_ROWS:,}")
    parser.add_argument("--memory", default="2g", help="heap of Spark's only process")
    parser.add_argument("--folder", help="where to work; by default a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        work = Path(place)
        size = write_table(work / "table", options.rows)
        print(f"{options.rows:,} rows × 20 columns, {size / 1e6:,.0f} MB of Parquet, load {os.getloadavg()[0]:.1f}", flush=True)
        seconds, workers = run_job(work / "table", work, options.memory)
        print((work / "log").read_text())
        manifest = json.loads((work / "dataset/_bigdata_ml/manifest.json").read_bytes())
        written = sum(one.stat().st_size for one in (work / "dataset").rglob("*.parquet"))
        found = {"rows": options.rows, "source bytes": size, "published bytes": written, "seconds": seconds}
        found |= {"rows/s": options.rows / seconds, "Python workers": workers, **read_events(work / "events")}
    for name, value in found.items():
        print(f"  {name:36}{value:>18,.2f}" if value < 1 else f"  {name:36}{value:>18,.0f}")
    print(f"  kept {manifest['rows']:,}, refused {manifest['cleaning']['refused']}, warned {manifest['cleaning']['warned']}")
    print(save("large_table", {**found, "cleaning": manifest["cleaning"]}))


if __name__ == "__main__":
    main()
