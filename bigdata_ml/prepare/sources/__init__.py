"""Where raw data comes from: one file a kind of source, each returning a Spark DataFrame."""

from bigdata_ml.prepare.sources.images import ImageFolder, images
from bigdata_ml.prepare.sources.tables import table

__all__ = ["ImageFolder", "images", "table"]
