"""One case of benchmarks/prepare_throughput.py, in a process of its own: STACK FOLDER DATASET; it prints JSON.

STACK is `spark`, the image job on two cores with the settings of conf/; `spark, bare`, the same without them; `by hand`, a
script with two processes that does the same checks by the same functions and libraries, in memory, and writes Parquet; or
`steps`, the parts of the Spark job one after the other, each with what comes before it. `job` are the seconds without the start
of Spark or the processes, `whole` with it; `files` those found, `kept` the rows written.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from bigdata_ml.prepare.images.checks import ImageChecks, looks_of
from bigdata_ml.prepare.images.decode import ImageRefused, PictureRules, decode_picture
from bigdata_ml.prepare.images.duplicates.perceptual_hash import perceptual_hash
from bigdata_ml.prepare.images.encode import PictureStorage

RULES, CHECKS, STORAGE = PictureRules(), ImageChecks(), PictureStorage(encoding="source")
DISTANCE = 6
SPLITS = (("train", 0.8), ("validation", 0.9), ("test", 1.0))


def spark_session(*, bare: bool = False):
    """Return Spark on two cores, with the settings of conf/ unless it is `bare`."""
    from pyspark.sql import SparkSession

    from bigdata_ml.prepare.session.spark import spark_session as session

    if not bare:
        os.environ["SPARK_CONF_DIR"] = str(Path(__file__).parents[2] / "conf")
    builder = SparkSession.builder.master("local[2]")
    builder.config("spark.ui.enabled", "false").config("spark.ui.showConsoleProgress", "false").getOrCreate()
    return session("benchmark")


def by_spark(folder: str, dataset: str, *, bare: bool = False) -> dict[str, float]:
    """Run the image job."""
    from bigdata_ml.prepare import ImageJob, prepare_images

    begin = time.perf_counter()
    spark = spark_session(bare=bare)
    started = time.perf_counter()
    manifest = prepare_images(spark, ImageJob(source=folder, dataset=dataset, encoding="source"))
    end = time.perf_counter()
    return {"files": manifest.cleaning.found, "kept": manifest.rows, "job": end - started, "whole": end - begin}


def by_steps(folder: str, dataset: str) -> dict[str, float]:
    """Time what the Spark job consists of, each part anew from the files."""
    from pyspark import StorageLevel

    from bigdata_ml.prepare.images.inspect import Inspection, inspect_images
    from bigdata_ml.prepare.images.steps import bring_together
    from bigdata_ml.prepare.publish.sink import partitions_for
    from bigdata_ml.prepare.sources import images

    spark = spark_session()
    found = images(spark, folder)
    there_and_back = found.rows.mapInArrow(passed_on, found.rows.schema)
    inspected = inspect_images(found.rows, Inspection(storage=STORAGE))
    together = bring_together(inspected, seed=0, partitions=partitions_for(found.bytes))
    parts: dict[str, Callable[[], object]] = {
        "read": partial(run_through, found.rows),
        "to Python and back": partial(run_through, there_and_back),
        "inspect": partial(run_through, inspected),
        "bring equal bytes together, keep": together.persist(StorageLevel.DISK_ONLY).count,
        "whole": partial(by_spark, folder, dataset),
    }
    spark.range(10).count()
    seconds = {}
    for name, part in parts.items():
        begin = time.perf_counter()
        part()
        seconds[name] = time.perf_counter() - begin
    return {"files": found.files, **seconds}


def run_through(rows: DataFrame) -> None:
    """Have Spark make all rows, and keep none."""
    rows.write.format("noop").mode("overwrite").save()


def passed_on(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Return the batches as they are."""
    yield from batches


def by_hand(folder: str, dataset: str) -> dict[str, float]:
    """Do the same with a pool of processes: all that is kept is held in memory."""
    begin = time.perf_counter()
    paths = sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())
    with get_context("fork").Pool(2) as pool:
        started = time.perf_counter()
        seen = list(pool.imap(inspected, paths, chunksize=32))
    groups = near_groups(np.array([one["looks_like"] for one in seen if one["looks_like"] is not None], np.int64))
    rows: dict[str, dict[str, list[object]]] = {
        name: {"image": [], "label": [], "source": [], "sha256": []} for name, _ in SPLITS
    }
    refused, first = [], set()
    for one in seen:
        if one["reason"] is None and one["sha256"] in first:
            one["reason"] = "duplicate"
        if one["reason"] is not None:
            refused.append({"source": one["path"], "reason": one["reason"]})
            continue
        first.add(one["sha256"])
        key = f"{groups.get(one['looks_like'], one['sha256'])}".encode()
        place = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") / 2**64
        split = next(name for name, bound in SPLITS if place < bound)
        for name, key in (("image", "content"), ("label", "label"), ("source", "path"), ("sha256", "sha256")):
            rows[split][name].append(one[key])
    for split, columns in rows.items():
        order = np.random.default_rng(0).permutation(len(columns["image"]))
        shuffled = {name: [values[place] for place in order] for name, values in columns.items()}
        target = Path(dataset) / f"{split}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(shuffled), target, row_group_size=400, compression="zstd", use_dictionary=["label"])
    Path(dataset, "refused.json").write_text(json.dumps(refused))
    sums = np.sum([one["sums"] for one in seen if one["reason"] is None], axis=0).tolist()
    Path(dataset, "statistics.json").write_text(json.dumps(sums))
    end = time.perf_counter()
    return {"files": len(paths), "kept": len(paths) - len(refused), "job": end - started, "whole": end - begin}


def inspected(path: str) -> dict[str, object]:
    """Read a file, decode it, judge it, hash it."""
    content = Path(path).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    row = {"path": path, "label": Path(path).parent.name, "sha256": sha256, "looks_like": None, "reason": None, "content": b""}
    try:
        decoded = decode_picture(content, RULES)
    except ImageRefused as refused:
        return {**row, "reason": refused.reason}
    image = decoded.image
    grey = image if image.mode == "L" else image.convert("L")
    found = [name for name, _ in CHECKS.found(looks_of(image, grey)) if name in CHECKS.refuse]
    if found:
        return {**row, "reason": found[0]}
    counts = np.array(image.histogram(), np.int64).reshape(-1, 256)
    sums = np.broadcast_to(counts @ np.arange(256), (3,))
    return {**row, "content": STORAGE.bytes_of(image, decoded, content), "looks_like": perceptual_hash(grey), "sums": sums}


def near_groups(hashes: np.ndarray) -> dict[int, int]:
    """Return the group of each hash that has a near one: hashes that share one of seven bands are compared."""
    unique = np.unique(hashes).view(np.uint64)
    group = {int(one): int(one) for one in unique.view(np.int64)}

    def root(one: int) -> int:
        while group[one] != one:
            one = group[one]
        return one

    for band in range(DISTANCE + 1):
        mask = np.uint64(sum(1 << bit for bit in range(band, 64, DISTANCE + 1)))
        keys = unique & mask
        order = np.argsort(keys, kind="stable")
        keys, ordered = keys[order], unique[order]
        for begin, end in zip(*_runs(keys), strict=True):
            for place in range(begin, end - 1):
                apart = np.bitwise_count(ordered[place + 1 : end] ^ ordered[place])
                for other in ordered[place + 1 : end][apart <= DISTANCE].view(np.int64):
                    group[root(int(other))] = root(int(ordered[place : place + 1].view(np.int64)[0]))
    return {one: root(one) for one in group}


def _runs(keys: np.ndarray) -> tuple[list[int], list[int]]:
    edges = np.flatnonzero(np.diff(keys, prepend=keys[:1] ^ np.uint64(1), append=keys[-1:] ^ np.uint64(1)))
    return edges[:-1].tolist(), edges[1:].tolist()


if __name__ == "__main__":
    _, stack, folder, dataset = sys.argv
    stacks = {"spark": by_spark, "spark, bare": partial(by_spark, bare=True), "by hand": by_hand, "steps": by_steps}
    print(json.dumps(stacks[stack](folder, dataset)))
