"""Many tiny pictures through the image job: 1,000 to 100,000 files on HDFS, a million in one tar and in one SequenceFile.

Usage: python benchmarks/tiny_files.py [--files 1000 10000 100000] [--packed 1000000] [--packed-as tar sequence-file] [--work DIR]

Pictures are JPEGs of 32 × 32 pixels, 1.0 KB each, in ten folders, all different. HDFS is started by cluster/native.py, its
NameNode with 1 GiB; files have one replica. The job runs in Spark's local mode on two cores with a heap of 1 GiB and publishes on
the local disk. Calls are the NameNode's own count of what was asked between the job's start and its end. Seconds depend on what
else the machine does, so its load stands beside them; processor seconds do so less. Needs 8 KB of disk a file on HDFS, 6 GB a
million packed ones.
"""

import argparse
import itertools
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import psutil
from image_job_run import JobRun, run_image_job
from tiny_pictures import to_hdfs, to_sequence_file, to_tar

sys.path.append(str(Path(__file__).parents[1] / "cluster"))

import native
from namenode_calls import calls_between, namenode_calls

PACKED = {"tar": ("all.tar", to_tar, ()), "sequence-file": ("all.seq", to_sequence_file, ("--source-format", "sequence-files"))}


def on_hdfs(work: Path, sizes: Sequence[int]) -> list[tuple[JobRun, dict[str, int]]]:
    """Run the job over directories of so many files; return what each run took, and the NameNode's calls."""
    found = []
    try:
        cluster = native.up(work / "hdfs", yarn=False, hive=False, namenode_heap="1g")
        ports = {"port": cluster.ports["namenode"], "http_port": cluster.ports["namenode_http"]}
        for files in sizes:
            root = f"/tiny/{files}"
            to_hdfs(cluster.hdfs, root, range(files))
            before = namenode_calls(**ports)
            run = run_once(f"{cluster.hdfs}{root}", work / "job", {"HADOOP_CONF_DIR": str(cluster.conf_dir)})
            found.append((run, calls_between(before, namenode_calls(**ports))))
            say(f"{files:,} files on HDFS", *found[-1])
    finally:
        native.down(work / "hdfs")
    return found


def packed(work: Path, kind: str, count: int) -> JobRun:
    """Run the job over one file that holds so many pictures."""
    name, write, options = PACKED[kind]
    write(work / name, range(count))
    run = run_once(str(work / name), work / "job", {}, options)
    (work / name).unlink()
    return run


def run_once(source: str, work: Path, settings: dict[str, str], options: tuple[str, ...] = ()) -> JobRun:
    """Run the job in a directory that is deleted afterwards."""
    try:
        return run_image_job(source, work, settings=settings, options=options)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def say(name: str, run: JobRun, calls: dict[str, int]) -> None:
    """Print a run's figures."""
    each = 1e3 / run.files
    print(f"\n{name}")
    print(f"  seconds {run.seconds:.1f} ({run.files / run.seconds:,.0f} files/s), load {run.load[0]:.1f} to {run.load[1]:.1f}")
    print(f"  processor seconds {run.processor:.1f}, {run.processor * each:.2f} ms a file")
    print(f"  stages {', '.join(f'{stage}: {seconds:.1f} s' for stage, seconds in run.stages.items())}")
    print(f"  reading tasks {run.tasks:,}, {run.files / run.tasks:,.0f} files each")
    print(f"  MiB at most: heap in use {run.heap}, driver's Python {run.driver}, a Python worker {run.worker}")
    print(f"  row groups written {run.row_groups}, the median one of {run.row_group_rows:,} rows")
    for kind, count in calls.items():
        print(f"  NameNode: {kind} {count:,}, {count / run.files:.4f} a file")
    sys.stdout.flush()


def say_growth(runs: Sequence[JobRun]) -> None:
    """Print what each further file costs, from size to size."""
    print("\nEach further file, ms: seconds, processor seconds")
    for less, more in itertools.pairwise(runs):
        files = more.files - less.files
        seconds, processor = (more.seconds - less.seconds) * 1e3 / files, (more.processor - less.processor) * 1e3 / files
        print(f"  {less.files:,} to {more.files:,}: {seconds:.2f}, {processor:.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", nargs="*", type=int, default=[1_000, 10_000, 100_000], help="on HDFS, the least first")
    parser.add_argument("--packed", nargs="*", type=int, default=[1_000_000], help="in one file, the least first")
    parser.add_argument("--packed-as", nargs="+", choices=PACKED, default=list(PACKED))
    parser.add_argument("--work", type=Path, help="an empty or new directory (default: a temporary one)")
    options = parser.parse_args()
    memory = psutil.virtual_memory().total >> 30
    print(f"{platform.platform()}, {os.cpu_count()} cores, {memory} GiB, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(dir=options.work) as place:
        work = Path(place)
        if options.files:
            say_growth([run for run, _ in on_hdfs(work, options.files)])
        for kind in options.packed_as if options.packed else ():
            runs = []
            for count in options.packed:
                runs.append(packed(work, kind, count))
                say(f"{count:,} in one {kind}", runs[-1], {})
            say_growth(runs)


if __name__ == "__main__":
    main()
