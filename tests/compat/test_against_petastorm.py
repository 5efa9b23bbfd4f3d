"""Values, dtypes and shapes are those that Petastorm itself hands out."""

import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from comparing import assert_same

from bigdata_ml.compat import petastorm as ours
from bigdata_ml.compat.petastorm import predicates
from bigdata_ml.compat.petastorm.pytorch import BatchedDataLoader, DataLoader, decimal_friendly_collate

OLD = Path(__file__).parents[1] / "data" / "petastorm"


def by_id(rows: Any) -> dict[int, Any]:
    listed = list(rows)
    found = {int(row.id): row for row in listed}
    assert len(found) == len(listed)
    return found


def assert_same_rows(mine: Any, theirs: Any) -> None:
    a, b = by_id(mine), by_id(theirs)
    assert sorted(a) == sorted(b)
    for number, row in b.items():
        # Fields that a regular expression matches come in the order of a set there.
        assert sorted(a[number]._fields) == sorted(row._fields)
        for name in row._fields:
            assert_same(getattr(a[number], name), getattr(row, name), f"row {number} {name}")


OPTIONS: list[dict[str, Any]] = [
    {},
    {"schema_fields": ["id", "rgb"]},
    {"schema_fields": ["id", "ma.*"]},
    {"shuffle_row_groups": False},
    {"shuffle_rows": True, "seed": 3},
    {"shuffle_row_drop_partitions": 2},
    {"reader_pool_type": "dummy"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_rows_are_those_of_petastorm(petastorm: Any, everything: str, options: dict[str, Any]) -> None:
    with ours.make_reader(everything, **options) as mine, petastorm.make_reader(everything, **options) as theirs:
        assert_same_rows(mine, theirs)


def test_a_reader_that_does_not_shuffle_has_petastorms_order(petastorm: Any, everything: str) -> None:
    options = {"shuffle_row_groups": False, "reader_pool_type": "dummy", "schema_fields": ["id"]}
    with ours.make_reader(everything, **options) as mine, petastorm.make_reader(everything, **options) as theirs:
        assert [row.id for row in mine] == [row.id for row in theirs]


PREDICATES = [
    ("in_set", ({1, 3, 5, 39, 700}, "id")),
    ("in_set", ({"b"}, "part")),
    ("in_lambda", (["id", "half"], lambda number, half: number > 10 and half < 15)),
    ("in_lambda", (["id"], lambda number, state: number % state == 0, 4)),
    ("in_lambda", (["ragged"], lambda ragged: ragged is not None and len(ragged) > 2)),
    ("in_pseudorandom_split", ([0.3, 0.7], 1, "text")),
    ("in_intersection", ([3, 4], "ragged")),
]


@pytest.mark.parametrize("case", PREDICATES, ids=lambda case: case[0])
def test_predicates_select_petastorms_rows(petastorm: Any, everything: str, case: tuple[str, tuple[Any, ...]]) -> None:
    from petastorm import predicates as theirs

    name, arguments = case
    if name == "in_intersection":
        arguments = ([*arguments[0]], "packed")
    with (
        ours.make_reader(everything, predicate=getattr(predicates, name)(*arguments)) as mine,
        petastorm.make_reader(everything, predicate=getattr(theirs, name)(*arguments)) as real,
    ):
        found, wanted = by_id(mine), by_id(real)
        assert sorted(found) == sorted(wanted)
        assert found


def test_predicates_are_combined_as_in_petastorm(petastorm: Any, everything: str) -> None:
    from petastorm import predicates as theirs

    def combined(module: Any) -> Any:
        odd = module.in_lambda(["flag"], lambda flag: bool(flag))
        few = module.in_set(range(12), "id")
        return module.in_reduce([odd, module.in_negate(few)], all)

    with (
        ours.make_reader(everything, predicate=combined(predicates)) as mine,
        petastorm.make_reader(everything, predicate=combined(theirs)) as real,
    ):
        assert sorted(by_id(mine)) == sorted(by_id(real)) == list(range(13, 40, 2))


def test_a_transform_of_rows_is_petastorms(petastorm: Any, everything: str) -> None:
    def change(row: dict[str, Any]) -> dict[str, Any]:
        return {"id": row["id"], "mean": np.float32(row["rgb"].mean()), "matrix": row["matrix"] * 2}

    def spec(module: Any) -> Any:
        return module.TransformSpec(
            change,
            edit_fields=[("mean", np.float32, (), False), ("matrix", np.float32, (2, 3), False)],
            selected_fields=["mean", "id", "matrix"],
        )

    from petastorm import transform as theirs

    with (
        ours.make_reader(everything, transform_spec=spec(ours)) as mine,
        petastorm.make_reader(everything, transform_spec=spec(theirs)) as real,
    ):
        assert_same_rows(mine, real)


def whole(batches: Any) -> dict[str, np.ndarray]:
    """All batches as one, sorted by id."""
    listed = list(batches)
    columns = {name: np.concatenate([getattr(one, name) for one in listed]) for name in listed[0]._fields}
    order = np.argsort(columns["id"])
    return {name: values[order] for name, values in columns.items()}


def test_batches_are_those_of_petastorm(petastorm: Any, table: str) -> None:
    # What is null is better here: test_batches_know_unknown_values.
    fields = ["id", "x", "name", "flag", "when", "day", "pair", "count"]
    with (
        ours.make_batch_reader(table, schema_fields=fields) as mine,
        petastorm.make_batch_reader(table, schema_fields=fields) as real,
    ):
        found, wanted = whole(mine), whole(real)
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert_same(found[name], values, name)


def test_batches_know_unknown_values(petastorm: Any, table: str) -> None:
    with ours.make_batch_reader(table, schema_fields=["id", "maybe"]) as mine:
        assert whole(mine)["maybe"][:6].tolist() == [None, "t1", "t2", "t0", "t1", None]
    with petastorm.make_batch_reader(table, schema_fields=["id", "maybe"]) as real:
        assert whole(real)["maybe"][0] == "None"


def test_a_transform_of_batches_is_petastorms(petastorm: Any, table: str) -> None:
    def change(frame: Any) -> Any:
        changed = frame[["id", "pair"]].copy()
        changed["square"] = frame["x"] ** 2
        changed["text"] = frame["name"] + "!"
        changed["grid"] = [np.full((2, 2), one, np.float64) for one in frame["id"]]
        return changed

    edits = [("square", np.float32, (), False), ("text", np.str_, (), False), ("grid", np.float64, (2, 2), False)]
    spec = {"edit_fields": edits, "selected_fields": ["id", "pair", "square", "text", "grid"]}
    from petastorm import transform as theirs

    fields = ["id", "x", "name", "pair"]
    with (
        ours.make_batch_reader(table, schema_fields=fields, transform_spec=ours.TransformSpec(change, **spec)) as mine,
        petastorm.make_batch_reader(table, schema_fields=fields, transform_spec=theirs.TransformSpec(change, **spec)) as real,
    ):
        found, wanted = whole(mine), whole(real)
    for name, values in wanted.items():
        assert_same(found[name], values, name)


def in_order(**options: Any) -> dict[str, Any]:
    return {"shuffle_row_groups": False, "reader_pool_type": "dummy", **options}


TENSORS = ["id", "small", "wide", "half", "flag", "text", "price", "matrix", "rgb", "grey", "photo"]


def test_loaders_of_rows_give_petastorms_tensors(petastorm: Any, everything: str) -> None:
    from petastorm.pytorch import DataLoader as Theirs

    options = in_order(schema_fields=TENSORS)
    mine = list(DataLoader(ours.make_reader(everything, **options), batch_size=7))
    real = list(Theirs(petastorm.make_reader(everything, **options), batch_size=7))
    assert len(mine) == len(real) == 6
    for one, other in zip(mine, real, strict=True):
        assert list(one) == TENSORS
        for name, values in other.items():
            if name == "wide":
                # Scalars too are promoted, as arrays and Petastorm's documentation are.
                assert (values.dtype, one[name].dtype) == (torch.uint16, torch.int32)
                values = values.to(torch.int32)
            assert_same(one[name], [str(value) for value in values] if name == "text" else values, name)
    assert isinstance(mine[0]["price"][0], Decimal)


def test_a_collate_function_is_given_petastorms_rows(petastorm: Any, everything: str) -> None:
    from petastorm.pytorch import DataLoader as Theirs

    def collate(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(type(row["small"]), row["small"], row["flag"].dtype, row["matrix"].sum(), type(row["text"])) for row in rows]

    options = in_order(schema_fields=["small", "flag", "matrix", "text"])
    mine = list(DataLoader(ours.make_reader(everything, **options), batch_size=9, collate_fn=collate))
    assert mine == list(Theirs(petastorm.make_reader(everything, **options), batch_size=9, collate_fn=collate))


@pytest.mark.parametrize("transform", [None, lambda values: torch.as_tensor(values).double()], ids=["plain", "double"])
def test_batched_loaders_give_petastorms_tensors(petastorm: Any, table: str, transform: Any) -> None:
    from petastorm.pytorch import BatchedDataLoader as Theirs

    options = in_order(schema_fields=["id", "x", "flag", "pair"])
    mine = list(BatchedDataLoader(ours.make_batch_reader(table, **options), batch_size=100, transform_fn=transform))
    real = list(Theirs(petastorm.make_batch_reader(table, **options), batch_size=100, transform_fn=transform))
    assert len(mine) == len(real) == 11
    for one, other in zip(mine, real, strict=True):
        for name, values in other.items():
            assert_same(one[name], values, name)


def test_batched_loaders_over_rows_give_petastorms_tensors(petastorm: Any, everything: str) -> None:
    from petastorm.pytorch import BatchedDataLoader as Theirs

    options = in_order(schema_fields=[name for name in TENSORS if name not in ("text", "price")])
    mine = list(BatchedDataLoader(ours.make_reader(everything, **options), batch_size=7))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        real = list(Theirs(petastorm.make_reader(everything, **options), batch_size=7))
    assert [len(one["id"]) for one in mine] == [7, 7, 7, 7, 7, 5]
    for one, other in zip(mine, real, strict=True):
        assert sorted(one) == sorted(other)
        for name, values in other.items():
            # Scalars too are promoted, as arrays and Petastorm's documentation are.
            assert_same(one[name], values.to(torch.int32) if name == "wide" else values, name)
    # There they end the read.
    (batch,) = BatchedDataLoader(ours.make_reader(everything, **in_order(schema_fields=["text", "price"])), batch_size=40)
    assert (batch["text"][3], batch["price"][3]) == ("row 3", Decimal("3.25"))


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_held_in_memory_come_in_petastorms_order(petastorm: Any, table: str, shuffle: bool) -> None:
    from petastorm.pytorch import InMemBatchedDataLoader as Theirs

    options = in_order(schema_fields=["id", "x"])
    settings = {"batch_size": 64, "num_epochs": 2, "seed": 5, "rows_capacity": 300, "shuffle": shuffle}
    mine = list(ours.InMemBatchedDataLoader(ours.make_batch_reader(table, **options), **settings))
    real = list(Theirs(petastorm.make_batch_reader(table, **options), **settings))
    assert len(mine) == len(real) == 10
    for one, other in zip(mine, real, strict=True):
        assert_same(one["id"], other["id"], "id")


@pytest.mark.parametrize("version", ["upstream/0.4.0", "upstream/0.7.6", "0.7.7", "0.9.8", "0.12.1", "0.13.1"])
def test_datasets_of_every_version_have_petastorms_rows(petastorm: Any, version: str) -> None:
    url = f"file://{OLD / version}/dataset"
    with ours.make_reader(url) as mine, petastorm.make_reader(url) as theirs:
        assert_same_rows(mine, theirs)


def ngram(module: Any, schema: Any, **options: Any) -> Any:
    fields = {-1: [schema.id, schema.rgb], 0: [schema.id, schema.half, "ma.*"], 2: ["id"]}
    return module.NGram(fields, options.pop("delta_threshold", 1), schema.id, **options)


@pytest.mark.parametrize("options", [{}, {"timestamp_overlap": False}, {"delta_threshold": 0.5}], ids=str)
def test_sequences_within_row_groups_are_petastorms(petastorm: Any, everything: str, options: dict[str, Any]) -> None:
    from petastorm import ngram as theirs
    from petastorm.etl.dataset_metadata import get_schema_from_dataset_url

    mine_schema = ours.make_reader(everything).schema
    real_schema = get_schema_from_dataset_url(everything)
    # Where the timestamp falls by a whole row group no sample goes over the border, and both have the same.
    with (
        ours.make_reader(everything, ngram(ours, mine_schema, **options)) as mine,
        petastorm.make_reader(everything, ngram(theirs, real_schema, **options)) as real,
    ):
        found, wanted = ({int(one[-1].id): one for one in reader} for reader in (mine, real))
    if options.get("timestamp_overlap", True):
        # Four rows a sample and a row group: there is one in each, and those over the borders besides.
        assert set(wanted) <= set(found)
        assert len(found) == (0 if options else 37)
    for first, sample in wanted.items():
        if first in found:
            assert list(found[first]) == list(sample) == [-1, 0, 1, 2]
            for offset, row in sample.items():
                assert sorted(found[first][offset]._fields) == sorted(row._fields)
                for name in row._fields:
                    assert_same(getattr(found[first][offset], name), getattr(row, name), f"{first} {offset} {name}")


COLLATED: list[list[Any]] = [
    [{"x": np.float32(1), "price": Decimal("1.5"), "name": "a"}, {"x": np.float32(2), "price": Decimal("2.5"), "name": "b"}],
    [{"in": {"price": Decimal(1), "array": np.arange(3)}}, {"in": {"price": Decimal(2), "array": np.arange(3)}}],
    [(Decimal(1), 2, b"c"), (Decimal(3), 4, b"d")],
    [[1, [Decimal(2)]], [3, [Decimal(4)]]],
    [torch.zeros(2), torch.ones(2)],
    ["a", "b"],
    [1.5, 2.5],
]


@pytest.mark.parametrize("batch", COLLATED, ids=range(len(COLLATED)))
def test_decimals_are_collated_as_by_petastorm(petastorm: Any, batch: list[Any]) -> None:
    from petastorm.pytorch import decimal_friendly_collate as theirs

    def compare(mine: Any, real: Any) -> None:
        if isinstance(real, (dict, list)):
            assert type(mine) is type(real)
            assert len(mine) == len(real)
            for key in real if isinstance(real, dict) else range(len(real)):
                compare(mine[key], real[key])
        else:
            assert_same(mine, real, "collated")

    compare(decimal_friendly_collate(batch), theirs(batch))
