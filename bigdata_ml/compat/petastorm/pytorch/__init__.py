"""Loaders over a reader: batches of tensors."""

from bigdata_ml.compat.petastorm.pytorch.collate import decimal_friendly_collate
from bigdata_ml.compat.petastorm.pytorch.in_memory import InMemBatchedDataLoader
from bigdata_ml.compat.petastorm.pytorch.loaders import BatchedDataLoader, DataLoader

__all__ = ["BatchedDataLoader", "DataLoader", "InMemBatchedDataLoader", "decimal_friendly_collate"]
