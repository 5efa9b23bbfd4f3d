"""Row groups that keys and extremes rule out: the same as one by one, at a cost that follows from those that are left."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tiny import write_plain

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.row_groups import RowGroups
from bigdata_ml.reader.select import pruning
from bigdata_ml.reader.select.selection import select

ID, PRICE = pc.field("id"), pc.field("price")


@pytest.fixture
def with_extremes(tmp_path: Path) -> Callable[..., Dataset]:
    """Makes a dataset of row groups that are nowhere, with the least and the greatest value of each by column."""
    row = pa.table({"id": pa.array([1]), "price": pa.array([1]), "other": pa.array([1])})
    one = Dataset.open(write_plain(tmp_path / "one", {"a.parquet": row}))

    def make(**extremes: tuple[pa.Array, pa.Array]) -> Dataset:
        groups = len(next(iter(extremes.values()))[0])
        table = one.row_groups.table.take([0] * groups)
        for name, (least, most) in extremes.items():
            for kind, values in (("min", least), ("max", most)):
                table = table.set_column(table.schema.get_field_index(f"{kind}.{name}"), f"{kind}.{name}", values)
        return replace(one, row_groups=RowGroups(table))

    return make


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many blocks Arrow was asked about, call by call."""
    found: list[int] = []
    possible = pruning._possible

    def counting(schema: pa.Schema, predicate: pc.Expression, known: list[pc.Expression]) -> list[int]:
        found.append(len(known))
        return possible(schema, predicate, known)

    monkeypatch.setattr(pruning, "_possible", counting)
    return found


def test_few_of_many_row_groups_are_found_by_looking_at_few(with_extremes: Callable[..., Dataset], asked: list[int]) -> None:
    groups = 200_000
    least = np.random.default_rng(0).permutation(groups) * 10
    dataset = with_extremes(id=(pa.array(least), pa.array(least + 9)))
    found = pruning.surviving(dataset, (ID > 50_005) & (ID < 50_035))
    assert found.tolist() == np.flatnonzero((least >= 50_000) & (least < 50_040)).tolist()
    # 196 blocks of 1,024, two of them in blocks of 32, and two of these one by one.
    assert sum(asked) < 350


def test_only_columns_that_the_predicate_names_are_looked_at(
    with_extremes: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = pa.array(range(100))
    dataset = with_extremes(id=(numbers, numbers), price=(numbers, numbers), other=(numbers, numbers))
    seen, of = [], pruning._Bounds.of
    monkeypatch.setattr(pruning._Bounds, "of", lambda dataset, field: seen.append(field.name) or of(dataset, field))
    assert pruning.surviving(dataset, (ID == 3) | (PRICE == 5)).tolist() == [3, 5]
    assert seen == ["id", "price"]


@pytest.mark.parametrize("seed", range(4))
def test_blocks_rule_out_what_each_row_group_alone_does(
    with_extremes: Callable[..., Dataset], monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    numbers, groups = np.random.default_rng(seed), 300
    extremes = {}
    for name in ("id", "price"):
        least = numbers.integers(0, 100, groups)
        unknown = numbers.random(groups) < (0.1 if seed % 2 else 0)
        extremes[name] = tuple(pa.array(one, mask=unknown) for one in (least, least + numbers.integers(0, 5, groups)))
    dataset = with_extremes(**extremes)
    predicates = [
        ID == 7,
        (ID > 90) & (PRICE < 20),
        (ID < 3) | (PRICE >= 99),
        ~(ID > 2),
        ID.isin([4, 60]),
        PRICE.is_null(),
        ID + PRICE > 3,
    ]
    blocks = [pruning.surviving(dataset, predicate).tolist() for predicate in predicates]
    monkeypatch.setattr(pruning, "_BLOCKS", ())
    assert blocks == [pruning.surviving(dataset, predicate).tolist() for predicate in predicates]
    (id_least, id_most) = (one.to_numpy(zero_copy_only=False) for one in extremes["id"])
    assert blocks[0] == np.flatnonzero(~((id_least > 7) | (id_most < 7))).tolist()


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b", "c", "d"]).dictionary_encode(),
        pa.array([b"a", b"b", b"c", b"d"]).dictionary_encode(),
        pa.array([Decimal(one) for one in (1, 2, 3, 4)], pa.decimal32(9, 0)),
        pa.array([Decimal(one) for one in (1, 2, 3, 4)], pa.decimal64(18, 0)),
        pa.array([1, 2, 3, 4], pa.duration("s")),
        pa.array([False, False, True, None]),
    ],
    ids=lambda column: str(column.type).partition("<")[0] + str(getattr(column.type, "value_type", "")),
)
def test_row_groups_are_found_by_columns_of_types_that_arrow_does_not_sort(tmp_path: Path, column: pa.Array) -> None:
    place = write_plain(tmp_path, {"a.parquet": pa.table({"k": column})}, row_group_size=1)
    wanted = pa.scalar(column[2].as_py(), getattr(column.type, "value_type", column.type))
    selection = select(Dataset.open(place), pc.field("k") == wanted)
    assert [len(selection.rows(group)) for group in range(4)] == [0, 0, 1, 0]
    assert select(Dataset.open(place), pc.field("k").is_valid()).total == 4 - column.null_count
