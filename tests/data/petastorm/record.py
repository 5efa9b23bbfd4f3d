"""Writes down what Petastorm itself reads from a dataset, as `expected.json` beside it.

python record.py DIRECTORY        (the dataset is DIRECTORY/dataset)
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pyspark.serializers
from petastorm import make_reader
from petastorm.unischema import UnischemaField


def restored(name: str, fields: tuple, values: tuple) -> object:
    """Stand in for what Spark before 3.3 pickled named tuples by, and later ones have no more."""
    if name != "UnischemaField":
        raise ValueError(name)
    return UnischemaField(**dict(zip(fields, values)))  # noqa: B905 (Python 3.8 has no strict)


def described(value: object) -> object:
    """Return a value as JSON: arrays by dtype, shape and the digest of their bytes, others by type and text."""
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"dtype": value.dtype.str, "shape": list(value.shape), "sha256": digest}
    return {"type": type(value).__name__, "text": str(value)}


def read_rows(url: str) -> list:
    """Read all rows in the order of their ids. Petastorm loses rows now and then: the most that ten readers gave are all."""
    most: list = []
    for _ in range(10):
        with make_reader(url, reader_pool_type="dummy", num_epochs=1, shuffle_row_groups=False) as reader:
            rows = sorted((one._asdict() for one in reader), key=lambda one: one["id"])
        most = max(most, rows, key=len)
    return most


def record(directory: Path) -> None:
    """Write `expected.json`."""
    if not hasattr(pyspark.serializers, "_restore"):
        pyspark.serializers._restore = restored
    rows = read_rows(f"file://{(directory / 'dataset').resolve()}")
    expected = [{name: described(value) for name, value in one.items()} for one in rows]
    (directory / "expected.json").write_text("[\n" + ",\n".join(map(json.dumps, expected)) + "\n]\n")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
