"""Begin or resume a run: its record, and the state that a checkpoint contains."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import ResumeMismatch
from bigdata_ml.report import DatasetRecord, RunDirectory, RunRecord
from bigdata_ml.train.checkpoint import CHECKPOINT, load_checkpoint
from bigdata_ml.train.config import TrainConfig
from bigdata_ml.train.setup import TrainingParts

__all__ = ["load_run", "restore", "run_record", "run_state"]


def run_record(
    config: TrainConfig, dataset: Dataset, model: nn.Module, *, recipe: str, label: str, classes: int, seed: int, device: str
) -> RunRecord:
    """Return the record of a run that starts now."""
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
        parameters=sum(weights.numel() for weights in model.parameters()),
    )


def load_run(run: RunDirectory, record: RunRecord, *, resume: bool) -> dict[str, Any] | None:
    """Return the checkpoint to resume from, or None for a new run; drop recorded epochs that come after it.

    Raises:
        ValueError: the directory contains a run and `resume` is false.
        ResumeMismatch: the checkpoint belongs to another dataset, seed or config.
    """
    saved = load_checkpoint(run.path) if resume else None
    if not resume and (run.path / "run.json").exists():
        raise ValueError(f"{run.path} already contains a run; resume it (--resume) or choose another directory")
    if saved is None:
        run.write_run(record)
        run.drop_epochs_from(0)
        return None
    with _mismatch_errors(run.path / CHECKPOINT):
        identity, epoch = dict(saved["identity"]), int(saved["loader"]["epoch"])
    for name, expected in _identity(record).items():
        if identity.get(name) != expected:
            raise ResumeMismatch(f"{run.path}: {name} differs: the checkpoint has {identity.get(name)!r}, this run {expected!r}")
    run.drop_epochs_from(epoch)
    return saved


@contextmanager
def _mismatch_errors(checkpoint: Path) -> Iterator[None]:
    """Raise `ResumeMismatch` if the checkpoint's states do not fit this run's network or this torch."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ResumeMismatch(
            f"{checkpoint}: does not fit this run ({text[:300]}); choose another --run-dir, or delete the file to start again"
        ) from error


def _identity(record: RunRecord) -> dict[str, Any]:
    config = {name: list(value) if isinstance(value, tuple) else value for name, value in record.config.items()}
    return {"recipe": record.recipe, "seed": record.seed, "dataset": record.dataset.layout, "config": config}


def run_state(parts: TrainingParts, best: dict[str, Any], record: RunRecord) -> dict[str, Any]:
    """Return the state to save in a checkpoint."""
    return {
        "identity": _identity(record),
        "model": parts.model.state_dict(),
        "optimizer": parts.optimizer.state_dict(),
        "schedule": parts.schedule.state_dict(),
        "loader": parts.loader.state_dict(),
        "generators": {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()},
        "best": best,
    }


def restore(saved: dict[str, Any], parts: TrainingParts, checkpoint: Path) -> dict[str, Any]:
    """Load the saved states into `parts` and torch's generators; return the best epoch so far.

    Raises:
        ResumeMismatch: the states do not fit.
    """
    with _mismatch_errors(checkpoint):
        return _load_states(saved, parts)


def _load_states(saved: dict[str, Any], parts: TrainingParts) -> dict[str, Any]:
    parts.model.load_state_dict(saved["model"])
    parts.optimizer.load_state_dict(saved["optimizer"])
    parts.schedule.load_state_dict(saved["schedule"])
    parts.loader.load_state_dict(saved["loader"])
    torch.set_rng_state(saved["generators"]["cpu"])
    # The new machine may have other GPUs, or none.
    for index, state in zip(range(torch.cuda.device_count()), saved["generators"]["cuda"], strict=False):
        torch.cuda.set_rng_state(state, index)
    best: dict[str, Any] = saved["best"]
    return best
