"""What another user may not read on HDFS: the job names it, and what to do."""

import getpass
import os
import urllib.request
from pathlib import Path

import pytest
from native import Cluster
from prepare.refusals import refusals

from bigdata_ml.storage import locate

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]

# By what may not be read: the job's kind, and below the same directory its source and the files there.
JOBS = {
    "class/cat": ("images", "class", ("class/cat/1.png", "class/dog/2.png")),
    "picture/cat/1.png": ("images", "picture", ("picture/cat/1.png", "picture/dog/2.png")),
    "tars/2.tar": ("images", "tars", ("tars/1.tar", "tars/2.tar")),
    "folder": ("table", "folder", ("folder/1.csv",)),
    "csv/2.csv": ("table", "csv", ("csv/1.csv", "csv/2.csv")),
    "one.csv": ("table", "one.csv", ("one.csv",)),
    "jsonl/2.jsonl": ("table", "jsonl", ("jsonl/1.jsonl", "jsonl/2.jsonl")),
}
CASES = [(scheme, denied) for scheme in ("hdfs", "webhdfs") for denied in JOBS]
CONTENTS = {".png": b"no picture", ".tar": bytes(10240), ".csv": b"a,y\n1,0\n2,1\n", ".jsonl": b'{"a": 1, "y": 0}\n'}


def deny(cluster: Cluster, path: str) -> None:
    page = f"{cluster.namenode_page}/webhdfs/v1{path}?op=SETPERMISSION&permission=000&user.name={getpass.getuser()}"
    urllib.request.urlopen(urllib.request.Request(page, method="PUT")).close()


@pytest.fixture(scope="module")
def said(hadoop: Cluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each job was refused with, run by a user who owns nothing there, as it names what it may not read."""
    out, root = tmp_path_factory.mktemp("unreadable"), "/tests/unreadable"
    jobs = {}
    for scheme, denied in CASES:
        kind, source, files = JOBS[denied]
        store = f"{getattr(hadoop, scheme)}{root}/{scheme}"
        for name in files:
            (locate(store) / name).write_bytes(CONTENTS[Path(name).suffix])
        options = {"label": "y"} if kind == "table" else {"source_format": "archives" if "tar" in source else "files"}
        jobs[f"{scheme} {denied}"] = (kind, {"source": f"{store}/{source}", "dataset": f"{out}/{scheme}/{denied}", **options})
        deny(hadoop, f"{root}/{scheme}/{denied}")
    environment = {**os.environ, "HADOOP_USER_NAME": "stranger", "HADOOP_CONF_DIR": str(hadoop.conf_dir)}
    found = refusals(jobs, environment=environment)
    assert [path for path in out.rglob("*") if path.is_file()] == []
    return found


@pytest.mark.parametrize(("scheme", "denied"), CASES)
def test_what_another_user_may_not_read_is_named(said: dict[str, str], scheme: str, denied: str) -> None:
    kind, _, text = said[f"{scheme} {denied}"].partition(": ")
    assert kind in ("JobRefused", "StorageUnavailable")
    assert f"/{scheme}/{denied}" in text
    assert "Permission denied: user=stranger" in text
    assert text.endswith("; give the user that the job runs as the right to read it, or leave it out")
