"""Batches of tensors for training loops."""

from bigdata_ml.loader.loader import Loader, make_loader
from bigdata_ml.loader.transforms import compose, random_crop, random_flip

__all__ = ["Loader", "compose", "make_loader", "random_crop", "random_flip"]
