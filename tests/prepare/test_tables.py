"""The table job: labels, joins, vocabularies, statistics and types."""

import datetime
import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from browser import dom_of, needs_browser
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bigdata_ml.dataset import Dataset, Manifest, collect_garbage, validate
from bigdata_ml.dataset.layout import QUALITY, QUALITY_NUMBERS
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import SplitRule, TableJob, assign_split, prepare_table
from bigdata_ml.reader import ReadOptions, decode_batch, open_reader
from bigdata_ml.schema import Codec, NullPolicy

pytestmark = pytest.mark.spark

ORDERS, UNKNOWN_DELAY = 120, 7
COLOURS = ("red", "green", "blue")


def order(index: int) -> str:
    delay = "NA" if index < UNKNOWN_DELAY else index % 13
    shop = "" if index % 11 == 0 else f"s{index % 9}"
    colour = f"odd{index}" if index % 20 == 0 else COLOURS[index * index % 3]
    weight = index / 7 if index % 5 else "NA"
    member = "true" if index % 3 else "false"
    # The values of CSV: quotes and commas in text, null as NA, an hour with its zone.
    note = f'"say ""{index % 2}"", so"'
    day, hour = f"2024-02-{index % 28 + 1:02d}", f"2024-01-01T{index % 24:02d}:00:00+02:00"
    return f"{index},g{index % 17},{shop},{colour},{note},{weight},{index % 4},{member},{day},{hour},{delay},p{index % 3}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of two CSV files of orders, and shops: s0 to s4, and one without name."""
    place = tmp_path_factory.mktemp("tables")
    header = "id,group,shop,colour,note,weight.kg,size,member,day,at,delay,place"
    for name, indices in (("2023/a b", range(50)), ("2024/b", range(50, ORDERS))):
        path = place / "orders" / f"{name}.csv"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join([header, *map(order, indices)]) + "\n")
    shops = [f"s{index},{COLOURS[index % 3]},{index * 10}" for index in range(5)]
    (place / "shops.csv").write_text("\n".join(["name,colour,staff", *shops, ",red,1", ",green,2"]) + "\n")
    return place


def job(place: Path, name: str, **changes: Any) -> TableJob:
    defaults: dict[str, Any] = {
        "source": f"{place}/orders",
        "dataset": f"{place}/{name}",
        "label": "late=delay > 5",
        "drop": ("known_later:delay", "useless:id"),
        "join": (f"{place}/shops.csv:shop=name",),
        "categorical": "size",
        "split_key": "group",
        "null_value": "NA",
        "min_count": 2,
        "max_vocabulary": 5,
    }
    return TableJob(**{**defaults, **changes})


@pytest.fixture(scope="module")
def published(spark: SparkSession, place: Path) -> Dataset:
    prepare_table(spark, job(place, "published"))
    return Dataset.open(f"{place}/published")


@pytest.fixture(scope="module")
def manifest(published: Dataset) -> Manifest:
    assert published.manifest is not None
    return published.manifest


def rows_of(dataset: Dataset) -> list[dict[str, Any]]:
    table = pads.dataset(dataset.url, format="parquet", partitioning="hive").to_table()
    return list(table.to_pylist())


@pytest.fixture(scope="module")
def rows(published: Dataset) -> list[dict[str, Any]]:
    return rows_of(published)


def train(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row[name] for row in rows if row["split"] == "train"]


def test_every_row_is_kept_or_refused(manifest: Manifest, rows: list[dict[str, Any]]) -> None:
    assert manifest.cleaning is not None
    assert (manifest.cleaning.found, manifest.cleaning.kept) == (ORDERS, ORDERS - UNKNOWN_DELAY)
    assert manifest.cleaning.refused == {"label_missing": UNKNOWN_DELAY}
    assert len(rows) == manifest.rows == ORDERS - UNKNOWN_DELAY


def test_quarantine_holds_refused_rows_as_json_with_their_file(published: Dataset, place: Path) -> None:
    refused = published.quarantine().to_pylist()
    assert sorted(json.loads(row["row"])["id"] for row in refused) == list(range(UNKNOWN_DELAY))
    assert {(row["reason"], row["detail"]) for row in refused} == {("label_missing", "late is null")}
    assert {row["source"] for row in refused} == {f"file:{place}/orders/2023/a b.csv"}


def test_the_label_is_the_expressions_value(manifest: Manifest, rows: list[dict[str, Any]]) -> None:
    expected = sorted(index % 13 > 5 for index in range(UNKNOWN_DELAY, ORDERS))
    assert sorted(row["late"] for row in rows) == expected
    assert manifest.vocabularies["late"].values == (False, True)
    assert sum(manifest.vocabularies["late"].counts) == len(train(rows, "late"))


def test_columns_are_dropped_and_the_manifest_names_the_rules(published: Dataset, manifest: Manifest) -> None:
    assert not {"delay", "id"} & set(published.schema.names)
    assert manifest.cleaning is not None
    assert manifest.cleaning.rules["drop known_later"] == "delay"


def test_text_with_quotes_and_commas_is_read_correctly(rows: list[dict[str, Any]]) -> None:
    assert {row["note"] for row in rows} == {'say "0", so', 'say "1", so'}


def test_a_join_is_counted_and_null_keys_match_nothing(manifest: Manifest) -> None:
    shops = ["" if index % 11 == 0 else f"s{index % 9}" for index in range(ORDERS)]
    matched = sum(shop in {"s0", "s1", "s2", "s3", "s4"} for shop in shops)
    assert manifest.provenance["joins"] == [
        {"name": "shops", "keys": "shop=name", "rows": ORDERS, "matched": matched, "unmatched": ORDERS - matched, "multiplied": 0}
    ]


def test_joined_columns_have_the_tables_name_as_prefix(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        known = row["shop"] in {"s0", "s1", "s2", "s3", "s4"}
        assert row["shops_staff"] == (int(row["shop"][1:]) * 10 if known else None)
        assert row["shops_colour"] == (COLOURS[int(row["shop"][1:]) % 3] if known else None)


def test_a_vocabulary_counts_the_train_split_without_rare_values(manifest: Manifest, rows: list[dict[str, Any]]) -> None:
    vocabulary = manifest.vocabularies["colour"]
    values = train(rows, "colour")
    assert vocabulary.values == tuple(sorted(value for value in set(values) if values.count(value) >= 2))
    assert vocabulary.counts == tuple(values.count(value) for value in vocabulary.values)
    assert (vocabulary.unknown, vocabulary.rare) == (True, len({value for value in values if values.count(value) < 2}))


def test_a_vocabulary_holds_the_most_frequent_values(manifest: Manifest, rows: list[dict[str, Any]]) -> None:
    values = train(rows, "group")
    vocabulary = manifest.vocabularies["group"]
    most = sorted(set(values), key=lambda value: (-values.count(value), value))[:5]
    assert vocabulary.values == tuple(sorted(most))
    assert vocabulary.rare == len(set(values)) - 5


def test_whole_numbers_and_booleans_can_be_categories(published: Dataset, manifest: Manifest) -> None:
    assert manifest.vocabularies["size"].values == (0, 1, 2, 3)
    assert manifest.vocabularies["member"].values == (False, True)
    assert published.schema["size"].vocabulary


def test_statistics_are_those_of_the_known_train_values(manifest: Manifest, rows: list[dict[str, Any]]) -> None:
    statistics = manifest.statistics["weight.kg"]
    known = np.array([value for value in train(rows, "weight.kg") if value is not None])
    assert (statistics.count, statistics.nulls) == (len(known), len(train(rows, "weight.kg")) - len(known))
    assert np.allclose([statistics.mean[0], statistics.std[0]], [known.mean(), known.std()], rtol=1e-9)
    assert (statistics.least, statistics.greatest) == (known.min(), known.max())
    assert not {"size", "late", "colour"} & manifest.statistics.keys()


def test_a_column_called_place_is_an_ordinary_column(rows: list[dict[str, Any]]) -> None:
    assert {row["place"] for row in rows} == {"p0", "p1", "p2"}


def test_dates_and_hours_with_zones_are_kept(published: Dataset, rows: list[dict[str, Any]]) -> None:
    assert published.schema["day"].type == pa.date32()
    assert published.schema["at"].type == pa.timestamp("us", "UTC")
    first = datetime.datetime(2023, 12, 31, 22, tzinfo=datetime.timezone.utc)
    assert {row["at"] for row in rows} == {first + datetime.timedelta(hours=hour) for hour in range(24)}


def test_rows_of_one_key_are_never_in_two_splits(rows: list[dict[str, Any]]) -> None:
    splits = {(row["group"], row["split"]) for row in rows}
    assert len(splits) == 17
    assert {split for _, split in splits} >= {"train", "test"}


@needs_browser
def test_a_browser_shows_the_quality_page(published: Dataset, tmp_path: Path) -> None:
    dom = dom_of(Path(published.location.path) / QUALITY, tmp_path / "profile")
    for heading in ("Before and after", "Joins", "Splits and classes", "Vocabularies", "Statistics", "Provenance"):
        assert f"<h2>{heading}</h2>" in dom
    assert dom.count("<svg ") >= 3


def test_the_quality_numbers_agree_with_the_manifest(published: Dataset, manifest: Manifest) -> None:
    numbers = json.loads((published.location / QUALITY_NUMBERS).read_bytes())
    assert (numbers["found"], numbers["kept"], numbers["refused"]) == (ORDERS, manifest.rows, {"label_missing": UNKNOWN_DELAY})
    assert numbers["joins"] == manifest.provenance["joins"]
    assert numbers["splits"] == {name: split.rows for name, split in manifest.splits.items()}


def test_spark_reads_what_pyarrow_reads(spark: SparkSession, published: Dataset, rows: list[dict[str, Any]]) -> None:
    assert validate(published.url) == []
    values = spark.read.parquet(published.url).toArrow().to_pylist()
    assert Counter(frozenset(row.items()) for row in values) == Counter(frozenset(row.items()) for row in rows)


def test_the_content_is_the_same_however_spark_cuts_the_work(spark: SparkSession, place: Path, manifest: Manifest) -> None:
    settings = {"spark.sql.files.maxPartitionBytes": "2000", "spark.sql.execution.arrow.maxRecordsPerBatch": "3"}
    before = {key: str(spark.conf.get(key)) for key in settings}
    try:
        for key, value in settings.items():
            spark.conf.set(key, value)
        again = prepare_table(spark, job(place, "again"))
    finally:
        for key, value in before.items():
            spark.conf.set(key, value)
    assert again.content == manifest.content


def test_parquet_types_keep_their_values(spark: SparkSession, place: Path) -> None:
    table = pa.table(
        {
            "count": pa.array([1, None, 3, 4], pa.int16()),
            "price": pa.array([Decimal("1.50"), None, Decimal("2.25"), Decimal("0.00")], pa.decimal128(7, 2)),
            "open": [True, None, False, True],
            "at": pa.array([0, None, 2, 3], pa.timestamp("us", "Europe/Berlin")),
            "naive": pa.array([0, 1, 2, 3], pa.timestamp("us")),
            "m": pa.array([[("a", 1)]] * 4, pa.map_(pa.string(), pa.int32())),
            "y": ["2", "10", "02", "10"],
        }
    )
    pq.write_table(table, place / "types.parquet")
    options = {"label": "y", "split": "train=1", "drop": ("m",), "split_key": "", "join": (), "categorical": ""}
    prepare_table(spark, job(place, "types", source=f"{place}/types.parquet", min_count=1, **options))
    dataset = Dataset.open(f"{place}/types")
    assert {field.name: field.null for field in dataset.schema} == {
        "count": NullPolicy.MASK, "price": NullPolicy.NAN, "open": NullPolicy.UNKNOWN, "at": NullPolicy.MASK,
        "naive": NullPolicy.REFUSE, "y": NullPolicy.REFUSE,
    }  # fmt: skip
    rows = sorted(rows_of(dataset), key=lambda row: row["naive"])
    expected = table.drop_columns("m").to_pylist()
    assert [{name: row[name] for name in expected[0]} for row in rows] == expected
    assert dataset.vocabularies["y"].values == ("02", "2", "10")


def test_json_lines_and_key_directories_are_tables(spark: SparkSession, place: Path) -> None:
    for year in (2013, 2014):
        path = place / "json" / f"year={year}" / "a.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps({"a": index, "y": index % 2, "s": {"b": 1}}) + "\n" for index in range(5)))
    options = {"label": "y", "split": "train=1", "drop": ("s",), "split_key": "a", "join": (), "categorical": ""}
    prepare_table(spark, job(place, "from-json", source=f"{place}/json", **options))
    values = sorted((row["year"], row["a"]) for row in rows_of(Dataset.open(f"{place}/from-json")))
    assert values == [(year, index) for year in (2013, 2014) for index in range(5)]


def test_larger_numbers_in_the_table_move_no_row_between_splits(spark: SparkSession) -> None:
    rule = SplitRule(key=("id",), seed=3)
    wide = spark.range(50)
    narrow = wide.select(F.col("id").cast("int"))
    splits = [
        [row["split"] for row in rows.transform(assign_split, rule, mix_by=["id"]).orderBy("id").collect()]
        for rows in (wide, narrow)
    ]
    assert splits[0] == splits[1]


def test_a_column_of_lists_is_stored_and_decoded(spark: SparkSession, tmp_path: Path) -> None:
    lines = [json.dumps({"tags": [index, index + 1] if index % 4 else None, "late": index % 2 == 0}) for index in range(60)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    prepare_table(spark, TableJob(source=f"{tmp_path}/rows.jsonl", dataset=f"{tmp_path}/lists", label="late"))
    split = Dataset.open(f"{tmp_path}/lists").split("train")
    (batch,) = open_reader(split, ReadOptions(columns=("tags",)), global_batch_size=split.rows)
    columns = decode_batch(batch, split.schema.select(["tags"]), {})
    assert split.schema["tags"].codec is Codec.LIST
    assert all(len(tags) == (2 if known else 0) for tags, known in zip(columns["tags"], columns["tags_valid"], strict=True))


def test_a_label_made_of_nan_is_missing(spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"delay": [1.0, 20.0, float("nan"), None] * 10, "x": range(40)}), tmp_path / "rows.parquet")
    manifest = prepare_table(
        spark, TableJob(source=f"{tmp_path}/rows.parquet", dataset=f"{tmp_path}/nan", label="late=delay > 15")
    )
    assert manifest.cleaning is not None
    assert dict(manifest.cleaning.refused) == {"label_missing": 20}


def test_nested_columns_are_flattened_and_named_keys_of_maps_are_columns(spark: SparkSession, tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.int32())
    table = pa.table(
        {
            "place": pa.array([{"lat": 1.5, "name": "Ulm"}, None, {"lat": 2.5, "name": "Bonn"}] * 4),
            "counts": pa.array([[("a", 1)], [("a", 2), ("b", 3)], None] * 4, kind),
            "y": [0, 1, 1] * 4,
        }
    )
    pq.write_table(table, tmp_path / "nested.parquet")
    nested = TableJob(
        source=f"{tmp_path}/nested.parquet", dataset=f"{tmp_path}/out", label="y", split="train=1", map_keys=("counts:a",)
    )
    prepare_table(spark, nested)
    dataset = Dataset.open(f"{tmp_path}/out")
    assert set(dataset.schema.names) == {"place_lat", "place_name", "counts_a", "y"}
    values = {(row["place_lat"], row["place_name"], row["counts_a"]) for row in rows_of(dataset)}
    assert values == {(1.5, "Ulm", 1), (None, None, 2), (2.5, "Bonn", None)}


def test_a_job_that_refuses_too_many_rows_publishes_nothing(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,y\n" + "".join(f"{row},{'' if row % 4 == 0 else row % 2}\n" for row in range(40)))
    gated = TableJob(source=f"{tmp_path}/t.csv", dataset=f"{tmp_path}/out", label="y", max_refused=("label_missing=20%",))
    with pytest.raises(JobRefused, match=r"10 of 40 rows .*label_missing .*25\.00.*20 %"):
        prepare_table(spark, gated)
    assert not (tmp_path / "out").exists()
    prepare_table(spark, replace(gated, max_refused=("label_missing=25%", "10")))


def test_a_limit_on_a_rule_counts_filled_and_warned_rows(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_text("a,b,y\n" + "".join(f"{row},{row},{2 if row == 39 else row % 2}\n" for row in range(40)))
    ranges = "columns: {a: {range: {max: 29, otherwise: fill, fill: 0}}, b: {range: {max: 35, otherwise: warn}}}"
    (tmp_path / "rules.yaml").write_text(ranges)
    gated = TableJob(source=f"{tmp_path}/t.csv", dataset=f"{tmp_path}/out", label="y", rules=f"{tmp_path}/rules.yaml")
    for limit, counted in (("a.range=20%", r"10 of 40 rows .*a\.range"), ("b.range=3", r"4 of 40 rows .*b\.range")):
        with pytest.raises(JobRefused, match=counted):
            prepare_table(spark, replace(gated, max_refused=(limit,)))
    with pytest.raises(ValueError, match=r"'a\.rang'.* a\.range, b\.range, label_missing"):
        prepare_table(spark, replace(gated, max_refused=("a.rang=1%",)))
    assert not (tmp_path / "out").exists()
    prepare_table(spark, replace(gated, max_refused=("a.range=25%", "b.range=4", "0")))
    classes_of: dict[str, set[int]] = {}
    for row in pads.dataset(f"{tmp_path}/out", format="parquet", partitioning="hive").to_table().to_pylist():
        classes_of.setdefault(row["split"], set()).add(row["y"])
    log = " ".join(capsys.readouterr().err.split())
    for name, classes in classes_of.items():
        warning = f"the split {name} has no rows of {3 - len(classes)} of 3 classes of y: "
        assert (warning in log) == (len(classes) < 3)
    assert sum(2 in classes for classes in classes_of.values()) == 1


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    source = "jdbc:postgresql://host/db?user=me&Password=secret#t"
    with pytest.raises(ValueError, match="JDBC_USER") as error:
        TableJob(source=source, dataset="out", label="y")
    assert "secret" not in str(error.value)


def test_a_new_version_replaces_the_old_one(spark: SparkSession, tmp_path: Path) -> None:
    place = tmp_path / "t.csv"
    again = TableJob(source=str(place), dataset=f"{tmp_path}/out", label="y", split="train=1", replace=True)
    for rows in (30, 20):
        place.write_text("a,y\n" + "".join(f"{row},{row % 2}\n" for row in range(rows)))
        prepare_table(spark, again)
        assert Dataset.open(f"{tmp_path}/out").rows == rows
        assert validate(f"{tmp_path}/out") == []
    collect_garbage(f"{tmp_path}/out")
    assert sorted(row["a"] for row in rows_of(Dataset.open(f"{tmp_path}/out"))) == list(range(20))
    numbers = json.loads((tmp_path / "out" / QUALITY_NUMBERS).read_bytes())
    assert [shift["what"] for shift in numbers["drift"]] == ["a"]
    assert len(json.loads((tmp_path / "out/_bigdata_ml/history.json").read_bytes())) == 2
