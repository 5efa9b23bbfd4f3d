"""The URL of the file that a row was read from, as a column."""

from pyspark.sql import Column
from pyspark.sql import functions as F

__all__ = ["file_url"]


def file_url() -> Column:
    """Return the URL of the file a row was read from, as `table` is given it; blanks and the like are written as they are."""
    url = F.url_decode(F.replace(F.col("_metadata.file_path"), F.lit("+"), F.lit("%2B")))
    return F.regexp_replace(url, "^s3a://", "s3://")
