"""One case of benchmarks/petastorm.py, in a process of its own, on any stack: STACK CASE FOLDER EPOCHS; it prints JSON.

STACK is `native`, `bridge` or `old`. `loop` is without opening, `whole` with it; `peak` is the process's, in MiB.
"""

import json
import resource
import sys
import time

stack, case, folder, epochs = sys.argv[1:]
if stack == "native":
    from bigdata_ml.compat.petastorm import BatchedDataLoader, DataLoader, make_batch_reader, make_reader
else:
    if stack == "bridge":
        import bigdata_ml.petastorm_bridge  # noqa: F401
    from petastorm import make_batch_reader, make_reader
    from petastorm.pytorch import BatchedDataLoader, DataLoader

options = {"num_epochs": int(epochs), "workers_count": 2, "shuffle_row_groups": True, "seed": 1}
begin, busy = time.perf_counter(), time.process_time()
if case.startswith("table"):
    queue = 100_000 if "queue" in case else 0
    loader = BatchedDataLoader(make_batch_reader(f"file://{folder}", **options), batch_size=4096, shuffling_queue_capacity=queue)
else:
    loader = DataLoader(make_reader(f"file://{folder}", **options), batch_size=64)
opened = time.perf_counter()
rows, total = 0, 0
with loader:
    for batch in loader:
        rows += len(batch["id"])
        total += int(batch["id"].sum())
end = time.perf_counter()
figures = {
    "rows": rows,
    "sum": total,
    "loop": rows / (end - opened),
    "whole": rows / (end - begin),
    "processor": time.process_time() - busy,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}
print(json.dumps(figures))
