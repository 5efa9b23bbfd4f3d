"""A network for tables: embeddings for categories, normalised numbers."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import SchemaMismatch
from bigdata_ml.schema import Codec, NullPolicy
from bigdata_ml.train.config import TrainConfig

__all__ = ["TableNetwork", "embedding_width"]


def embedding_width(size: int) -> int:
    """Return the width of an embedding of `size` ids: min(64, round(1.6 · size^0.56)), fastai's rule with its own limit.

    Source: fastai.tabular.model.emb_sz_rule (J. Howard, S. Gugger, 2020), there with 600 as the limit.
    """
    return int(min(64, round(1.6 * size**0.56)))


class TableNetwork(nn.Module):
    """Embeddings of each category beside the normalised numbers, hidden layers with batch normalisation, a linear head.

    `forward` takes a batch with int64 ids [rows] for categories and numbers [rows] of any dtype, NaN where unknown or,
    for those in `masked`, with a mask `NAME_valid`, and returns logits, float32 [rows, classes]. A number that is unknown
    enters as the mean, with a mark beside it.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        categories: Mapping[str, int],
        numbers: Mapping[str, tuple[float, float]],
        classes: int,
        hidden: tuple[int, ...],
        dropout: float,
        masked: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.masked = frozenset(masked)
        self.categories, self.numbers = list(categories), list(numbers)
        self.columns = (*categories, *numbers)
        self.embeddings = nn.ModuleList(nn.Embedding(size, embedding_width(size)) for size in categories.values())
        self.register_buffer("mean", torch.tensor([mean for mean, _ in numbers.values()], dtype=torch.float64))
        self.register_buffer("std", torch.tensor([std or 1.0 for _, std in numbers.values()], dtype=torch.float64))
        width = sum(embedding_width(size) for size in categories.values()) + 2 * len(numbers)
        layers: list[nn.Module] = []
        for size in hidden:
            layers += [nn.Linear(width, size), nn.BatchNorm1d(size), nn.ReLU(), nn.Dropout(dropout)]
            width = size
        self.layers = nn.Sequential(*layers, nn.Linear(width, classes))

    def forward(self, batch: Mapping[str, Any]) -> Tensor:
        """Return logits, float32 [rows, classes]."""
        parts = [embed(batch[name]) for name, embed in zip(self.categories, self.embeddings, strict=True)]
        if self.numbers:
            # In double until normalised: a year or an identifier loses its differences in single precision.
            values = torch.stack([batch[name].double() for name in self.numbers], dim=1)
            known = torch.isfinite(values)
            for place, name in enumerate(self.numbers):
                if name in self.masked:
                    known[:, place] &= batch[f"{name}_valid"]
            normalised = torch.where(known, (values - self.mean) / self.std, torch.zeros_like(values))
            parts += [normalised.clamp(-10, 10).float(), (~known).float()]
        logits: Tensor = self.layers(torch.cat(parts, dim=1))
        return logits

    @classmethod
    def build(cls, config: TrainConfig, dataset: Dataset) -> "TableNetwork":
        """Return the network for all fields with a vocabulary or statistics, the label apart.

        Raises:
            SchemaMismatch: no such field, or no label.
        """
        manifest = dataset.manifest
        if manifest is None or dataset.label is None:
            raise SchemaMismatch(
                f"{dataset.url}: table_network needs a label and vocabularies; prepare it by jobs/prepare_table.py"
            )
        names = [field.name for field in dataset.schema if field.codec is Codec.SCALAR and field.name != dataset.label]
        categories = {name: manifest.vocabularies[name].size for name in names if name in manifest.vocabularies}
        numbers = {
            name: (manifest.statistics[name].mean[0], manifest.statistics[name].std[0])
            for name in names
            if name in manifest.statistics
        }
        if not categories and not numbers:
            raise SchemaMismatch(
                f"{dataset.url}: no field but the label has a vocabulary or statistics; there is nothing to learn from"
            )
        return cls(
            categories=categories,
            numbers=numbers,
            classes=dataset.vocabularies[dataset.label].size,
            hidden=config.hidden,
            dropout=config.dropout,
            masked=[name for name in numbers if dataset.schema[name].null is NullPolicy.MASK],
        )
