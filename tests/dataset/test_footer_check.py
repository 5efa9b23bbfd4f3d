import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import write_plain

from bigdata_ml.dataset import Dataset, first_rows, validate
from bigdata_ml.dataset.parquet.footer_check import check_footer
from bigdata_ml.errors import BigDataMLError, ChecksumMismatch, DatasetInvalid
from bigdata_ml.reader import ReadOptions, open_reader

ROWS = pa.table(
    {
        "number": range(12),
        "text": [None, "a", "b"] * 4,
        "list": [[1, 2], [], None] * 4,
        "nested": [{"deep": [{"text": "x"}]}] * 12,
    }
)


def footer_of(path: Path) -> tuple[bytes, int]:
    """Return the footer of a file and where it begins."""
    data = path.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")
    return data[-8 - length : -8], len(data) - 8 - length


@pytest.mark.parametrize(
    "settings", [{}, {"version": "1.0", "use_dictionary": False}, {"data_page_version": "2.0", "write_page_index": True}]
)
def test_a_whole_footer_says_where_its_row_groups_lie(tmp_path: Path, settings: dict[str, object]) -> None:
    pq.write_table(ROWS, tmp_path / "a.parquet", row_group_size=5, **settings)
    footer, end = footer_of(tmp_path / "a.parquet")
    ranges = check_footer(footer, end=end)
    assert [begin for begin, _ in ranges] == [4, *(end for _, end in ranges[:-1])]
    assert len(ranges) == 3


def test_a_footer_that_ends_anywhere_is_refused(tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "a.parquet")
    footer, end = footer_of(tmp_path / "a.parquet")
    for length in range(len(footer)):
        with pytest.raises(OSError, match="footer"):
            check_footer(footer[:length], end=end)


def test_a_schema_nested_without_end_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    kind = pa.int64()
    for _ in range(120):
        kind = pa.struct([pa.field("in", kind)])
    pq.write_metadata(pa.schema([pa.field("out", kind)]), tmp_path / "a.parquet")
    with pytest.raises(DatasetInvalid, match=r"a.parquet.*nested more than 100 deep"):
        Dataset.open(tmp_path)


def test_a_changed_footer_of_a_published_file_is_named_by_every_reader(tiny: Dataset) -> None:
    path = Path(tiny.url) / tiny.row_groups.paths[0]
    good, (_, begin) = path.read_bytes(), footer_of(path)
    for bit in range(0, 8 * (len(good) - begin), 997):
        data = bytearray(good)
        data[begin + bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        with pytest.raises((ChecksumMismatch, DatasetInvalid), match=path.name):
            list(open_reader(tiny, ReadOptions(shuffle=False), global_batch_size=4))
        assert validate(tiny.url)


def flip_footers(place: Path, seeds: range) -> None:
    """Open, validate and read a plain file whose footer has changed bits; whatever is wrong is an error of ours."""
    path = place / "a.parquet"
    good, (_, begin) = path.read_bytes(), footer_of(path)
    for seed in seeds:
        print(seed, flush=True)
        chance, data = random.Random(seed), bytearray(good)
        for _ in range(chance.choice((1, 1, 2, 4))):
            data[chance.randrange(begin, len(good))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            validate(place)
            dataset = Dataset.open(place, leave_out_nested=True)
            first_rows(dataset, 3)
            list(open_reader(dataset, ReadOptions(remainder="exact"), global_batch_size=4))
        except BigDataMLError as error:
            if str(place) not in str(error):
                raise


def test_no_changed_bit_of_a_footer_ends_the_interpreter(tmp_path: Path) -> None:
    write_plain(tmp_path, {"a.parquet": ROWS.drop_columns(["nested"])})
    call = f"from test_footer_check import *; flip_footers(Path({str(tmp_path)!r}), range(150))"
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *sys.path])}
    ended = subprocess.run([sys.executable, "-c", call], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"seed {ended.stdout.split()[-1:]}: {ended.stderr[-1000:]}"


def test_a_columns_path_that_is_not_utf8_is_refused_naming_the_file(tmp_path: Path) -> None:
    path = Path(write_plain(tmp_path, {"a.parquet": pa.table({"values": [[1], [2]]})})) / "a.parquet"
    good, name = path.read_bytes(), b"element"
    places = [place for place in range(len(good)) if good.startswith(name, place)]
    # The schema's element, and the path of its only column chunk; Arrow's own schema comes last and is no part of it.
    for place in places[:2]:
        path.write_bytes(good[:place] + b"\xec" + good[place + 1 :])
        with pytest.raises(DatasetInvalid, match=r"a\.parquet"):
            Dataset.open(tmp_path)
    assert len(places) >= 2


def test_a_row_group_without_rows_lies_beside_others(tmp_path: Path) -> None:
    with pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("x", pa.int64())])) as writer:
        for rows in (3, 0, 2):
            writer.write_table(pa.table({"x": range(rows)}, schema=writer.schema))
    assert Dataset.open(tmp_path).row_groups.rows.tolist() == [3, 0, 2]
