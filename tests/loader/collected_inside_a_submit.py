"""Collects a loader's half-read iteration in a thread that holds the locks of every other pool's `submit`."""

import faulthandler
import gc
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, thread
from typing import Any

from bigdata_ml.compat.petastorm import make_batch_reader
from bigdata_ml.compat.petastorm.pytorch import BatchedDataLoader
from bigdata_ml.dataset import Dataset
from bigdata_ml.loader import make_loader
from bigdata_ml.reader import ReadOptions

URL, HOW = sys.argv[1:]


class Trainer:
    """An object in a reference cycle, which holds what it iterates over."""

    def __init__(self) -> None:
        self.callbacks = [self.__init__]  # type: ignore[misc]
        self.batches: Any = iter(make())
        next(self.batches)


def make() -> Any:
    if HOW == "compat":
        return BatchedDataLoader(make_batch_reader(URL, num_epochs=None, seed=1), 7)
    engine = "petastorm" if HOW == "petastorm" else "arrow"
    read = ReadOptions(seed=1, engine=engine, shuffle=HOW != "straight")  # type: ignore[arg-type]
    return make_loader(Dataset.open(URL), read, global_batch_size=7, num_workers=2)


faulthandler.dump_traceback_later(60, exit=True)
gc.disable()
before = set(threading.enumerate())
trainer = Trainer()
assert set(threading.enumerate()) - before
del trainer
pool = ThreadPoolExecutor(1)
# What `submit` holds when it makes the objects on which the collector starts.
with pool._shutdown_lock, thread._global_shutdown_lock:  # type: ignore[attr-defined]
    assert gc.collect() > 0
until = time.monotonic() + 30
while set(threading.enumerate()) - before and time.monotonic() < until:
    time.sleep(0.01)
print("left:", sorted(one.name for one in set(threading.enumerate()) - before), flush=True)
