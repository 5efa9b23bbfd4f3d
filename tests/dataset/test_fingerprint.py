"""The content fingerprint: what it must not see, and what it must."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import CLASSES, FIELDS, contract_of, make_rows, write_part

from bigdata_ml.dataset import Vocabulary, WriteOptions, publish, stage
from bigdata_ml.dataset.fingerprint import content_fingerprint, hash_rows, sum_of_rows

quick = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def content(root: Path, splits: dict[str, pa.Table], *, files: int = 1, group_rows: int = 5, **changes: Any) -> str:
    """The content fingerprint that publishing these rows gives."""
    name = f"d{len(list(root.iterdir()))}"
    with stage(str(root / name)) as staging:
        parts = []
        for split, rows in splits.items():
            borders = np.linspace(0, rows.num_rows, files + 1).astype(int)
            for number in range(files):
                piece = rows.slice(borders[number], borders[number + 1] - borders[number])
                options = WriteOptions(row_group_rows=group_rows)
                parts.append(write_part(staging.root, piece, split=split, name=f"{number}.parquet", options=options))
        kept = sum(rows.num_rows for rows in splits.values())
        return publish(staging, parts, contract_of(kept, **changes), quarantine=[], pages={}).content


def sum_of(values: list[Any], kind: pa.DataType) -> int:
    return sum_of_rows(hash_rows(pa.record_batch({"x": pa.array(values, kind)}), split=None))


@quick
@given(st.permutations(range(12)), st.integers(1, 4), st.integers(1, 12))
def test_order_files_and_row_groups_do_not_change_it(tmp_path: Path, order: list[int], files: int, group_rows: int) -> None:
    rows = make_rows(12)
    assert content(tmp_path, {"train": rows}) == content(
        tmp_path, {"train": rows.take(order)}, files=files, group_rows=group_rows
    )


@quick
@given(st.sampled_from([name for name in FIELDS.names if name != "image"]), st.integers(0, 11))
def test_one_changed_value_changes_it(tmp_path: Path, name: str, row: int) -> None:
    rows = make_rows(12)
    values = rows[name].to_pylist()
    values[row] = {"id": 99, "label": CLASSES[(row + 1) % 3], "weight": 99.5, "city": "Rom", "note": ""}[name]
    changed = rows.set_column(FIELDS.names.index(name), rows.schema.field(name), pa.array(values, rows.schema.field(name).type))
    assert content(tmp_path, {"train": rows}) != content(tmp_path, {"train": changed})


def test_one_changed_pixel_changes_it(tmp_path: Path) -> None:
    rows = make_rows(12)
    images = rows["image"].chunk(0).to_numpy_ndarray().copy()
    images[7, 3, 3, 0] ^= 1
    changed = rows.set_column(1, rows.schema.field("image"), pa.FixedShapeTensorArray.from_numpy_ndarray(images))
    assert content(tmp_path, {"train": rows}) != content(tmp_path, {"train": changed})


def test_a_row_in_another_split_or_missing_or_twice_changes_it(tmp_path: Path) -> None:
    rows = make_rows(12)
    ways = [
        {"train": rows, "test": rows.slice(0, 2)},
        {"train": rows.slice(2), "test": rows.slice(0, 4)},
        {"train": rows.slice(4), "test": rows.slice(0, 4)},
        {"train": rows.slice(0, 4), "test": rows.slice(4)},
        {"train": rows},
        {"train": rows.slice(1)},
        {"train": pa.concat_tables([rows, rows.slice(0, 1)])},
    ]
    assert len({content(tmp_path, way) for way in ways}) == len(ways)


def test_the_vocabulary_and_the_statistics_are_part_of_it(tmp_path: Path) -> None:
    known = contract_of(12).vocabularies
    swapped = {**known, "label": Vocabulary(values=("bee", "ant", "cow"), counts=(1, 1, 1), unknown=False)}
    rows = {"train": make_rows(12)}
    ways = [{}, {"vocabularies": swapped}, {"statistics": {}}, {"label": None}]
    assert len({content(tmp_path, rows, **way) for way in ways}) == len(ways)


def test_provenance_and_the_time_are_no_part_of_it(tmp_path: Path) -> None:
    rows = {"train": make_rows(12)}
    assert content(tmp_path, rows) == content(tmp_path, rows, provenance={"source": "/elsewhere"})


@quick
@given(st.lists(st.tuples(st.integers(-5, 5), st.text(max_size=3)), min_size=1, max_size=9), st.randoms())
def test_the_columns_order_does_not_change_the_sum_nor_does_the_cutting(rows: list[tuple[int, str]], random: Any) -> None:
    numbers, words = zip(*rows, strict=True)
    one = pa.record_batch({"a": pa.array(numbers, pa.int64()), "b": pa.array(words, pa.string())})
    cut = random.randrange(len(rows) + 1)
    pieces = [one.select(["b", "a"]).slice(0, cut), one.select(["b", "a"]).slice(cut)]
    parts = [sum_of_rows(hash_rows(piece, split="s")) for piece in pieces]
    assert sum(parts) % 2**128 == sum_of_rows(hash_rows(one, split="s"))


DIFFERENT = {
    pa.int64(): [None, 0, 1, -1, 2**63 - 1],
    pa.uint64(): [None, 0, 1, 2**64 - 1],
    pa.float64(): [None, 0.0, 1.0, float("nan"), float("inf"), 5e-324],
    pa.float16(): [None, np.float16(0), np.float16(1)],
    pa.bool_(): [None, False, True],
    pa.string(): [None, "", "a", "A", "aa", " a"],
    pa.binary(): [None, b"", b"\0", b"\0\0", b"a"],
    pa.decimal128(5, 2): [None, Decimal("0.00"), Decimal("0.10"), Decimal("1.00")],
    pa.date32(): [None, 0, 1],
    pa.timestamp("ns"): [None, 0, 1, 2, 1000, datetime(2025, 1, 1)],
    pa.timestamp("us", tz="UTC"): [None, 0, 1, 1000],
    pa.list_(pa.int64()): [None, [], [0], [0, 0], [1], [1, 2], [2, 1], [None]],
    pa.list_(pa.list_(pa.string())): [None, [], [[]], [[""]], [["a", "b"]], [["a"], ["b"]], [[], ["a", "b"]]],
    pa.list_(pa.int64(), 2): [None, [0, 0], [0, 1], [1, 0]],
}


@pytest.mark.parametrize("kind", DIFFERENT, ids=str)
def test_different_values_hash_differently_alone_and_among_others(kind: pa.DataType) -> None:
    column = pa.array(DIFFERENT[kind], kind)
    together = hash_rows(pa.record_batch({"x": column}), split=None)
    assert len({tuple(row) for row in together.tolist()}) == len(column)
    for row in range(len(column)):
        assert np.array_equal(hash_rows(pa.record_batch({"x": column.slice(row, 1)}), split=None), together[row : row + 1])


def test_equal_values_hash_alike_however_they_are_stored() -> None:
    plain = sum_of(["a", None, "b", "a"], pa.string())
    assert plain == sum_of(["a", None, "b", "a"], pa.large_string())
    assert plain == sum_of(["a", None, "b", "a"], pa.dictionary(pa.int8(), pa.string()))
    assert sum_of([0.0, float("nan")], pa.float64()) == sum_of([-0.0, -float("nan")], pa.float64())
    assert sum_of([1, 2], pa.int8()) == sum_of([1, 2], pa.uint64())


def test_no_rows_sum_to_nothing() -> None:
    assert sum_of_rows(hash_rows(make_rows(1).slice(0, 0), split="train")) == 0


def test_the_values_are_pinned() -> None:
    """Changing any of these makes every published fingerprint meaningless: raise the format's version instead."""
    assert f"{sum_of([1, 2, None], pa.int64()):032x}" == "2af5abd2630f109f850271265ce1c0ff"
    assert f"{sum_of(['a', '', None], pa.string()):032x}" == "0ee1586c1cfefbd8027e708be0d843fb"
    assert f"{sum_of([0.5, None, float('nan')], pa.float64()):032x}" == "f95a520c7ad3b73e3c7f111e4d8c6ed7"
    assert f"{sum_of([[1, 2], [], None], pa.list_(pa.int64())):032x}" == "004660dad6960a641623af75117e76d1"
    assert (
        f"{sum_of_rows(hash_rows(make_rows(3).drop_columns(['image']), split='train')):032x}"
        == "d57e77a1a51286fdbe1fd3b3f5495c6b"
    )
    assert content_fingerprint(3, 5, {"label": "x"}) == "1130a4bfdbc492cc8394115031295cb2"
