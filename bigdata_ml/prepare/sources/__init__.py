"""Read raw data: one function for each kind of source, for jobs and notebooks."""

from bigdata_ml.prepare.sources.any_source import any_images, any_table
from bigdata_ml.prepare.sources.image_files.archives import archives
from bigdata_ml.prepare.sources.image_files.files import ImageFiles
from bigdata_ml.prepare.sources.image_files.folders import images
from bigdata_ml.prepare.sources.image_files.raw_pixels import cifar, idx
from bigdata_ml.prepare.sources.image_files.sequence_files import sequence_files
from bigdata_ml.prepare.sources.tables.files import table
from bigdata_ml.prepare.sources.tables.hive import hive
from bigdata_ml.prepare.sources.tables.jdbc import JdbcParts, jdbc

__all__ = [
    "ImageFiles",
    "JdbcParts",
    "any_images",
    "any_table",
    "archives",
    "cifar",
    "hive",
    "idx",
    "images",
    "jdbc",
    "sequence_files",
    "table",
]
