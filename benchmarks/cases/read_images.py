"""Read all images of a source and do nothing with them: `spark-submit read_images.py URL KIND`."""

import sys

from pyspark.sql import functions as F

from bigdata_ml.prepare import spark_session
from bigdata_ml.prepare.sources import any_images

if __name__ == "__main__":
    url, kind = sys.argv[1:]
    found = any_images(spark_session("read"), url, kind=kind)
    read = found.rows.agg(F.count("path"), F.sum(F.octet_length("content"))).collect()[0]
    if tuple(read) != (found.files, found.bytes):
        sys.exit(f"listed {found.files} files of {found.bytes} bytes, read {read}")
    print(f"read in {found.rows.rdd.getNumPartitions()} tasks")
    print(f"{found.files} files, {found.bytes / 1e6:.1f} MB")
