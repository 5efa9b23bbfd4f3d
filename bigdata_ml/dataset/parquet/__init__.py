"""Parquet files: footers, checks, sizes in memory."""
