"""What Spark itself reads from real stores: tables, labels of images, SequenceFiles; and a job whose every URL is there."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from bigdata_ml.dataset import Dataset, validate
from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare import TableJob, prepare_table, profile_table
from bigdata_ml.prepare.sources import images, sequence_files, table
from bigdata_ml.storage import locate

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

every_store_of_sparks = pytest.mark.parametrize("store", ["hdfs", "s3"])

ROWS = pa.table({"id": range(6), "name": [f"ü {one}" for one in range(6)]})
WANTED = [(row["id"], row["name"]) for row in ROWS.to_pylist()]
PICTURES = {"cats/a b.png": b"1" * 100, "dogs/deep/x=1.png": b"2"}
LABELS = {"cats/a b.png": "tabby", "dogs/deep/x=1.png": None}


def read(session: SparkSession, url: str) -> dict[str, list[tuple[int, str]]]:
    """Return the rows of a table by the file that Spark says they come from."""
    found: dict[str, list[tuple[int, str]]] = {}
    for row in table(session, url, file_column="from").orderBy("id").collect():
        found.setdefault(row["from"], []).append((row["id"], row["name"]))
    return found


@every_store_of_sparks
def test_a_table_of_every_format_is_read_and_its_files_have_the_urls_that_were_given(
    session: SparkSession, place: str, tmp_path: Path
) -> None:
    root = locate(place)
    (root / "csv/1[a].csv").write_bytes("id,name\n0,ü 0\n1,ü 1\n2,ü 2\n".encode())
    (root / "csv/a b+%20.csv").write_bytes("name,id\nü 3,3\nü 4,4\nü 5,5\n".encode())
    (root / "lines.jsonl").write_bytes("".join(json.dumps(row) + "\n" for row in ROWS.to_pylist()).encode())
    for number, part in enumerate((ROWS.slice(0, 2), ROWS.slice(2))):
        pq.write_table(part, tmp_path / "part")
        (root / f"parquet/{number}.parquet").write_bytes((tmp_path / "part").read_bytes())
    orc.write_table(ROWS, tmp_path / "part")
    (root / "rows.orc").write_bytes((tmp_path / "part").read_bytes())

    assert read(session, f"{place}/csv") == {f"{place}/csv/1[a].csv": WANTED[:3], f"{place}/csv/a b+%20.csv": WANTED[3:]}
    assert read(session, f"{place}/lines.jsonl") == {f"{place}/lines.jsonl": WANTED}
    parts = {f"{place}/parquet/0.parquet": WANTED[:2], f"{place}/parquet/1.parquet": WANTED[2:]}
    assert read(session, f"{place}/parquet") == parts
    assert read(session, f"{place}/rows.orc") == {f"{place}/rows.orc": WANTED}


@every_store_of_sparks
def test_images_have_the_labels_of_a_file_there(session: SparkSession, place: str) -> None:
    root = locate(place)
    for path, data in PICTURES.items():
        (root / "files" / path).write_bytes(data)
    (root / "labels.csv").write_bytes(b"path,label\ncats/a b.png,tabby\n")
    (root / "labels.jsonl").write_bytes(b'{"path": "cats/a b.png", "label": "tabby"}\n')
    for labels in ("labels.csv", "labels.jsonl"):
        rows = images(session, f"{place}/files", label_from=f"{place}/{labels}").rows
        assert {row["path"]: row["label"] for row in rows.collect()} == LABELS


@every_store_of_sparks
def test_a_sequence_file_is_read(session: SparkSession, place: str, tmp_path: Path) -> None:
    pairs = session.sparkContext.parallelize([(path, bytearray(data)) for path, data in PICTURES.items()], 2)
    pairs.saveAsNewAPIHadoopFile(
        f"file://{tmp_path}/seq",
        "org.apache.hadoop.mapreduce.lib.output.SequenceFileOutputFormat",
        "org.apache.hadoop.io.Text",
        "org.apache.hadoop.io.BytesWritable",
    )
    for part in (tmp_path / "seq").glob("part-*"):
        (locate(place) / part.name).write_bytes(part.read_bytes())
    found = sequence_files(session, place)
    assert (found.files, found.bytes) == (2, 101)
    assert {row["path"]: (row["label"], bytes(row["content"])) for row in found.rows.collect()} == {
        "cats/a b.png": ("cats", b"1" * 100),
        "dogs/deep/x=1.png": ("deep", b"2"),
    }


RULES = """
columns:
  shop: {{references: {{table: '{place}/shops.csv', column: shop}}}}
"""


@every_store_of_sparks
def test_a_table_a_join_rules_and_the_dataset_may_all_be_there(session: SparkSession, place: str) -> None:
    root = locate(place)
    orders = "".join(f"{number},{'xyz'[number % 3]},{'yes' if number % 4 else 'no'}\n" for number in range(60))
    (root / "orders/all.csv").write_bytes(f"id,shop,late\n{orders}".encode())
    (root / "shops.csv").write_bytes(b"shop,city\nx,Ulm\ny,Bonn\n")
    (root / "rules.yaml").write_bytes(RULES.format(place=place).encode())
    job = TableJob(
        source=f"{place}/orders",
        dataset=f"{place}/dataset",
        label="late",
        split_key="id",
        join=(f"{place}/shops.csv:shop=shop",),
        rules=f"{place}/rules.yaml",
        max_refused=("shop.references=20",),
    )
    assert prepare_table(session, job).rows == 40
    assert validate(job.dataset) == []
    dataset = Dataset.open(job.dataset)
    assert {"id", "shop", "shops_city"} <= set(dataset.schema.names)
    refused = dataset.quarantine().to_pylist()
    assert {(row["source"], row["reason"]) for row in refused} == {(f"{place}/orders/all.csv", "shop.references")}
    assert dataset.manifest is not None
    assert dataset.manifest.provenance["source"] == job.source
    assert profile_table(session, job.source).rows == 60


@pytest.mark.parametrize("store", ["webhdfs"])
def test_what_sparks_hadoop_cannot_read_is_refused_with_the_way_out(session: SparkSession, place: str) -> None:
    (locate(place) / "a.parquet").write_bytes(b"PAR1")
    for read in (lambda: table(session, f"{place}/a.parquet"), lambda: sequence_files(session, f"{place}/a.parquet")):
        with pytest.raises(JobRefused, match=r"webhdfs://.*/a\.parquet: .*cannot read WebHDFS.*give the place as hdfs://"):
            read()
