"""Where raw data comes from: one file a kind of source, each returning a Spark DataFrame; notebooks use them too."""

from bigdata_ml.prepare.sources.any_source import any_images, any_table
from bigdata_ml.prepare.sources.archives import archives
from bigdata_ml.prepare.sources.files import ImageFiles
from bigdata_ml.prepare.sources.hive import hive
from bigdata_ml.prepare.sources.images import images
from bigdata_ml.prepare.sources.jdbc import JdbcParts, jdbc
from bigdata_ml.prepare.sources.raw_pixels import cifar, idx
from bigdata_ml.prepare.sources.sequence_files import sequence_files
from bigdata_ml.prepare.sources.tables import table

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
