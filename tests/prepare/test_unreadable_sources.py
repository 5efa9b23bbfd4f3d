"""Sources that may not be read, in whole or in part: the job names the file, and what to do."""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest

from prepare.pictures import save
from prepare.refusals import refusals

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

ROWS = pa.table({"a": range(40), "y": [index % 2 for index in range(40)]})
# The job by name: its kind, its source, what of it may not be read, and other options.
JOBS = {
    "a folder": ("images", "folder", "folder", {}),
    "a class": ("images", "class", "class/cat", {}),
    "a picture": ("images", "picture", "picture/cat/1.png", {}),
    "a folder above": ("images", "above/below", "above", {}),
    "labels as JSON": ("images", "pictures", "labels.json", {"label_from": "labels.json"}),
    "labels as CSV": ("images", "pictures", "labels.csv", {"label_from": "labels.csv"}),
    "one of two archives": ("images", "tar", "tar/2.tar", {"source_format": "archives"}),
    "one of two packed archives": ("images", "tar.gz", "tar.gz/2.tar.gz", {"source_format": "archives"}),
    "one of two files of CIFAR": ("images", "cifar", "cifar/data_batch_2.bin", {"source_format": "cifar"}),
    "the names of classes": ("images", "named", "named/batches.meta.txt", {"source_format": "cifar"}),
    "a SequenceFile": ("images", "a.seq", "a.seq", {"source_format": "sequence-files"}),
    "a folder of tables": ("table", "tables", "tables", {}),
    **{f"one of two {kind}": ("table", f"two-{kind}", f"two-{kind}/b.{kind}", {}) for kind in ("csv", "jsonl", "parquet", "orc")},
    **{
        f"one {kind}": ("table", f"one-{kind}/a.{kind}", f"one-{kind}/a.{kind}", {})
        for kind in ("csv", "jsonl", "parquet", "orc")
    },
    "rules": ("table", "readable", "rules.yaml", {"rules": "rules.yaml"}),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What JOBS read, as it is when all of it may be read; afterwards what may not is given back, to be deleted."""
    place = tmp_path_factory.mktemp("unreadable")
    for name in ("folder", "class", "picture", "above/below", "pictures"):
        for index in range(8):
            save(place / name / ("cat" if index % 2 else "dog") / f"{index}.png", index, 40, 40, 3)
    (place / "labels.json").write_text('{"cat/1.png": "cat"}')
    (place / "labels.csv").write_text("path,label\ncat/1.png,cat\n")
    for ending, mode in (("tar", "w"), ("tar.gz", "w:gz")):
        (place / ending).mkdir()
        for number in (1, 2):
            with tarfile.open(place / ending / f"{number}.{ending}", mode) as archive:  # type: ignore[call-overload]
                archive.add(place / "pictures", arcname="")
    (place / "cifar").mkdir()
    for number in (1, 2):
        (place / f"cifar/data_batch_{number}.bin").write_bytes(bytes(3073 * 4))
    shutil.copytree(place / "cifar", place / "named")
    (place / "named/batches.meta.txt").write_text("ant\nbee\n")
    (place / "a.seq").write_bytes(b"SEQ")
    for kind in ("csv", "jsonl", "parquet", "orc"):
        for folder, names in ((f"two-{kind}", "ab"), (f"one-{kind}", "a")):
            (place / folder).mkdir()
            for name in names:
                write(place / folder / f"{name}.{kind}")
    shutil.copytree(place / "two-csv", place / "tables")
    shutil.copytree(place / "two-csv", place / "readable")
    (place / "rules.yaml").write_text("columns: {}\n")
    yield place
    for _, _, denied, _ in JOBS.values():
        (place / denied).chmod(0o700)


def write(path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(ROWS, path)
    elif path.suffix == ".orc":
        orc.write_table(ROWS, path)
    elif path.suffix == ".csv":
        path.write_text("a,y\n" + "".join(f"{row['a']},{row['y']}\n" for row in ROWS.to_pylist()))
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS.to_pylist()))


@pytest.fixture(scope="module")
def said(sources: Path) -> dict[str, str]:
    jobs = {}
    for name, (kind, source, denied, options) in JOBS.items():
        here = {key: value if key == "source_format" else f"{sources}/{value}" for key, value in options.items()}
        label = {"label": "y"} if kind == "table" else {}
        jobs[name] = (kind, {"source": f"{sources}/{source}", "dataset": f"{sources}/out/{name}", **label, **here})
        (sources / denied).chmod(0)
    # Permissions do not bind root, unless these two rights are taken.
    before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    return refusals(jobs, environment=os.environ, before=before)


@pytest.mark.parametrize("name", JOBS)
def test_what_may_not_be_read_is_named(said: dict[str, str], sources: Path, name: str) -> None:
    kind, _, text = said[name].partition(": ")
    assert kind in ("JobRefused", "StorageUnavailable")
    assert f"{sources}/{JOBS[name][2]}" in text
    assert "ermission denied" in text
    assert text.endswith("; give the user that the job runs as the right to read it, or leave it out")
    assert len(text) < 600
    assert not (sources / "out" / name).exists()
