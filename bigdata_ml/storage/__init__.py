"""Filesystems: the only room where a storage client is named, one file each."""

from bigdata_ml.storage.by_fsspec import locate_by_fsspec, place_in
from bigdata_ml.storage.lakehouse import lakehouse_above, lakehouse_below
from bigdata_ml.storage.listing import Entry, Tree, list_tree, natural_order
from bigdata_ml.storage.locate import SCHEMES, locate
from bigdata_ml.storage.location import Location, is_hidden, reading, way_out, writing
from bigdata_ml.storage.part import FilePart
from bigdata_ml.storage.retry import Retry, is_store_failure

__all__ = [
    "SCHEMES",
    "Entry",
    "FilePart",
    "Location",
    "Retry",
    "Tree",
    "is_hidden",
    "is_store_failure",
    "lakehouse_above",
    "lakehouse_below",
    "list_tree",
    "locate",
    "locate_by_fsspec",
    "natural_order",
    "place_in",
    "reading",
    "way_out",
    "writing",
]
