"""The training loop: epochs, validation, checkpoints, evaluation."""

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from bigdata_ml.dataset import Dataset, Vocabulary
from bigdata_ml.errors import TrainingFailed
from bigdata_ml.report import EpochRecord, Meter, RunDirectory, RunRecord, peak_rss_mb
from bigdata_ml.train.checkpoint import CHECKPOINT, save_checkpoint
from bigdata_ml.train.config import TrainConfig
from bigdata_ml.train.evaluate import evaluate, to_device
from bigdata_ml.train.resume import load_run, restore, run_record, run_state
from bigdata_ml.train.run_lock import run_lock
from bigdata_ml.train.setup import TrainingParts, build_parts, evaluation_loader, label_of

__all__ = ["train"]

_log = logging.getLogger(__name__)


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

    Writes run.json, metrics.jsonl (one line per epoch), checkpoint.pt (after each epoch) and evaluation.json to `run_dir`.
    The same seed gives the same model on one CPU (CUDA's pooling adds up in any order). A resumed run ends with the same
    model as an uninterrupted one.

    Args:
        config: the settings.
        dataset: a dataset with a manifest, a label with a vocabulary, and the splits train, validation and test.
        run_dir: the run's directory; must not contain a run unless `resume`.
        recipe: name of the recipe that made `config`, for the record.
        seed: seed of weights, order, augmentation and dropout.
        resume: continue from the last checkpoint, or start if there is none.
        device: torch's name of the device.
        on_epoch: called with the figures of each epoch.

    Raises:
        DatasetInvalid: the dataset cannot be trained on.
        ResumeMismatch: the checkpoint belongs to another dataset, seed or config.
        ValueError: `run_dir` contains a run and `resume` is false, or a setting does not fit the network.
        TrainingFailed: the loss or a weight is NaN or infinite; the checkpoint of the previous epoch stays.
        JobRefused: another process is writing to `run_dir`.
    """
    label, classes = label_of(dataset)
    run_dir, torch_device = Path(run_dir), torch.device(device)
    run = RunDirectory(run_dir)
    torch.manual_seed(seed)
    parts = build_parts(config, dataset, label=label, seed=seed, device=torch_device)
    record = run_record(config, dataset, parts.model, recipe=recipe, label=label, classes=classes.size, seed=seed, device=device)
    with run_lock(run_dir):
        return _run(config, dataset, run, record, parts, classes, torch_device, resume=resume, on_epoch=on_epoch)


def _run(
    config: TrainConfig,
    dataset: Dataset,
    run: RunDirectory,
    record: RunRecord,
    parts: TrainingParts,
    classes: Vocabulary,
    device: torch.device,
    *,
    resume: bool,
    on_epoch: Callable[[EpochRecord], None],
) -> dict[str, Any]:
    label, columns = record.label, (*parts.model.columns, record.label)
    best: dict[str, Any] = {"loss": math.inf, "epoch": -1, "model": parts.model.state_dict()}
    saved = load_run(run, record, resume=resume)
    if saved is not None:
        best = restore(saved, parts, run.path / CHECKPOINT)
    validation = evaluation_loader(config, dataset, columns, "validation")
    for epoch in range(parts.loader.epoch, config.epochs):
        measured = _epoch(config, parts, label, dataset.split("train").rows, epoch, device)
        _check_numbers(measured["train_loss"], parts.model, run.path, epoch)
        scores = evaluate(parts.model, validation, label=label, classes=classes, split="validation", device=device)
        _check_numbers(scores["log_loss"], parts.model, run.path, epoch)
        # Choose by the loss: on a small split many epochs have the same accuracy.
        if best["epoch"] < 0 or scores["log_loss"] < best["loss"]:
            weights = {name: weight.clone() for name, weight in parts.model.state_dict().items()}
            best = {"loss": scores["log_loss"], "epoch": epoch, "model": weights}
        figures = EpochRecord(
            **measured,
            validation_loss=scores["log_loss"],
            validation_top1=scores.get("top1"),
            validation_roc_auc=scores.get("roc_auc"),
            peak_rss_mb=peak_rss_mb(),
        )
        run.append_epoch(figures)
        save_checkpoint(run.path, run_state(parts, best, record))
        on_epoch(figures)
    parts.model.load_state_dict(best["model"])
    test = evaluation_loader(config, dataset, columns, "test")
    evaluation = evaluate(parts.model, test, label=label, classes=classes, split="test", device=device)
    evaluation["epoch"] = best["epoch"]
    _warn_missing_classes(dataset.url, evaluation)
    run.write_evaluation(evaluation)
    return evaluation


def _warn_missing_classes(url: str, evaluation: Mapping[str, Any]) -> None:
    """Log the classes without a row in the split, and the undefined metrics."""
    empty = [name for name, row in zip(evaluation["classes"], evaluation["confusion"], strict=True) if not sum(row)]
    if empty:
        more = f" and {len(empty) - 10} more" if len(empty) > 10 else ""
        _log.warning("%s: the %s split has no row of class %s%s", url, evaluation["split"], ", ".join(empty[:10]), more)
        for metric, why in evaluation["undefined"].items():
            _log.warning("%s: %s is not defined: %s", url, metric, why)


def _check_numbers(loss: float, model: nn.Module, place: Path, epoch: int) -> None:
    """Raise `TrainingFailed` if the loss or a weight is NaN or infinite: no later step can recover."""
    weights = [weight for weight in model.state_dict().values() if weight.is_floating_point()]
    if math.isfinite(loss) and all(bool(torch.isfinite(weight).all()) for weight in weights):
        return
    raise TrainingFailed(
        f"{place}: in epoch {epoch + 1} the loss is {loss:g} or a weight is not finite; "
        "use a smaller learning rate (--learning-rate) or a larger batch (--global-batch-size), and check the dataset's "
        "quality page for outliers"
    )


def _epoch(config: TrainConfig, parts: TrainingParts, label: str, rows: int, epoch: int, device: torch.device) -> dict[str, Any]:
    """Train one epoch and return its metrics."""
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
