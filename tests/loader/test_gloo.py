"""Four real ranks with a collective after every step: equal steps, no hang, and the same global batches as one rank alone."""

import json
import subprocess
import sys
import time
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contracts import ids_of
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions

pytestmark = pytest.mark.processes

RANKS, SIZE, REMAINDERS = 4, 16, ("drop", "pad", "exact")
# Row groups of ids by name (files where one of them is empty), and the ids that the predicate keeps.
SHAPES: dict[str, tuple[list[int], tuple[int, int]]] = {
    "fewer_groups_than_ranks": ([30, 31], (0, 61)),
    "one_group": ([77], (0, 77)),
    "one_row": ([1], (0, 1)),
    "a_predicate_that_leaves_one_group": ([20] * 12, (40, 60)),
    "a_predicate_that_empties_all_ranks_but_one": ([200] * 4, (200, 203)),
    "one_giant_beside_many_tiny": ([900, *[1] * 300], (0, 1200)),
    "empty_files": ([0, 19, 0, 0, 40, 0], (0, 59)),
    "ragged": ([1, 50, 7, 0, 90, 16, 3], (5, 160)),
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every shape in every mode that makes a step; ids count on, so every file is sorted by whatever they stand for."""
    root, found = tmp_path_factory.mktemp("shapes"), []
    for name, (sizes, ids) in SHAPES.items():
        ends = np.cumsum([0, *sizes]).tolist()
        pieces = [pa.table({"id": pa.array(range(*ids), pa.int64())}) for ids in pairwise(ends)]
        if name == "empty_files":
            write_plain(root / name, {f"{number}.parquet": rows for number, rows in enumerate(pieces)}, row_group_size=100)
        else:
            (root / name).mkdir()
            with pq.ParquetWriter(root / name / "one.parquet", pieces[0].schema) as writer:
                for rows in pieces:
                    writer.write_table(rows)
        for number, remainder in enumerate(REMAINDERS):
            if remainder != "drop" or ids[1] - ids[0] >= SIZE:
                job = {"name": f"{name}-{remainder}", "url": str(root / name), "ids": ids, "remainder": remainder}
                found.append({**job, "size": SIZE, "num_workers": number})
    return found


@pytest.fixture(scope="module")
def folder(jobs: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What four processes wrote."""
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "jobs.json").write_text(json.dumps(jobs))
    script = Path(__file__).with_name("gloo_rank.py")
    ranks = [
        subprocess.Popen([sys.executable, script, str(rank), str(RANKS), folder], stderr=subprocess.PIPE, text=True)
        for rank in range(RANKS)
    ]
    end = time.monotonic() + 200
    errors = []
    try:
        errors = [rank.communicate(timeout=max(1, end - time.monotonic()))[1] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert [rank.returncode for rank in ranks] == [0] * RANKS, "\n".join(errors)
    return folder


def alone(job: dict[str, Any]) -> list[tuple[list[int], int]]:
    import pyarrow.compute as pc

    least, most = job["ids"]
    read = ReadOptions(predicate=(pc.field("id") >= least) & (pc.field("id") < most), remainder=job["remainder"], seed=1)
    one = make_loader(Dataset.open(job["url"]), read, global_batch_size=job["size"])
    return [(batch["id"].tolist(), int(batch["valid"].sum())) for _ in range(2) for batch in one]


def test_every_rank_makes_the_same_steps_and_their_batches_are_those_of_one_rank(
    jobs: list[dict[str, Any]], folder: Path
) -> None:
    for job in jobs:
        files = [(folder / f"{job['name']}.{rank}").read_text().splitlines() for rank in range(RANKS)]
        steps = []
        for lines in zip(*files, strict=True):
            parts = [line.split(" / ") for line in lines]
            assert all(len(ids.split()) == SIZE // RANKS for ids, _ in parts)
            assert len({rows for _, rows in parts}) == 1
            steps.append(([int(one) for ids, _ in parts for one in ids.split()], int(parts[0][1])))
        assert steps == alone(job), job["name"]


@pytest.mark.parametrize("remainder", ["pad", "exact"])
def test_no_row_is_lost_or_counted_twice_by_four_ranks(jobs: list[dict[str, Any]], folder: Path, remainder: str) -> None:
    for job in jobs:
        if job["remainder"] == remainder:
            files = [(folder / f"{job['name']}.{rank}").read_text().splitlines() for rank in range(RANKS)]
            ids = [int(one) for lines in files for line in lines for one in line.split(" / ")[0].split()]
            rows = [int(line.split(" / ")[1]) for line in files[0]]
            assert set(ids) == set(range(*job["ids"])), job["name"]
            wanted = 2 * (job["ids"][1] - job["ids"][0]) if remainder == "exact" else len(rows) * SIZE
            assert sum(rows) == wanted, job["name"]


def test_ranks_side_by_side_in_one_process_agree_as_well(jobs: list[dict[str, Any]]) -> None:
    job = next(one for one in jobs if one["name"] == "ragged-exact")
    read = ReadOptions(remainder="exact", seed=1, streams=12)
    ranks = [make_loader(Dataset.open(job["url"]), read, global_batch_size=48, rank=rank, world_size=12) for rank in range(12)]
    whole = make_loader(Dataset.open(job["url"]), read, global_batch_size=48)
    assert [sorted(one for part in step for one in ids_of(part)) for step in zip(*ranks, strict=True)] == [
        sorted(ids_of(one)) for one in whole
    ]


def test_all_shapes_and_modes_were_tried(jobs: list[dict[str, Any]]) -> None:
    tried = {(job["name"].rsplit("-", 1)[0], job["remainder"]) for job in jobs}
    assert set(product(SHAPES, ("pad", "exact"))) <= tried
    assert len(tried) == len(jobs) >= 21
