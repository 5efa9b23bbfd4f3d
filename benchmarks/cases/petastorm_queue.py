"""Petastorm's shuffling queue by itself, without a reader: rows a second through it, on any stack: STACK; it prints JSON.

STACK is `bridge` or `old`. Each of 40 times 50,000 rows of 20 columns go in, and batches of 4,096 come out of some 100,000.
"""

import json
import sys
import time

if sys.argv[1] == "bridge":
    import bigdata_ml.petastorm_bridge  # noqa: F401
import torch
from petastorm.reader_impl.pytorch_shuffling_buffer import BatchedRandomShufflingBuffer


def through(columns: list[torch.Tensor], times: int) -> float:
    """Return rows a second."""
    queue = BatchedRandomShufflingBuffer(100_000, min_after_retrieve=0, extra_capacity=50_000, batch_size=4096)
    begin, rows = time.perf_counter(), 0
    for _ in range(times):
        while not queue.can_add():
            rows += len(queue.retrieve()[0])
        queue.add_many(columns)
    return rows / (time.perf_counter() - begin)


columns = [torch.rand(50_000) for _ in range(10)] + [torch.randint(0, 1000, (50_000,)) for _ in range(10)]
through(columns, 10)
print(json.dumps({"torch": torch.__version__, "rate": through(columns, 40)}))
