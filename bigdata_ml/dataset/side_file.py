"""Reads metadata files and verifies the manifest's checksums of them."""

import xxhash

from bigdata_ml.dataset.manifest import SideFile
from bigdata_ml.errors import ChecksumMismatch, MetadataUnreadable
from bigdata_ml.storage import Location

__all__ = ["read_verified"]


def read_verified(root: Location, file: SideFile) -> bytes:
    """Return a side file's bytes.

    Raises:
        ChecksumMismatch: the bytes are not those that were published.
        MetadataUnreadable: a file that is missing.
    """
    place = root / file.path
    try:
        data = place.read_bytes()
    except OSError as error:
        raise MetadataUnreadable(f"{place.url}: cannot be read: {error}") from error
    if xxhash.xxh3_128_hexdigest(data) != file.checksum:
        raise ChecksumMismatch(f"{place.url}: its checksum differs from the manifest's")
    return data
