"""The same operations on every store, against real servers."""

import os
from datetime import datetime, timedelta, timezone

import pyarrow.fs as pafs
import pytest
from stores import STORES

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage import Location, list_tree, locate

every_store = pytest.mark.parametrize("store", STORES)
# S3 has neither directories nor a rename that is one step.
stores_with_directories = pytest.mark.parametrize("store", [one for one in STORES if one != "s3"])
ODD_NAMES = ("with space", "ümläut", "a%20b", "hash#LATEST", "what?", "key=value", "plus+and&", "brace{1}")


def visible(place: Location) -> dict[str, tuple[str, int | None]]:
    return {one.path: ("File", one.size) for one in list_tree(place).visible}


@every_store
def test_what_is_written_is_read(place: str) -> None:
    file = locate(place) / "a/b/c.bin"
    data = os.urandom(20_000_000)  # on HDFS three blocks
    file.write_bytes(data)
    assert file.read_bytes() == data
    assert (file.exists(), file.is_directory(), file.info().size) == (True, False, len(data))


@every_store
def test_an_empty_file_is_a_file(place: str) -> None:
    file = locate(place) / "empty"
    file.write_bytes(b"")
    assert (file.read_bytes(), file.info().size, file.info().type) == (b"", 0, pafs.FileType.File)


@every_store
def test_ranges_are_read_in_any_order(place: str) -> None:
    file = locate(place) / "ranges.bin"
    data = os.urandom(10_000_000)
    file.write_bytes(data)
    with file.filesystem.open_input_file(file.path) as stream:
        assert stream.size() == len(data)
        for begin, length in ((9_999_990, 10), (0, 1), (8_388_600, 20), (17, 5_000_000), (9_999_995, 100), (10_000_000, 5)):
            assert stream.read_at(length, begin) == data[begin : begin + length]
        stream.seek(-7, os.SEEK_END)
        assert stream.read() == data[-7:]


@every_store
def test_writing_over_a_file_replaces_it(place: str) -> None:
    file = locate(place) / "twice"
    file.write_bytes(b"a longer text")
    file.write_bytes(b"short")
    assert file.read_bytes() == b"short"


@every_store
def test_a_file_written_in_pieces_is_whole(place: str) -> None:
    file = locate(place) / "pieces"
    file.parent.filesystem.create_dir(file.parent.path, recursive=True)
    with file.filesystem.open_output_stream(file.path) as stream:
        for number in range(300):
            stream.write(bytes([number % 256]) * 40_000)
        assert stream.tell() == 12_000_000
    assert file.read_bytes() == b"".join(bytes([number % 256]) * 40_000 for number in range(300))


@every_store
def test_nothing_is_where_nothing_was_written(place: str) -> None:
    missing = locate(place) / "missing"
    assert (missing.exists(), missing.is_directory()) == (False, False)
    with pytest.raises(FileNotFoundError):
        missing.read_bytes()
    missing.delete()


@every_store
def test_the_time_of_change_is_the_time_of_writing(place: str) -> None:
    file = locate(place) / "now"
    before = datetime.now(timezone.utc) - timedelta(seconds=2)
    file.write_bytes(b"x")
    assert before <= file.info().mtime <= datetime.now(timezone.utc) + timedelta(seconds=2)


@every_store
def test_a_walk_finds_every_visible_file_once(place: str) -> None:
    root = locate(place)
    for path in ("b.parquet", "a/one", "a/deep/er/two", "_hidden/three", ".hidden", "year=2013/four", "_year=2013/five"):
        (root / path).write_bytes(path.encode())
    files = ("_year=2013/five", "a/deep/er/two", "a/one", "b.parquet", "year=2013/four")
    assert visible(root) == {path: ("File", len(path)) for path in files}
    assert list(visible(root)) == sorted(files)


@every_store
def test_odd_names_stay_as_they_are(place: str) -> None:
    root = locate(place)
    for name in ODD_NAMES:
        (root / name / name).write_bytes(name.encode())
    assert set(visible(root)) == {f"{name}/{name}" for name in ODD_NAMES}
    assert [(root / name / name).read_bytes().decode() for name in ODD_NAMES] == list(ODD_NAMES)
    (root / "what?").delete()
    assert "what?/what?" not in visible(root)
    assert len(visible(root)) == len(ODD_NAMES) - 1


@every_store
def test_deleting_takes_the_whole_directory_and_nothing_beside(place: str) -> None:
    root = locate(place)
    for path in ("gone/a", "gone/b/c", "gone-not/d"):
        (root / path).write_bytes(b"x")
    (root / "gone").delete()
    assert list(visible(root)) == ["gone-not/d"]
    (root / "gone-not/d").delete()
    assert not (root / "gone-not/d").exists()


@every_store
def test_a_renamed_file_is_at_its_new_place_only(place: str) -> None:
    root = locate(place)
    (root / "old").write_bytes(b"the same")
    (root / "old").move(root / "new")
    assert ((root / "old").exists(), (root / "new").read_bytes()) == (False, b"the same")


@stores_with_directories
def test_a_renamed_directory_takes_all_with_it(place: str) -> None:
    root = locate(place)
    (root / "old/a/b").write_bytes(b"1")
    (root / "old/.c").write_bytes(b"2")
    (root / "old").move(root / "new")
    assert not (root / "old").exists()
    assert ((root / "new/a/b").read_bytes(), (root / "new/.c").read_bytes()) == (b"1", b"2")


@stores_with_directories
def test_renaming_does_not_put_a_directory_into_one_that_is_there(place: str) -> None:
    root = locate(place)
    (root / "old/a").write_bytes(b"1")
    (root / "there/b").write_bytes(b"2")
    with pytest.raises(OSError):  # noqa: PT011  each store says it in its own words
        (root / "old").move(root / "there")
    assert list(visible(root)) == ["old/a", "there/b"]


@stores_with_directories
def test_directories_are_made_and_told_from_files(place: str) -> None:
    root = locate(place)
    root.filesystem.create_dir(f"{root.path}/a/b", recursive=True)
    root.filesystem.create_dir(f"{root.path}/a/b", recursive=True)
    assert (root / "a/b").is_directory()
    with pytest.raises(OSError):  # noqa: PT011
        (root / "a").read_bytes()


@pytest.mark.parametrize("url", ["hdfs://127.0.0.1:1/x", "webhdfs://127.0.0.1:1/x"])
def test_a_store_that_nobody_serves_is_named(url: str) -> None:
    with pytest.raises(StorageUnavailable, match=f"{url} cannot be reached"):
        locate(url)
