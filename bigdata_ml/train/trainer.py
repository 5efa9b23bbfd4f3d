"""The training loop: epochs, validation, checkpoints, measured all the way. Read top to bottom."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bigdata_ml.dataset import Dataset, Vocabulary
from bigdata_ml.errors import DatasetInvalid, ResumeMismatch, TrainingFailed
from bigdata_ml.loader import Loader, make_loader, random_crop
from bigdata_ml.reader import ReadOptions
from bigdata_ml.report import DatasetRecord, EpochRecord, Meter, RunDirectory, RunRecord, peak_rss_mb
from bigdata_ml.schema import Codec
from bigdata_ml.train.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from bigdata_ml.train.config import TrainConfig
from bigdata_ml.train.evaluate import evaluate, to_device
from bigdata_ml.train.models import FirstNetwork, TableNetwork, build_model
from bigdata_ml.train.run_lock import run_lock

__all__ = ["train"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a checkpoint holds the states of."""

    model: FirstNetwork | TableNetwork
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    loader: Loader


def train(
    config: TrainConfig,
    dataset: Dataset,
    run_dir: str | Path,
    *,
    recipe: str,
    seed: int = 0,
    resume: bool = False,
    device: str = "cpu",
    on_epoch: Callable[[EpochRecord], None] = lambda _: None,
) -> dict[str, Any]:
    """Train a model on the split `train`, choose the epoch by its loss on `validation`, and return its evaluation on `test`.

    Writes run.json, metrics.jsonl (a line an epoch), checkpoint.pt (after each epoch) and evaluation.json to `run_dir`.
    The same seed gives the same model on one CPU (CUDA's pooling adds up in any order); a run that was stopped and
    resumed ends as if it had not been.

    Args:
        config: the settings.
        dataset: a dataset with a manifest, a label with a vocabulary, and the splits train, validation and test.
        run_dir: the run's directory; must not hold a run unless `resume`.
        recipe: name of the recipe that made `config`, for the record.
        seed: of weights, order, augmentation and dropout.
        resume: go on from the last checkpoint, or begin if there is none.
        device: torch's name of it.
        on_epoch: called with the figures of each epoch.

    Raises:
        DatasetInvalid: a dataset that cannot be trained on.
        ResumeMismatch: the checkpoint belongs to another dataset, seed or config.
        ValueError: `run_dir` holds a run and `resume` is not asked for, or a setting that the network cannot be trained by.
        TrainingFailed: the loss or a weight is no number any more; the checkpoint of the epoch before stays.
        JobRefused: another process is writing to `run_dir`.
    """
    label, classes = _label_of(dataset)
    run_dir, where = Path(run_dir), torch.device(device)
    run = RunDirectory(run_dir)
    torch.manual_seed(seed)
    parts = _build(config, dataset, label, seed, where)
    record = _record(config, dataset, parts.model, recipe=recipe, label=label, classes=classes.size, seed=seed, device=device)
    with run_lock(run_dir):
        return _run(config, dataset, run, record, parts, classes, where, resume=resume, on_epoch=on_epoch)


def _run(
    config: TrainConfig,
    dataset: Dataset,
    run: RunDirectory,
    record: RunRecord,
    parts: _Parts,
    classes: Vocabulary,
    where: torch.device,
    *,
    resume: bool,
    on_epoch: Callable[[EpochRecord], None],
) -> dict[str, Any]:
    label, columns = record.label, (*parts.model.columns, record.label)
    best: dict[str, Any] = {"loss": math.inf, "epoch": -1, "model": parts.model.state_dict()}
    saved = _begin(run, record, resume=resume)
    if saved is not None:
        with _of_this_kind(run.path / CHECKPOINT):
            best = _restore(saved, parts)
    validation = _reading(config, dataset, columns, "validation")
    for epoch in range(parts.loader.epoch, config.epochs):
        measured = _epoch(config, parts, label, dataset.split("train").rows, epoch, where)
        _check_numbers(measured["train_loss"], parts.model, run.path, epoch)
        found = evaluate(parts.model, validation, label=label, classes=classes, split="validation", device=where)
        _check_numbers(found["log_loss"], parts.model, run.path, epoch)
        # By the loss: on a small split many epochs share an accuracy.
        if best["epoch"] < 0 or found["log_loss"] < best["loss"]:
            weights = {name: one.clone() for name, one in parts.model.state_dict().items()}
            best = {"loss": found["log_loss"], "epoch": epoch, "model": weights}
        figures = EpochRecord(
            **measured,
            validation_loss=found["log_loss"],
            validation_top1=found.get("top1"),
            validation_roc_auc=found.get("roc_auc"),
            peak_rss_mb=peak_rss_mb(),
        )
        run.append_epoch(figures)
        save_checkpoint(run.path, _state(parts, best, record))
        on_epoch(figures)
    parts.model.load_state_dict(best["model"])
    test = _reading(config, dataset, columns, "test")
    evaluation = evaluate(parts.model, test, label=label, classes=classes, split="test", device=where)
    evaluation["epoch"] = best["epoch"]
    _warn_of_gaps(dataset.url, evaluation)
    run.write_evaluation(evaluation)
    return evaluation


def _warn_of_gaps(url: str, evaluation: Mapping[str, Any]) -> None:
    """Say of which classes the split has no row, and which metrics are not defined."""
    empty = [name for name, row in zip(evaluation["classes"], evaluation["confusion"], strict=True) if not sum(row)]
    if empty:
        more = f" and {len(empty) - 10} more" if len(empty) > 10 else ""
        _log.warning("%s: the %s split has no row of class %s%s", url, evaluation["split"], ", ".join(empty[:10]), more)
        for metric, why in evaluation["undefined"].items():
            _log.warning("%s: %s is not defined: %s", url, metric, why)


def _check_numbers(loss: float, model: nn.Module, place: Path, epoch: int) -> None:
    """Refuse to go on with a loss or weights that are NaN or infinite: no later step makes numbers of them."""
    states = [one for one in model.state_dict().values() if one.is_floating_point()]
    if math.isfinite(loss) and all(bool(torch.isfinite(one).all()) for one in states):
        return
    raise TrainingFailed(
        f"{place}: in epoch {epoch + 1} the loss became {loss:g} or a weight is no number, so nothing more can be learnt; "
        "take a smaller learning rate (--learning-rate), a larger batch (--global-batch-size), and look at the dataset's "
        "quality page for values that are far from the others"
    )


def _epoch(config: TrainConfig, parts: _Parts, label: str, rows: int, epoch: int, device: torch.device) -> dict[str, Any]:
    """Train one epoch and return its figures."""
    parts.model.train()
    parts.loader.set_epoch(epoch)
    meter, batches, total = Meter(), iter(parts.loader), torch.zeros((), device=device)
    for _ in range(len(parts.loader)):
        with meter.waiting():
            batch = next(batches)
        batch = to_device(batch, device)
        loss = functional.cross_entropy(parts.model(batch), batch[label], label_smoothing=config.label_smoothing)
        parts.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        parts.optimizer.step()
        parts.schedule.step()
        total += loss.detach()
        meter.step(len(batch[label]))
    mean = float(total) / meter.steps
    meter.stop()
    return {
        "epoch": epoch,
        "steps": len(parts.loader),
        "rows": meter.rows,
        "seconds": meter.seconds,
        "wait_seconds": meter.wait_seconds,
        "rows_per_second": meter.rows_per_second,
        "train_loss": mean,
        "rows_dropped": rows - meter.rows,
    }


def _build(config: TrainConfig, dataset: Dataset, label: str, seed: int, device: torch.device) -> _Parts:
    model = build_model(config, dataset)
    normalises = any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in model.modules())
    if normalises and config.global_batch_size < 2:
        raise ValueError(
            "global_batch_size must be 2 or more: the network normalises its values by those of the other rows of a batch"
        )
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    loader = _training(config, dataset, (*model.columns, label), seed)
    steps = config.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    return _Parts(model, optimizer, schedule, loader)


def _training(config: TrainConfig, dataset: Dataset, columns: tuple[str, ...], seed: int) -> Loader:
    read = ReadOptions(seed=seed, image_size=config.image_size, columns=columns)
    images = [field.name for field in dataset.schema if field.codec in (Codec.RAW_IMAGE, Codec.IMAGE)]
    transform = random_crop(images[0], padding=config.augment) if config.augment and images else None
    split = dataset.split("train")
    size = config.global_batch_size
    if split.rows < size:
        raise DatasetInvalid(f"{dataset.url}: the train split has {split.rows} rows, fewer than one batch of {size}")
    return make_loader(split, read, global_batch_size=size, num_workers=config.num_workers, transform=transform)


def _reading(config: TrainConfig, dataset: Dataset, columns: tuple[str, ...], split: str) -> Loader:
    read = ReadOptions(shuffle=False, remainder="exact", image_size=config.image_size, columns=columns)
    return make_loader(dataset.split(split), read, global_batch_size=config.global_batch_size, num_workers=config.num_workers)


def _label_of(dataset: Dataset) -> tuple[str, Vocabulary]:
    label = dataset.label
    if label is None or label not in dataset.vocabularies:
        without = "has no label" if label is None else f"has the label {label!r} without classes"
        found = "has no manifest" if dataset.manifest is None else without
        raise DatasetInvalid(
            f"{dataset.url} {found}; a recipe learns to tell classes: "
            "prepare a table by a job with --label (a text, whole number or condition), images with --label-from folder or FILE"
        )
    vocabulary = dataset.vocabularies[label]
    if vocabulary.unknown or vocabulary.size < 2:
        found = "an unknown class" if vocabulary.unknown else f"only the classes {list(vocabulary.values)}"
        raise DatasetInvalid(f"{dataset.url}: the label {label!r} has {found}; a recipe learns to tell two or more known classes")
    missing = [name for name in ("train", "validation", "test") if name not in dataset.splits]
    if missing:
        raise DatasetInvalid(
            f"{dataset.url} lacks the splits {', '.join(missing)}; prepare it with --split train=…,validation=…,test=… "
            "and rows enough for each"
        )
    return label, vocabulary


def _record(
    config: TrainConfig, dataset: Dataset, model: nn.Module, *, recipe: str, label: str, classes: int, seed: int, device: str
) -> RunRecord:
    return RunRecord(
        recipe=recipe,
        task="binary" if classes == 2 else "multiclass",
        config=config.to_json(),
        dataset=DatasetRecord(
            url=dataset.url, content=dataset.manifest.content if dataset.manifest else None, layout=dataset.fingerprint
        ),
        label=label,
        seed=seed,
        device=device,
        world_size=1,
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        price_per_device_hour=config.price_per_device_hour,
        currency=config.currency,
        parameters=sum(one.numel() for one in model.parameters()),
    )


def _begin(run: RunDirectory, record: RunRecord, *, resume: bool) -> dict[str, Any] | None:
    """Return the checkpoint to go on from, or None to begin; the run's files are made to agree with it."""
    saved = load_checkpoint(run.path) if resume else None
    if not resume and (run.path / "run.json").exists():
        raise ValueError(f"{run.path} holds a run already; resume it (--resume), or give another directory")
    if saved is None:
        run.write_run(record)
        run.drop_epochs_from(0)
        return None
    with _of_this_kind(run.path / CHECKPOINT):
        identity, epoch = dict(saved["identity"]), int(saved["loader"]["epoch"])
    for name, mine in _identity(record).items():
        if identity.get(name) != mine:
            raise ResumeMismatch(f"{run.path}: {name} differs: the checkpoint has {identity.get(name)!r}, this run {mine!r}")
    run.drop_epochs_from(epoch)
    return saved


@contextmanager
def _of_this_kind(checkpoint: Path) -> Iterator[None]:
    """Refuse a checkpoint that is no run's, or whose states fit another network or another torch."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ResumeMismatch(
            f"{checkpoint}: does not fit this run ({text[:300]}); give another --run-dir, or delete the file to begin anew"
        ) from error


def _identity(record: RunRecord) -> dict[str, Any]:
    config = {name: list(one) if isinstance(one, tuple) else one for name, one in record.config.items()}
    return {"recipe": record.recipe, "seed": record.seed, "dataset": record.dataset.layout, "config": config}


def _state(parts: _Parts, best: dict[str, Any], record: RunRecord) -> dict[str, Any]:
    return {
        "identity": _identity(record),
        "model": parts.model.state_dict(),
        "optimizer": parts.optimizer.state_dict(),
        "schedule": parts.schedule.state_dict(),
        "loader": parts.loader.state_dict(),
        "generators": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
        "best": best,
    }


def _restore(saved: dict[str, Any], parts: _Parts) -> dict[str, Any]:
    parts.model.load_state_dict(saved["model"])
    parts.optimizer.load_state_dict(saved["optimizer"])
    parts.schedule.load_state_dict(saved["schedule"])
    parts.loader.load_state_dict(saved["loader"])
    torch.set_rng_state(saved["generators"]["cpu"])
    # A run may go on where there are other GPUs, or none.
    for index, state in zip(range(torch.cuda.device_count()), saved["generators"]["cuda"], strict=False):
        torch.cuda.set_rng_state(state, index)
    best: dict[str, Any] = saved["best"]
    return best
