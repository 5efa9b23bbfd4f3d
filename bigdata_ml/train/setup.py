"""The parts of a training run, built for a dataset: network, optimiser, schedule and loaders."""

from dataclasses import dataclass

import torch
from torch import nn

from bigdata_ml.dataset import Dataset, Vocabulary
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.loader import Loader, make_loader, random_crop
from bigdata_ml.reader import ReadOptions
from bigdata_ml.schema import Codec
from bigdata_ml.train.config import TrainConfig
from bigdata_ml.train.models import FirstNetwork, TableNetwork, build_model

__all__ = ["TrainingParts", "build_parts", "evaluation_loader", "label_of"]


@dataclass(frozen=True, slots=True)
class TrainingParts:
    """The objects whose states a checkpoint contains."""

    model: FirstNetwork | TableNetwork
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    loader: Loader


def build_parts(config: TrainConfig, dataset: Dataset, *, label: str, seed: int, device: torch.device) -> TrainingParts:
    """Return the parts with fresh weights from torch's generator; raises ValueError, DatasetInvalid."""
    model = build_model(config, dataset)
    has_batch_norm = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    if has_batch_norm and config.global_batch_size < 2:
        raise ValueError("global_batch_size must be 2 or more: batch normalisation needs several rows")
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    loader = _training_loader(config, dataset, (*model.columns, label), seed)
    steps = config.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    return TrainingParts(model, optimizer, schedule, loader)


def _training_loader(config: TrainConfig, dataset: Dataset, columns: tuple[str, ...], seed: int) -> Loader:
    read = ReadOptions(seed=seed, image_size=config.image_size, columns=columns)
    images = [field.name for field in dataset.schema if field.codec in (Codec.RAW_IMAGE, Codec.IMAGE)]
    transform = random_crop(images[0], padding=config.augment) if config.augment and images else None
    split = dataset.split("train")
    size = config.global_batch_size
    if split.rows < size:
        raise DatasetInvalid(f"{dataset.url}: the train split has {split.rows} rows, fewer than one batch of {size}")
    return make_loader(split, read, global_batch_size=size, num_workers=config.num_workers, transform=transform)


def evaluation_loader(config: TrainConfig, dataset: Dataset, columns: tuple[str, ...], split: str) -> Loader:
    """Return a loader that reads each row of the split once, in the dataset's order."""
    read = ReadOptions(shuffle=False, remainder="exact", image_size=config.image_size, columns=columns)
    return make_loader(dataset.split(split), read, global_batch_size=config.global_batch_size, num_workers=config.num_workers)


def label_of(dataset: Dataset) -> tuple[str, Vocabulary]:
    """Return the label and its classes; raises DatasetInvalid unless the dataset has two known classes and three splits."""
    label = dataset.label
    if label is None or label not in dataset.vocabularies:
        without = "has no label" if label is None else f"has the label {label!r} without classes"
        reason = "has no manifest" if dataset.manifest is None else without
        raise DatasetInvalid(
            f"{dataset.url} {reason}; a recipe needs a label with classes: "
            "prepare a table with --label (text, whole numbers or a condition), or images with --label-from folder or FILE"
        )
    vocabulary = dataset.vocabularies[label]
    if vocabulary.unknown or vocabulary.size < 2:
        problem = "an unknown class" if vocabulary.unknown else f"only the classes {list(vocabulary.values)}"
        raise DatasetInvalid(f"{dataset.url}: the label {label!r} has {problem}; a recipe needs two or more known classes")
    missing = [name for name in ("train", "validation", "test") if name not in dataset.splits]
    if missing:
        raise DatasetInvalid(
            f"{dataset.url} lacks the splits {', '.join(missing)}; prepare it with --split train=…,validation=…,test=… "
            "and enough rows for each"
        )
    return label, vocabulary
