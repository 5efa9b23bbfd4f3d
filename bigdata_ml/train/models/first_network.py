"""A first convolutional network."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import SchemaMismatch
from bigdata_ml.schema import Codec
from bigdata_ml.train.config import TrainConfig

__all__ = ["FirstNetwork"]


class FirstNetwork(nn.Module):
    """Two convolutions with batch normalisation, pooling to 4 × 4, one hidden layer.

    `forward` takes a batch with `field`, uint8 [rows, height, width, channels], and returns logits, float32 [rows,
    classes]. Normalisation is part of the network, so that a checkpoint is all that scoring needs.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, *, field: str, mean: tuple[float, ...], std: tuple[float, ...], classes: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.field = field
        self.columns = (field,)
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        self.layers = nn.Sequential(
            nn.Conv2d(len(mean), 32, 3, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(4),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(64 * 16, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Return logits, float32 [rows, classes]."""
        pixels = batch[self.field].permute(0, 3, 1, 2).float()
        logits: Tensor = self.layers((pixels - self.mean) / self.std)
        return logits

    @classmethod
    def build(cls, config: TrainConfig, dataset: Dataset) -> "FirstNetwork":
        """Return the network for the dataset's one image field.

        Raises:
            SchemaMismatch: no image field, or more than one, or no statistics of it.
        """
        fields = [field for field in dataset.schema if field.codec in (Codec.RAW_IMAGE, Codec.IMAGE)]
        if len(fields) != 1 or dataset.manifest is None or dataset.label is None:
            raise SchemaMismatch(
                f"{dataset.url}: first_network reads one image field and a label, the dataset has {len(fields)} image "
                "fields; prepare it by jobs/prepare_images.py"
            )
        statistics = dataset.manifest.statistics.get(fields[0].name)
        if statistics is None:
            raise SchemaMismatch(
                f"{dataset.url}: first_network normalises {fields[0].name!r} by its statistics, which the manifest lacks; "
                "prepare it by jobs/prepare_images.py"
            )
        return cls(
            field=fields[0].name,
            mean=statistics.mean,
            std=tuple(max(std, 1e-6) for std in statistics.std),
            classes=dataset.vocabularies[dataset.label].size,
            hidden=config.hidden[0],
            dropout=config.dropout,
        )
