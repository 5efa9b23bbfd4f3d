"""Nested columns become plain ones by name; what cannot says why."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.tables.flatten import flatten, parse_map_keys

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

SCHEMA = (
    "id long, place struct<city: string, at: struct<lat: double, lon: double>>, tags array<string>, "
    "visits array<struct<day: string, rooms: int>>, weather map<string, double>, counts map<int, struct<n: long>>, "
    "price decimal(9,2), seen timestamp, ok boolean, `od.d name` struct<`in.ner`: int>"
)
ROWS: list[tuple[Any, ...]] = [
    (
        *(1, ("Ulm", (48.4, 10.0)), ["a", None], [("mon", 2), None], {"wind": 3.5, "rain": 0.0}, {7: (70,)}),
        *(Decimal("1.50"), datetime(2020, 1, 1), True, (5,)),
    ),
    (2, None, None, None, None, None, None, None, None, None),
    (3, ("Bonn", None), [], [], {}, {8: None}, None, None, False, (None,)),
]


def test_every_value_goes_to_a_plain_column_of_its_name(spark: "SparkSession") -> None:
    rows = spark.createDataFrame(ROWS, SCHEMA)
    flat = flatten(rows, map_keys={"weather": ("wind", "snow"), "counts": ("7",)})
    assert flat.columns == [
        *("id", "place_city", "place_at_lat", "place_at_lon", "tags", "visits_day", "visits_rooms"),
        *("weather_wind", "weather_snow", "counts_7_n", "price", "seen", "ok", "od.d name_in.ner"),
    ]
    first, nothing, third = (tuple(row) for row in flat.orderBy("id").collect())
    assert first == (
        *(1, "Ulm", 48.4, 10.0, ["a", None], ["mon", None], [2, None], 3.5, None, 70, Decimal("1.50"), datetime(2020, 1, 1)),
        *(True, 5),
    )
    assert nothing == (2, *[None] * 13)
    assert third == (3, "Bonn", None, None, [], [], [], *[None] * 5, False, None)
    assert flatten(flat).columns == flat.columns


def test_vectors_of_mllib_become_arrays(spark: "SparkSession") -> None:
    from pyspark.ml.linalg import Vectors

    rows = spark.createDataFrame([(1, Vectors.dense(1.0, 0.0)), (2, Vectors.sparse(2, [1], [3.0])), (3, None)], ["id", "v"])
    assert [row["v"] for row in flatten(rows).orderBy("id").collect()] == [[1.0, 0.0], [0.0, 3.0], None]


@pytest.mark.parametrize(
    ("schema", "keys", "said"),
    [
        ("m map<string, int>", {}, r"column 'm' is a map: .*--map-keys m:KEY,KEY; in its first rows there are b, a; or drop it"),
        ("m map<string, int>", {"m": ("a",), "x": ("b",)}, r"--map-keys names 'x', which is no column that holds a map"),
        ("s struct<m: map<string, int>>", {}, r"column 's_m' is a map"),
        ("a struct<b: int>, a_b int", {}, r"two columns would be called 'a_b'"),
        ("a array<array<int>>", {}, r"column 'a' holds arrays of array<int>"),
        ("a interval day to second", {}, r"column 'a' is of type interval day to second, which has no plain form"),
    ],
)
def test_what_has_no_plain_form_is_named_with_the_way_out(
    spark: "SparkSession", schema: str, keys: dict[str, tuple[str, ...]], said: str
) -> None:
    rows = spark.createDataFrame([], schema)
    if "m map" in schema and not keys:
        rows = spark.createDataFrame([({"a": 1, "b": 2},), ({"b": 3},)], schema)
    with pytest.raises(JobRefused, match=said):
        flatten(rows, map_keys=keys)


def test_keys_of_maps_are_named_by_column() -> None:
    assert parse_map_keys(["a:x", "b:y,z"]) == {"a": ("x",), "b": ("y", "z")}
    for text in ("a", "a:", ":x", "a:x,,y"):
        with pytest.raises(ValueError, match="map_keys is COLUMN:KEY"):
            parse_map_keys([text])
