"""Places: URLs to filesystems and paths, and what is hidden."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage import is_hidden, list_tree, locate
from bigdata_ml.storage.client import OnePerProcess


@pytest.mark.parametrize("url", ["{}", "{}/", "file://{}", "file:{}", "file://localhost{}/"])
def test_ways_to_write_a_local_path(tmp_path: Path, url: str) -> None:
    place = locate(url.format(tmp_path))
    assert (place.path, place.is_local, place.is_directory()) == (str(tmp_path), True, True)


def test_a_path_object_and_a_relative_path_are_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate(Path("a/b")).path == locate("file:a/b").path == str(tmp_path / "a/b")


def test_a_file_url_is_unquoted_and_a_path_is_not() -> None:
    assert locate("file:///a%20b").path == "/a b"
    assert locate("/a%20b").path == "/a%20b"


@pytest.mark.parametrize("url", ["gs://bucket/x", "http://host/x", "S4://x/y"])
def test_an_unknown_scheme_is_refused_with_those_there_are(url: str) -> None:
    with pytest.raises(ValueError, match="the scheme must be one of file, hdfs, webhdfs, s3, or a local path"):
        locate(url)


@pytest.mark.parametrize("url", ["hdfs://host:8020", "hdfs://host/", "s3://", "file:///"])
def test_an_url_without_a_path_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="names no path"):
        locate(url)


def test_a_file_url_that_names_a_host_is_refused_with_the_likely_meaning() -> None:
    with pytest.raises(ValueError, match="names the host 'data'; write file:///data/flowers"):
        locate("file://data/flowers")


def test_an_empty_url_is_refused() -> None:
    with pytest.raises(ValueError, match="names no path"):
        locate("")


def test_a_place_knows_its_name_its_parent_and_what_lies_below(tmp_path: Path) -> None:
    place = locate(tmp_path) / "a/b"
    assert (place.name, place.parent.path, place.url) == ("b", str(tmp_path / "a"), str(tmp_path / "a/b"))


def test_writing_makes_the_directories_above(tmp_path: Path) -> None:
    place = locate(tmp_path) / "a/b/c.bin"
    place.write_bytes(b"abc")
    assert (place.read_bytes(), place.exists(), place.is_directory()) == (b"abc", True, False)


def test_deleting_takes_files_directories_and_nothing_at_all(tmp_path: Path) -> None:
    root = locate(tmp_path)
    (root / "a/b.bin").write_bytes(b"")
    (root / "c.bin").write_bytes(b"")
    for name in ("a", "c.bin", "nope"):
        (root / name).delete()
    assert os.listdir(tmp_path) == []


def test_moving_renames(tmp_path: Path) -> None:
    root = locate(tmp_path)
    (root / "a/x.bin").write_bytes(b"x")
    (root / "a").move(root / "b")
    assert (root / "b/x.bin").read_bytes() == b"x"
    assert not (root / "a").exists()


def test_a_listing_gives_what_is_visible_sorted(tmp_path: Path) -> None:
    root = locate(tmp_path)
    for name in ("b.bin", "a/z.bin", "a/_tmp/x.bin", ".hidden/x.bin", "_SUCCESS", "_year=2013/x.bin"):
        (root / name).write_bytes(b"")
    tree = list_tree(root)
    assert [one.path for one in tree.visible] == ["_year=2013/x.bin", "a/z.bin", "b.bin"]
    assert len(tree.files) == 6
    assert tree.folders == (".hidden", "_year=2013", "a", "a/_tmp")


@pytest.mark.parametrize(
    ("path", "hidden"), [("a/b", False), ("_a/b", True), ("a/.b", True), ("a/_b=1/c", False), (".a=1/c", True), ("a_/b", False)]
)
def test_hidden_is_what_spark_does_not_read(path: str, hidden: bool) -> None:
    assert is_hidden(path) is hidden


def test_a_store_that_does_not_answer_is_unavailable() -> None:
    pytest.importorskip("hdfs_native")
    with pytest.raises(StorageUnavailable, match=r"hdfs://127\.0\.0\.1:1/x"):
        locate("hdfs://127.0.0.1:1/x").exists()


def test_a_client_is_made_once_per_process_and_arguments() -> None:
    made: list[str] = []

    def make(name: str) -> tuple[int, str]:
        made.append(name)
        return os.getpid(), name

    client = OnePerProcess(make)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(client, ["a", "b"] * 20)) == {(os.getpid(), "a"), (os.getpid(), "b")}
    assert sorted(made) == ["a", "b"]
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=lambda: answers.put(client("a")))
    child.start()
    assert answers.get() == (child.pid, "a")
    child.join()
