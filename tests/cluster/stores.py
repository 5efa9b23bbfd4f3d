"""The stores that every operation is tried on; the fixture `place` gives an URL on each."""

STORES = ("local", "hdfs", "webhdfs", "s3")
