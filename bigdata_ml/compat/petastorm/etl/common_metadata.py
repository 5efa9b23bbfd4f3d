"""The file `_common_metadata`: the schema of a dataset's files, and keys beside it."""

import uuid
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.compat.petastorm.errors import PetastormMetadataError
from bigdata_ml.dataset.layout import COMMON_METADATA, SUMMARY_METADATA
from bigdata_ml.dataset.opening.directory_files import parquet_files as files_of_directory
from bigdata_ml.dataset.parquet.footers import parse_summary, read_metadata
from bigdata_ml.errors import DatasetNotFound
from bigdata_ml.storage import Location

__all__ = ["kept_keys", "parquet_files", "write_keys"]


def parquet_files(root: Location) -> list[str]:
    """Return the paths, relative to `root`, of a dataset's files, sorted.

    Raises:
        DatasetNotFound: there are none.
        DatasetInvalid: as `Dataset.open` of what cannot be read in a directory.
    """
    if not root.is_directory():
        raise DatasetNotFound(f"{root.url}: no Parquet files; write the dataset there first")
    # Petastorm counts row groups in the order of their files' names.
    return sorted(files_of_directory(root).paths)


def kept_keys(root: Location) -> dict[bytes, bytes]:
    """Return the keys in `_common_metadata`, or `_metadata` where that is missing; empty if both are."""
    schema = _kept_schema(root)
    return {} if schema is None else dict(schema.metadata or {})


def write_keys(root: Location, keys: Mapping[bytes, bytes | None], *, files: Sequence[str]) -> None:
    """Put keys into `_common_metadata` and keep the others; None takes one out. A reader sees the old file or the new one.

    Args:
        root: the dataset's directory.
        keys: their values.
        files: paths of its Parquet files; where there is no metadata yet, the first one's schema is taken.
    """
    schema = _kept_schema(root)
    if schema is None:
        schema = _schema_of(root / files[0], lambda place: place.read(lambda stream: read_metadata(stream)[0]))
    metadata = {**(schema.metadata or {}), **keys}
    sink = pa.BufferOutputStream()
    pq.write_metadata(schema.with_metadata({key: value for key, value in metadata.items() if value is not None}), sink)
    _replace(root / COMMON_METADATA, bytes(sink.getvalue()))
    # Hadoop's checksum of the file that was there.
    (root / f".{COMMON_METADATA}.crc").delete()


def _kept_schema(root: Location) -> pa.Schema | None:
    for name in (COMMON_METADATA, SUMMARY_METADATA):
        if (root / name).exists():
            return _schema_of(root / name, lambda place: parse_summary(place.read_bytes()))
    return None


def _schema_of(place: Location, read: Callable[[Location], pq.FileMetaData]) -> pa.Schema:
    try:
        return read(place).schema.to_arrow_schema()
    except (pa.ArrowException, OSError) as error:
        raise PetastormMetadataError(f"{place.url}: not a whole Parquet file ({error}); remove it or write it again") from error


def _replace(place: Location, data: bytes) -> None:
    beside = place.parent / f".{place.name}.{uuid.uuid4().hex}"
    try:
        beside.write_bytes(data)
        # Only this machine's own filesystem is sure to rename over a file.
        if not place.is_local:
            place.delete()
        beside.move(place)
    finally:
        beside.delete()
