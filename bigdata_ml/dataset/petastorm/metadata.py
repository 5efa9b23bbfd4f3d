"""Reads what Petastorm wrote to `_common_metadata`, without Petastorm and without unpickling.

`inert_pickle` reads the pickles as dead data; `objects` and `indexes` interpret it.
"""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.fs as pafs

from bigdata_ml.dataset.checks.json import parse_json
from bigdata_ml.dataset.layout import COMMON_METADATA, SUMMARY_METADATA
from bigdata_ml.dataset.parquet.footers import parse_summary
from bigdata_ml.dataset.petastorm import inert_pickle as inert
from bigdata_ml.dataset.petastorm.indexes import INDEX_NAMES, indexes_of
from bigdata_ml.dataset.petastorm.objects import SCHEMA_NAMES, schema_of
from bigdata_ml.dataset.petastorm.schema import PetastormIndex, PetastormSchema
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.storage import Location

__all__ = [
    "INDEXES_KEY",
    "ROW_GROUPS_KEY",
    "UNISCHEMA_KEY",
    "read_petastorm_indexes",
    "read_petastorm_row_groups",
    "read_petastorm_schema",
]

UNISCHEMA_KEY = b"dataset-toolkit.unischema.v1"
ROW_GROUPS_KEY = b"dataset-toolkit.num_row_groups_per_file.v1"
INDEXES_KEY = b"dataset-toolkit.rowgroups_index.v1"

_FILE_BYTES = 256 << 20
# A field takes some 100 bytes.
_SCHEMA_BYTES = 4 << 20
_INDEX_BYTES = 16 << 20
_WAY_OUT = (
    "open the dataset with use_unischema=False (bigdata-ml adopt --no-use-unischema): it is then read as plain Parquet, and "
    "columns with custom codecs are raw bytes"
)


def read_petastorm_schema(root: Location) -> PetastormSchema | None:
    """Return the unischema of the dataset at `root`, or None if Petastorm wrote none.

    Raises:
        MetadataUnreadable: broken metadata, or a unischema with other names than Petastorm's, such as a custom codec.
            No code of it was run.
        StorageUnavailable: the store does not answer.
    """
    place, keys = _read_keys(root)
    if UNISCHEMA_KEY not in keys:
        return None
    try:
        return schema_of(inert.read_inert(keys[UNISCHEMA_KEY], SCHEMA_NAMES, limit=_SCHEMA_BYTES))
    except inert.NameRefused as error:
        raise MetadataUnreadable(
            f"{place.url}: its pickled unischema asks for {error.name}, which is not a type of Petastorm and was not "
            f"loaded; {_WAY_OUT}"
        ) from error
    except ValueError as error:
        raise MetadataUnreadable(f"{place.url}: its pickled unischema cannot be read: {error}; {_WAY_OUT}") from error


def read_petastorm_row_groups(root: Location) -> dict[str, int] | None:
    """Return the number of row groups by file (paths relative to `root`), or None if Petastorm wrote none.

    Raises:
        MetadataUnreadable, StorageUnavailable: as `read_petastorm_schema`.
    """
    place, keys = _read_keys(root)
    if ROW_GROUPS_KEY not in keys:
        return None
    try:
        counts = parse_json(keys[ROW_GROUPS_KEY])
        if not isinstance(counts, dict) or not all(isinstance(count, int) for count in counts.values()):
            raise ValueError("it is not an object of whole numbers")
    except ValueError as error:
        raise MetadataUnreadable(
            f"{place.url}: its number of row groups by file cannot be read: {error}; write Petastorm's metadata again"
        ) from error
    return counts


def read_petastorm_indexes(root: Location) -> dict[str, PetastormIndex]:
    """Return the row-group indexes by name; empty if there are none.

    Raises:
        MetadataUnreadable, StorageUnavailable: as `read_petastorm_schema`.
    """
    place, keys = _read_keys(root)
    if INDEXES_KEY not in keys:
        return {}
    try:
        return indexes_of(inert.read_inert(keys[INDEXES_KEY], INDEX_NAMES, limit=_INDEX_BYTES))
    except ValueError as error:
        raise MetadataUnreadable(
            f"{place.url}: its pickled row-group indexes cannot be read: {error}; build them again, or select rows by predicate="
        ) from error


def _read_keys(root: Location) -> tuple[Location, Mapping[bytes, bytes]]:
    """Return the key-value metadata of `_common_metadata`, or of `_metadata` where that is missing."""
    for name in (COMMON_METADATA, SUMMARY_METADATA):
        place = root / name
        info = place.info()
        if info.type != pafs.FileType.File:
            continue
        if info.size > _FILE_BYTES:
            raise MetadataUnreadable(f"{place.url}: its {info.size} bytes are more than {_FILE_BYTES}; {_WAY_OUT}")
        try:
            return place, parse_summary(place.read_bytes()).metadata or {}
        except (pa.ArrowException, OSError) as error:
            raise MetadataUnreadable(f"{place.url}: not a whole Parquet file ({error}); {_WAY_OUT}") from error
    return root, {}
