"""Many tiny pictures through the image job: 1,000 to 100,000 files on HDFS, a million in one tar and in one SequenceFile.

Usage: python benchmarks/tiny_files.py [--files 1000 10000 100000] [--packed 1000000] [--only read] [--work DIR]

Pictures are JPEGs of 32 × 32 pixels, 1.0 KB each, in ten folders, all different. HDFS is started by cluster/native.py, its
NameNode with 1 GiB; files have one replica. The job runs in Spark's local mode on two cores with a heap of 1 GiB and publishes on
the local disk; sources are also only read, by benchmarks/cases/read_images.py (with --only read files are bytes of that size, no
pictures). The heap is what is in use after a full collection, of which there is one every 15 seconds. Calls are the NameNode's
own count of what was asked between a program's start and its end. Seconds depend on what else the machine does, so its load
stands beside them; processor seconds do so less. A tar of a million takes 2 GB, their SequenceFile 1 GB, and the job more.
"""

import argparse
import itertools
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil
from spark_run import ROOT, Run, spark_run
from tiny_pictures import named_bytes, named_pictures, pictures_in, to_hdfs, to_sequence_file, to_tar

from bigdata_ml.dataset import Dataset

sys.path.append(str(ROOT / "cluster"))

import native
from namenode_calls import calls_between, namenode_calls

# What is run over a source, of a kind that the image job knows, in a directory.
Program = Callable[[str, str, Path, Mapping[str, str]], Run]


def read(source: str, kind: str, work: Path, settings: Mapping[str, str]) -> Run:
    """Read the source and do nothing with it."""
    run = spark_run(ROOT / "benchmarks/cases/read_images.py", [source, kind], work, settings=settings)
    say("only read", run, tasks=int(found(r"^read in (\d+) tasks", run.said)))
    return run


def prepare(source: str, kind: str, work: Path, settings: Mapping[str, str]) -> Run:
    """Make a dataset of the source."""
    arguments = ["--source", source, "--source-format", kind, "--dataset", str(work / "dataset")]
    run = spark_run(ROOT / "jobs/prepare_images.py", arguments, work, settings=settings)
    say("whole job", run, tasks=run.tasks or 0)
    stages = re.findall(r"^([a-z][^:\n]*): ([\d.]+) s\b", run.said, re.MULTILINE)
    print(f"  of it {', '.join(f'{name}: {seconds} s' for name, seconds in stages)}")
    rows = sorted(Dataset.open(work / "dataset").row_groups.rows.tolist())
    print(f"  row groups written {len(rows)}, the median one of {rows[len(rows) // 2]:,} rows")
    return run


PROGRAMS: Mapping[str, Program] = {"read": read, "prepare": prepare}


def files_for(programs: Sequence[Program], count: int) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of so many files: pictures, unless nobody looks at them."""
    return named_bytes(range(count)) if programs == [read] else named_pictures(range(count))


def on_hdfs(work: Path, sizes: Sequence[int], programs: Sequence[Program]) -> list[Run]:
    """Run the programs over directories of so many files, counting the NameNode's calls; return the last program's runs."""
    runs = []
    try:
        cluster = native.up(work / "hdfs", yarn=False, hive=False, namenode_heap="1g")
        ports = {"port": cluster.ports["namenode"], "http_port": cluster.ports["namenode_http"]}
        for files in sizes:
            root = f"/tiny/{files}"
            to_hdfs(cluster.hdfs, root, files_for(programs, files))
            for program in programs:
                print(f"\n{files:,} files on HDFS")
                before = namenode_calls(**ports)
                run = run_once(program, f"{cluster.hdfs}{root}", "files", work, {"HADOOP_CONF_DIR": str(cluster.conf_dir)})
                for name, count in calls_between(before, namenode_calls(**ports)).items():
                    print(f"  NameNode: {name} {count:,}, {count / files:.4f} a file", flush=True)
            runs.append(run)
    finally:
        native.down(work / "hdfs")
    return runs


def packed(work: Path, sizes: Sequence[int], programs: Sequence[Program]) -> Mapping[str, list[Run]]:
    """Run the programs over one tar and over one SequenceFile of so many; return the last program's runs by source."""
    runs: dict[str, list[Run]] = {"tar": [], "SequenceFile": []}
    tar, sequence = work / "all.tar", work / "all.seq"
    for count in sizes:
        to_tar(tar, files_for(programs, count))
        to_sequence_file(sequence, pictures_in(tar))
        for name, place, kind in (("tar", tar, "archives"), ("SequenceFile", sequence, "sequence-files")):
            for program in programs:
                print(f"\n{count:,} in one {name}")
                run = run_once(program, str(place), kind, work, {})
            runs[name].append(run)
    return runs


def run_once(program: Program, source: str, kind: str, work: Path, settings: Mapping[str, str]) -> Run:
    """Run a program in a directory that is deleted afterwards."""
    try:
        return program(source, kind, work / "run", settings)
    finally:
        shutil.rmtree(work / "run", ignore_errors=True)


def found(pattern: str, text: str) -> str:
    """Return what a program must have said."""
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise ValueError(f"the program said nothing like {pattern}: {text[-2000:]}")
    return match[1]


def files_of(run: Run) -> int:
    """Return how many files a program said there are."""
    return int(found(r"^(\d+) files, ", run.said))


def say(name: str, run: Run, *, tasks: int) -> None:
    """Print a run's figures."""
    files = files_of(run)
    print(f"  {name}: {run.seconds:.1f} s ({files / run.seconds:,.0f} files/s), load {run.load[0]:.1f} to {run.load[1]:.1f}")
    print(f"  processor seconds {run.processor:.1f}, {run.processor * 1e3 / files:.2f} ms a file")
    print(f"  reading tasks {tasks:,}, {files / tasks:,.0f} files each")
    print(f"  MiB at most: heap {run.heap}, driver's Python {run.driver}, a Python worker {run.worker}", flush=True)


def say_growth(name: str, runs: Sequence[Run]) -> None:
    """Print what each further file costs, from size to size."""
    for less, more in itertools.pairwise(runs):
        files = (files_of(more) - files_of(less)) / 1e3
        print(f"\n{name}, {files_of(less):,} to {files_of(more):,}, each further file:")
        print(f"  {(more.seconds - less.seconds) / files:.2f} ms, processor {(more.processor - less.processor) / files:.2f} ms")
        print(f"  {(more.heap - less.heap) * 2**20 / 1e3 / files:,.0f} bytes of heap", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", nargs="*", type=int, default=[1_000, 10_000, 100_000], help="on HDFS, the least first")
    parser.add_argument("--packed", nargs="*", type=int, default=[1_000_000], help="in one file, the least first")
    parser.add_argument("--only", choices=PROGRAMS, help="read the sources only, or run the whole job only (default: both)")
    parser.add_argument("--work", type=Path, help="an empty or new directory (default: a temporary one)")
    options = parser.parse_args()
    programs = [PROGRAMS[options.only]] if options.only else list(PROGRAMS.values())
    memory = psutil.virtual_memory().total >> 30
    print(f"{platform.platform()}, {os.cpu_count()} cores, {memory} GiB, load {os.getloadavg()[0]:.1f}", flush=True)
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.work) as place:
        if options.files:
            say_growth("HDFS", on_hdfs(Path(place), options.files, programs))
        for name, runs in packed(Path(place), options.packed, programs).items():
            say_growth(name, runs)


if __name__ == "__main__":
    main()
