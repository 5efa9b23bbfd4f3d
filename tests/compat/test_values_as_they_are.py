"""Values that Petastorm's readers hand out as they lie, or refuse by name."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigdata_ml.compat.petastorm import Reader, make_batch_reader, make_reader
from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DecodeFailed
from bigdata_ml.reader import ReadOptions, open_reader

pytestmark = pytest.mark.filterwarnings("ignore:.* has no Petastorm schema:UserWarning")
BAD_TEXT = pa.Array.from_buffers(pa.string(), 2, pa.array([b"fine", b"R\xc9UNION"]).buffers())


def write(place: Path, column: Any, **options: Any) -> str:
    place.mkdir(exist_ok=True)
    pq.write_table(pa.table({"x": column}), place / "a.parquet", **options)
    return place.as_uri()


def values(make: Callable[..., Reader], url: str) -> list[Any]:
    with make(url, num_epochs=1, shuffle_row_groups=False) as reader:
        return [value for row in reader for value in np.atleast_1d(row.x).tolist()]


@pytest.mark.parametrize("make", [make_reader, make_batch_reader], ids=["rows", "batches"])
def test_text_that_is_no_utf8_is_named_by_file_and_row(tmp_path: Path, make: Callable[..., Reader]) -> None:
    url = write(tmp_path, BAD_TEXT)
    with pytest.raises(DecodeFailed, match=r"a\.parquet row group 0 row 1 field 'x'"):
        values(make, url)


def test_a_whole_number_beside_nulls_is_floating_only_if_that_is_the_same_number(tmp_path: Path) -> None:
    assert values(make_batch_reader, write(tmp_path / "small", pa.array([2**53, None])))[0] == 2.0**53
    with pytest.raises(DecodeFailed, match=r"row 1 field 'x': .*9007199254740993"):
        values(make_batch_reader, write(tmp_path / "big", pa.array([None, 2**53 + 1])))


def test_int96_holds_far_times_in_batches_and_by_petastorms_engine(tmp_path: Path) -> None:
    times = [datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31)]
    url = write(tmp_path, pa.array(times, pa.timestamp("us")), use_deprecated_int96_timestamps=True)
    assert values(make_batch_reader, url) == times
    pytest.importorskip("petastorm")
    read = ReadOptions(shuffle=False, engine="petastorm")
    (rows,) = open_reader(Dataset.open(tmp_path), read, global_batch_size=2)
    assert rows.column("x").to_pylist() == times
