"""Stores that are reached by fsspec."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from bigdata_ml.storage import locate_by_fsspec, place_in

fsspec = pytest.importorskip("fsspec")


def test_a_file_open_twice_in_the_memory_has_two_positions() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/fsspec-test/file", b"0123456789")
    for place in (locate_by_fsspec("memory://fsspec-test/file"), place_in(memory, "memory://fsspec-test/file", "ignored")):
        with place.filesystem.open_input_file(place.path) as one, place.filesystem.open_input_file(place.path) as other:
            assert one.read(4) == b"0123"
            assert other.read(2) == b"01"
            other.seek(9)
            assert one.read(2) == b"45"


def test_threads_read_one_file_side_by_side() -> None:
    memory = fsspec.filesystem("memory")
    content = bytes(range(256)) * 1000
    memory.pipe("/fsspec-test/shared", content)
    place = locate_by_fsspec("memory://fsspec-test/shared")

    def part(number: int) -> bool:
        with place.filesystem.open_input_file(place.path) as stream:
            stream.seek(number * 100)
            return bool(stream.read(100) == content[number * 100 : number * 100 + 100])

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(part, range(2000)))


def test_a_file_that_is_not_there_is_said_to_be_missing() -> None:
    place = locate_by_fsspec("memory://fsspec-test/nothing")
    with pytest.raises(FileNotFoundError):
        place.filesystem.open_input_file(place.path)
