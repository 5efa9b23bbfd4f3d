"""The Spark session, its clients, failures, progress and batch sizes."""
