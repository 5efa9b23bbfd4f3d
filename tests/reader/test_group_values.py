"""Values that are read for predicates, weights and sequences."""

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.reader.select.group_values import read_values


def test_one_that_is_let_go_of_half_read_waits_for_no_thread(tmp_path: Path) -> None:
    files = {f"{number}.parquet": pa.table({"id": [number]}) for number in range(4)}
    dataset, go_on = Dataset.open(write_plain(tmp_path / "numbers", files)), threading.Event()

    def make(group: int, values: pa.Table) -> int:
        assert group == 0 or go_on.wait(60)
        return int(values["id"][0].as_py())

    # A test that fails goes on after a while.
    late = threading.Timer(30, go_on.set)
    late.start()
    values = read_values(dataset, range(4), {"id": pc.field("id")}, make, threads=2)
    assert next(values) == 0
    del values
    assert not go_on.is_set()
    late.cancel()
    go_on.set()
    assert list(read_values(dataset, range(4), {"id": pc.field("id")}, make, threads=2)) == [0, 1, 2, 3]
