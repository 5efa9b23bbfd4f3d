"""The URL of the file of each row, as a column."""

from pyspark.sql import Column
from pyspark.sql import functions as F

__all__ = ["file_url"]


def file_url() -> Column:
    """Return the unescaped URL of the file of each row, in the form that `table` accepts."""
    url = F.url_decode(F.replace(F.col("_metadata.file_path"), F.lit("+"), F.lit("%2B")))
    return F.regexp_replace(url, "^s3a://", "s3://")
