"""Samples of several rows: over the borders of row groups, in files that are each sorted by themselves, resumed, mixed."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bigdata_ml.compat.petastorm import (
    DataLoader,
    NGram,
    TransformSpec,
    WeightedSamplingReader,
    in_lambda,
    make_batch_reader,
    make_reader,
)
from bigdata_ml.errors import DatasetInvalid

pytestmark = pytest.mark.filterwarnings("ignore:.* has no Petastorm schema:UserWarning")


@pytest.fixture
def series(tmp_path: Path) -> str:
    """Two files of 30 and 20 rows, in row groups of 7; times 0, 2, 4 … in each, with a gap of 10 after row 11 of the first."""
    for number, rows in enumerate((30, 20)):
        times = np.arange(rows) * 2
        if not number:
            times[12:] += 10
        table = pa.table({"time": times, "id": np.arange(rows) + 100 * number, "value": times / 2})
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=7)
    return f"file://{tmp_path}"


def trio(**options: Any) -> NGram:
    return NGram({0: ["id", "value"], 1: ["id"], 2: ["id"]}, options.pop("delta_threshold", 2), "time", **options)


def firsts(reader: Any) -> list[int]:
    return [int(sample[0].id) for sample in reader]


WHOLE = [*range(10), *range(12, 28), *range(100, 118)]


def test_samples_go_over_row_groups_but_not_over_gaps_or_where_a_file_begins_anew(series: str) -> None:
    samples = list(make_reader(series, trio(), seed=0))
    assert sorted(int(one[0].id) for one in samples) == WHOLE
    for sample in samples:
        assert [int(sample[at].id) for at in range(3)] == list(range(int(sample[0].id), int(sample[0].id) + 3))
        assert sample[0]._fields == ("id", "value")
        assert sample[2]._fields == ("id",)


def test_samples_that_do_not_overlap(series: str) -> None:
    assert sorted(firsts(make_reader(series, trio(timestamp_overlap=False)))) == [
        0,
        3,
        6,
        9 - 9 + 9,
        *range(12, 28, 3),
        *range(100, 118, 3),
    ]


def test_a_wider_threshold_goes_over_the_gap(series: str) -> None:
    assert len(firsts(make_reader(series, trio(delta_threshold=12)))) == 28 + 18


def test_samples_are_resumed_and_shared_out(series: str) -> None:
    whole = firsts(make_reader(series, trio(), seed=3, shuffle_rows=True))
    assert sorted(whole) == WHOLE
    first = make_reader(series, trio(), seed=3, shuffle_rows=True)
    for _ in range(17):
        next(first)
    second = make_reader(series, trio(), seed=3, shuffle_rows=True)
    second.load_state_dict(first.state_dict())
    assert firsts(second) == whole[17:]
    ranks = [firsts(make_reader(series, trio(), cur_shard=rank, shard_count=2)) for rank in range(2)]
    assert sorted(ranks[0] + ranks[1]) == WHOLE
    assert abs(len(ranks[0]) - len(ranks[1])) <= 1


def test_no_sample_goes_over_a_row_that_is_left_out(series: str) -> None:
    kept = in_lambda(["id"], lambda number: number != 5)
    assert sorted(firsts(make_reader(series, trio(), predicate=kept))) == [one for one in WHOLE if one not in (3, 4, 5)]


def test_rows_of_samples_are_transformed(series: str) -> None:
    spec = TransformSpec(lambda row: {**row, "value": row["value"] * 10})
    (first, *_) = make_reader(series, trio(), transform_spec=spec, shuffle_row_groups=False)
    assert (first[0].id, first[0].value) == (0, 0.0)
    samples = {int(one[0].id): one for one in make_reader(series, trio(), transform_spec=spec)}
    assert samples[3][0].value == 30.0


def test_samples_of_several_readers_are_mixed(series: str) -> None:
    low, high = (
        make_reader(series, trio(), seed=1, predicate=in_lambda(["id"], one)) for one in (lambda n: n < 50, lambda n: n > 50)
    )
    found = firsts(WeightedSamplingReader([low, high], [1, 1]))
    assert len(found) == 32
    assert sum(one < 50 for one in found) == 16


def test_unsupported_ngrams_are_refused(series: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="make_batch_reader"):
        make_batch_reader(series, trio())
    with pytest.raises(TypeError, match="NGram"):
        DataLoader(make_reader(series, trio()))
    with pytest.raises(ValueError, match="delta_threshold"):
        trio(delta_threshold="2")
    with pytest.raises(ValueError, match="timestamp_field"):
        make_reader(series, NGram({0: ["id"]}, 1, ".*"))
    unsorted = tmp_path / "unsorted"
    unsorted.mkdir()
    pq.write_table(pa.table({"time": [1, 3, 2], "id": [0, 1, 2], "value": [0.0, 1.0, 2.0]}), unsorted / "0.parquet")
    with pytest.raises(DatasetInvalid, match=r"0\.parquet row group 0 row 2 field 'time': is 2 after 3"):
        make_reader(f"file://{unsorted}", trio())
