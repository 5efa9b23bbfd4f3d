"""Which files of a directory are a dataset's: each is read, refused by name, or counted with its reason."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import publish_dataset, replace_dataset

from bigdata_ml.dataset import Dataset, adopt, collect_garbage, validate
from bigdata_ml.errors import BigDataMLError, DatasetInvalid, DatasetNotFound
from bigdata_ml.reader import ReadOptions, open_reader


def write(root: Path, **files: list[int]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name, ids in files.items():
        pq.write_table(pa.table({"id": ids}), root / name)
    return root


def ids_of(dataset: Dataset) -> list[int]:
    batches = open_reader(dataset, ReadOptions(shuffle=False, remainder="exact"), global_batch_size=2)
    return [row["id"] for batch in batches for row in batch.to_pylist() if not row["repeated"]]


def test_parquet_files_of_every_ending_are_read_in_natural_order(tmp_path: Path) -> None:
    names = ["000003_0", "a.2.parquet", "a.10.PARQUET", "b.parq", "c.pq", "d.parquet.snappy"]
    write(tmp_path / "d", **{name: [number] for number, name in enumerate(names)})
    (tmp_path / "d/_SUCCESS").touch()
    (tmp_path / "d/.a.crc").write_text("x")
    dataset = Dataset.open(tmp_path / "d")
    assert ids_of(dataset) == list(range(6))
    assert dict(dataset.passed_over) == {"hidden": 2}


def test_names_in_warnings_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "d/train").mkdir(parents=True)
    for name in ("train/\x1b[2J.parquet", "other\n.parquet"):
        pq.write_table(pa.table({"id": [1]}), tmp_path / "d" / name)
    (tmp_path / "d/read\x1b[1mme.md").write_text("hello")
    with pytest.warns(UserWarning, match="no Parquet files|is named as a split") as warned:
        dataset = Dataset.open(tmp_path / "d")
    assert dataset.rows == 2
    texts = [str(one.message) for one in warned]
    assert "read\\x1b[1mme.md" in texts[0]
    assert "train/\\x1b[2J.parquet is named as a split, other\\n.parquet is not" in texts[1]
    assert not any("\x1b" in text or "\n" in text for text in texts)


def test_files_that_are_no_parquet_and_files_that_are_linked_twice_are_warned_of_by_name(tmp_path: Path) -> None:
    write(tmp_path / "d", **{"a.parquet": [1]})
    (tmp_path / "d/readme.md").write_text("hello")
    os.symlink(".", tmp_path / "d/latest")
    os.symlink("a.parquet", tmp_path / "d/b.parquet")
    with pytest.warns(UserWarning, match="no Parquet files|read once") as warned:
        dataset = Dataset.open(tmp_path / "d")
    assert dataset.rows == 1
    assert dict(dataset.passed_over) == {"not_parquet": 1, "linked_again": 2}
    texts = [str(one.message) for one in warned]
    assert "readme.md" in texts[0]
    assert "b.parquet is a.parquet, latest is ." in texts[1]


@pytest.mark.parametrize("kind", ["dangling", "fifo", "not_utf8"])
def test_what_cannot_be_read_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "d", **{"a.parquet": [1]})
    if kind == "dangling":
        os.symlink("nothing", tmp_path / "d/b.parquet")
    elif kind == "fifo":
        os.mkfifo(tmp_path / "d/b.parquet")
    else:
        os.rename(tmp_path / "d/a.parquet", os.fsencode(tmp_path) + b"/d/b\xff.parquet")
    with pytest.raises(DatasetInvalid, match="/d/b"):
        Dataset.open(tmp_path / "d")


@pytest.mark.parametrize(
    ("mark", "kind"),
    [("_delta_log/0.json", "Delta"), (".hoodie/hoodie.properties", "Hudi"), ("metadata/v2.metadata.json", "Iceberg")],
)
def test_tables_of_other_formats_are_refused_by_name_also_their_parts(tmp_path: Path, mark: str, kind: str) -> None:
    table = tmp_path / "tables/t"
    write(table / "data/key=1", **{"a.parquet": [1]})
    (table / mark).parent.mkdir()
    (table / mark).write_text("{}")
    for place in (tmp_path / "tables", table, table / "data", table / "data/key=1"):
        if mark.startswith(("_", ".")) and place.name == "key=1":
            continue
        for command in (Dataset.open, adopt):
            with pytest.raises(DatasetInvalid, match=rf"t: an? {kind} table .* hive:TABLE"):
                command(place)
    with pytest.warns(UserWarning, match=f"one file of .*{kind}") if kind == "Iceberg" else pytest.raises(DatasetInvalid):
        Dataset.open(table / "data/key=1/a.parquet" if kind == "Iceberg" else table)


def test_a_single_file_is_read_by_every_command_but_adopt(tmp_path: Path) -> None:
    file = write(tmp_path / "d", x=[3, 4]) / "x"
    assert ids_of(Dataset.open(file)) == [3, 4]
    assert validate(file) == []
    with pytest.raises(DatasetNotFound, match="a directory of its own"):
        adopt(file)


COMMANDS = """
import sys
from bigdata_ml.cli.commands import main
codes = []
for command in (["inspect"], ["head"], ["validate"], ["plan", "--global-batch-size", "2"], ["adopt", "--replace"], ["gc"]):
    codes.append(main([command[0], sys.argv[1], *command[1:]]))
print(codes)
"""


@pytest.mark.parametrize(
    "place", ["_bigdata_ml/manifest.json", "_bigdata_ml/row_groups.arrow", "quarantine", "data", "_common_metadata", ""]
)
def test_no_command_waits_for_a_fifo(tmp_path: Path, place: str) -> None:
    root = tmp_path / "d"
    dataset = publish_dataset(root)
    manifest = dataset.manifest
    assert manifest is not None
    path = {"quarantine": manifest.quarantine[0].path, "data": dataset.row_groups.files[0]}.get(place, place)
    if path:
        (root / path).unlink(missing_ok=True)
    else:
        root = tmp_path / "fifo"
    os.mkfifo(root / path)
    done = subprocess.run([sys.executable, "-c", COMMANDS, str(root)], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1].startswith("[")


def test_gc_deletes_nothing_behind_a_link(tmp_path: Path) -> None:
    publish_dataset(tmp_path / "d")
    replace_dataset(tmp_path / "d", 5)
    theirs = tmp_path / "theirs/a.20261126T101500-1a2b3c4d.arrow"
    theirs.parent.mkdir()
    theirs.write_text("theirs")
    quarantine = tmp_path / "d/_bigdata_ml/quarantine"
    for one in quarantine.iterdir():
        one.unlink()
    quarantine.rmdir()
    os.symlink("../../theirs", quarantine)
    collect_garbage(tmp_path / "d")
    assert theirs.read_text() == "theirs"


def test_files_outside_of_a_published_dataset_are_not_read(tmp_path: Path) -> None:
    root = tmp_path / "d"
    publish_dataset(root)
    os.rename(root / "split=train", tmp_path / "elsewhere")
    os.symlink("../elsewhere", root / "split=train")
    with pytest.raises(BigDataMLError, match="outside"):
        list(open_reader(Dataset.open(root).split("train"), ReadOptions(columns=("id",)), global_batch_size=2))
    assert any("outside" in str(one) for one in validate(root))
