"""From raw images and tables to trained PyTorch models, through Spark and Parquet. Import from the rooms."""

__version__ = "0.1.0"
