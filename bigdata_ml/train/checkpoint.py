"""Checkpoints: everything a run needs to go on as if it had never stopped, in one file replaced at once."""

import os
from pathlib import Path
from typing import Any

import torch

from bigdata_ml.errors import ResumeMismatch

__all__ = ["CHECKPOINT", "load_checkpoint", "save_checkpoint"]

CHECKPOINT = "checkpoint.pt"
VERSION = 1


def save_checkpoint(run_dir: Path, state: dict[str, Any]) -> None:
    """Write the state beside the old checkpoint and put it in its place by one rename."""
    beside = run_dir / f".{CHECKPOINT}.new"
    torch.save({"version": VERSION, **state}, beside)
    os.replace(beside, run_dir / CHECKPOINT)


def load_checkpoint(run_dir: Path) -> dict[str, Any] | None:
    """Return the state that was saved last, on the CPU, or None if there is none. Nothing but tensors and plain values is loaded.

    Raises:
        ResumeMismatch: a checkpoint of another version.
    """
    path = run_dir / CHECKPOINT
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if state.get("version") != VERSION:
        raise ResumeMismatch(f"{path}: a checkpoint of version {state.get('version')}, this library reads {VERSION}")
    return state
