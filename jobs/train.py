"""Train a recipe on a dataset: `python jobs/train.py --recipe first_network --dataset URL --run-dir DIR`."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bigdata_ml.cli import run_job
from bigdata_ml.dataset import Dataset
from bigdata_ml.report import EpochRecord
from bigdata_ml.train import recipe, train


@dataclass(frozen=True, kw_only=True)
class TrainJob:
    """Train a recipe on a dataset.

    Attributes:
        recipe: name of the recipe; `bigdata-ml recipes` lists them.
        dataset: URL of the dataset.
        run_dir: directory of the run's files; with --repeat, of one directory `seed-N` per run.
        resume: continue from the last checkpoint.
        seed: seed of weights, order, augmentation and dropout.
        repeat: number of runs, with seeds `seed`, `seed` + 1, …; the report shows mean and deviation.
        device: torch device; default: a GPU if there is one.
        epochs, global_batch_size, learning_rate, image_size, price_per_device_hour: override the recipe's setting.
    """

    recipe: str
    dataset: str
    run_dir: Path
    resume: bool = False
    seed: int = 0
    repeat: int = 1
    device: str | None = None
    epochs: int | None = None
    global_batch_size: int | None = None
    learning_rate: float | None = None
    image_size: tuple[int, int] | None = None
    price_per_device_hour: float | None = None


def main(job: TrainJob) -> None:
    """Train all runs of the job."""
    dataset = Dataset.open(job.dataset)
    names = ("epochs", "global_batch_size", "learning_rate", "image_size", "price_per_device_hour")
    given = {name: getattr(job, name) for name in names if getattr(job, name) is not None}
    config = replace(recipe(job.recipe)(dataset), **given)
    device = job.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        # Decoding threads and torch's share the cores; more threads than cores slow down both.
        torch.set_num_threads(max(1, (os.cpu_count() or 1) - config.num_workers))
    for seed in range(job.seed, job.seed + job.repeat):
        run_dir = job.run_dir / f"seed-{seed}" if job.repeat > 1 else job.run_dir

        def show(epoch: EpochRecord, seed: int = seed) -> None:
            _show(epoch, config.epochs, seed)

        scores = train(config, dataset, run_dir, recipe=job.recipe, seed=seed, resume=job.resume, device=device, on_epoch=show)
        print(f"seed {seed}: test {_headline(scores)}", flush=True)


def _show(epoch: EpochRecord, epochs: int, seed: int) -> None:
    left = (epochs - epoch.epoch - 1) * epoch.seconds
    metric = epoch.validation_top1 if epoch.validation_top1 is not None else epoch.validation_roc_auc
    line = (
        f"seed {seed} epoch {epoch.epoch + 1}/{epochs}: {epoch.rows} rows, {epoch.rows_per_second:,.0f}/s, "
        f"waiting {epoch.wait_seconds / epoch.seconds:.0%}, loss {epoch.train_loss:.4f}, "
        f"validation {_number(metric)}, {left:.0f} s left"
    )
    # On a terminal one line is overwritten; a log gets every tenth epoch.
    if sys.stderr.isatty():
        print(f"\r{line:<110}", end="" if epoch.epoch + 1 < epochs else "\n", file=sys.stderr, flush=True)
    elif epochs <= 10 or (epoch.epoch + 1) % 10 == 0:
        print(line, file=sys.stderr, flush=True)


def _headline(evaluation: dict[str, Any]) -> str:
    names = ("top1", "top5") if evaluation["task"] == "multiclass" else ("roc_auc", "accuracy")
    return ", ".join(f"{name} {_number(evaluation[name])}" for name in (*names, "log_loss", "majority_accuracy"))


def _number(metric: float | None) -> str:
    return "undefined" if metric is None else f"{metric:.4f}"


if __name__ == "__main__":
    sys.exit(run_job(TrainJob, main))
