"""Filesystems: the only room where a storage client is named, one file each."""

from bigdata_ml.storage.by_fsspec import locate_by_fsspec, place_in
from bigdata_ml.storage.locate import SCHEMES, locate
from bigdata_ml.storage.location import Location, is_hidden, reading, way_out, writing
from bigdata_ml.storage.part import FilePart

__all__ = [
    "SCHEMES",
    "FilePart",
    "Location",
    "is_hidden",
    "locate",
    "locate_by_fsspec",
    "place_in",
    "reading",
    "way_out",
    "writing",
]
