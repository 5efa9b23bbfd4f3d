"""Where raw data comes from: one file a kind of source, each returning a Spark DataFrame; notebooks use them too."""

from bigdata_ml.prepare.sources.archives import archives
from bigdata_ml.prepare.sources.files import ImageFiles
from bigdata_ml.prepare.sources.images import images
from bigdata_ml.prepare.sources.raw_pixels import cifar, idx
from bigdata_ml.prepare.sources.sequence_files import sequence_files
from bigdata_ml.prepare.sources.tables import table

__all__ = ["ImageFiles", "archives", "cifar", "idx", "images", "sequence_files", "table"]
