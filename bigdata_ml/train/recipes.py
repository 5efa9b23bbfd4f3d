"""Recipes: functions that return a full TrainConfig for a dataset."""

from collections.abc import Callable

from bigdata_ml.dataset import Dataset
from bigdata_ml.schema import Codec
from bigdata_ml.train.config import TrainConfig

__all__ = ["RECIPES", "first_network", "recipe", "table_network"]


def first_network(dataset: Dataset) -> TrainConfig:
    """A first convolutional network for small images: two convolutions, one hidden layer; seconds on a laptop."""
    encoded = any(field.codec is Codec.IMAGE for field in dataset.schema)
    return TrainConfig(
        model="first_network",
        epochs=15,
        global_batch_size=min(64, dataset.split("train").rows),
        learning_rate=2e-3,
        hidden=(128,),
        dropout=0.3,
        augment=1,
        image_size=(32, 32) if encoded else None,
    )


def table_network(dataset: Dataset) -> TrainConfig:
    """A network for tables: embeddings for categories, normalised numbers with their nulls marked, two hidden layers."""
    rows = dataset.split("train").rows
    # Big steps for big tables: at most some 300 steps an epoch.
    size = min(max(64, 1 << max(0, (rows // 300).bit_length())), 2048)
    return TrainConfig(
        model="table_network",
        epochs=3,
        global_batch_size=min(size, rows),
        learning_rate=2e-3,
        weight_decay=0.05,
        hidden=(256, 128),
        dropout=0.2,
    )


RECIPES: dict[str, Callable[[Dataset], TrainConfig]] = {"first_network": first_network, "table_network": table_network}


def recipe(name: str) -> Callable[[Dataset], TrainConfig]:
    """Return the recipe of that name.

    Raises:
        ValueError: no such recipe; the text names those there are.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}; the recipes are {', '.join(RECIPES)}")
    return RECIPES[name]
