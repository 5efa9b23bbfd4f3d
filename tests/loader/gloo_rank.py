"""One rank of a real gloo group: reads each job's batches with a collective after every step, and writes down the ids.

Usage: python gloo_rank.py RANK WORLD_SIZE FOLDER; FOLDER/jobs.json lists the jobs.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pyarrow.compute as pc
import torch
from torch import distributed

from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions


def main(rank: int, world_size: int, folder: Path) -> None:
    distributed.init_process_group(
        "gloo",
        init_method=(folder / "store").as_uri(),
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=60),
    )
    for job in json.loads((folder / "jobs.json").read_text()):
        least, most = job["ids"]
        predicate = (pc.field("id") >= least) & (pc.field("id") < most)
        read = ReadOptions(columns=("id",), predicate=predicate, remainder=job["remainder"], seed=1)
        settings = {"global_batch_size": job["size"], "rank": rank, "world_size": world_size, "num_workers": job["num_workers"]}
        loader = make_loader(Dataset.open(job["url"]), read, **settings)
        lines = []
        for _ in range(2):
            for batch in loader:
                lines.append(" ".join(map(str, batch["id"].tolist())))
                rows = batch["valid"].sum()
                # Waits for every rank: hangs if one has made its last step.
                distributed.all_reduce(rows)
                lines[-1] += f" / {int(rows)}"
            steps = torch.tensor([len(lines), -len(lines)])
            distributed.all_reduce(steps, op=distributed.ReduceOp.MAX)
            assert steps[0] == -steps[1]
        (folder / f"{job['name']}.{rank}").write_text("\n".join(lines))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
