"""Files that are put in place in one step: as the first of their name, or over what is there."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bigdata_ml.errors import StorageUnavailable
from bigdata_ml.storage.durable import sync_directory, written_aside
from bigdata_ml.storage.location import Location, writing

__all__ = ["put_later", "put_new", "put_over"]


def put_new(place: Location, data: bytes) -> None:
    """Write a file unless one of that name is there: of several writers exactly one succeeds, and nobody sees half a file.

    Raises:
        FileExistsError: one is there.
        StorageUnavailable: the store does not answer, or cannot be written to.
    """
    _put(place, data, over=False)


def put_over(place: Location, data: bytes) -> None:
    """Write a file in the place of the one that is there, if any: everybody sees the whole old one or the whole new one.

    Raises:
        StorageUnavailable: the store does not answer, or cannot be written to.
    """
    _put(place, data, over=True)


@contextmanager
def put_later(place: Location, data: bytes) -> Iterator[Callable[[], None]]:
    """Give a function that does what `put_over` does, for which there is room already: the bytes lie next to the destination.

    So what must follow a step that cannot be taken back does not fail for want of room. S3 has no rename: there all of it is
    done by the function.

    Raises:
        StorageUnavailable: the store does not answer, or cannot be written to.
    """
    if place.url.startswith("s3:"):
        yield lambda: put_over(place, data)
        return
    with _aside(place, data) as aside:

        def put() -> None:
            with writing(place):
                _rename(aside, place, over=True)

        yield put


def _put(place: Location, data: bytes, *, over: bool) -> None:
    try:
        if place.url.startswith("s3:"):
            _put_object(place, data, over=over)
        else:
            _put_by_rename(place, data, over=over)
    except FileExistsError:
        raise
    except OSError as error:
        raise StorageUnavailable(f"{place.url} cannot be written: {error}") from error


def _put_object(place: Location, data: bytes, *, over: bool) -> None:
    # S3 puts objects whole.
    if over:
        with place.filesystem.open_output_stream(place.path) as stream:
            stream.write(data)
    else:
        place.filesystem.handler.create(place.path, data)


def _put_by_rename(place: Location, data: bytes, *, over: bool) -> None:
    with _aside(place, data) as aside:
        _rename(aside, place, over=over)


@contextmanager
def _aside(place: Location, data: bytes) -> Iterator[Location]:
    """Write the bytes beside their place, under a name that is theirs for the body."""
    if place.is_local:
        with writing(place):
            place.filesystem.create_dir(place.parent.path, recursive=True)
        with ExitStack() as stack:
            # Not `writing` around the body, whose own errors are the caller's.
            with writing(place):
                path = stack.enter_context(written_aside(Path(place.path), lambda file: file.write(data)))
            yield place.parent / path.name
        return
    aside = place.parent / f".{place.name}.{uuid.uuid4().hex[:8]}"
    try:
        aside.write_bytes(data)
        yield aside
    finally:
        with suppress(OSError, StorageUnavailable):
            aside.delete()


def _rename(aside: Location, place: Location, *, over: bool) -> None:
    try:
        if not place.is_local:
            place.filesystem.handler.fs.mv(aside.path, place.path, overwrite=over)
        elif over:
            os.replace(aside.path, place.path)
            sync_directory(Path(place.parent.path))
        else:
            # A link, unlike a rename, takes nobody's place.
            os.link(aside.path, place.path)
            sync_directory(Path(place.parent.path))
    except OSError:
        if not over and place.exists():
            raise FileExistsError(place.path) from None
        raise
