"""Checkpoints: all the state that a run needs to resume exactly, in one file that is replaced atomically."""

from pathlib import Path
from typing import Any

import torch

from bigdata_ml.errors import ResumeMismatch, StorageUnavailable
from bigdata_ml.storage.durable import replace_file
from bigdata_ml.storage.local import open_regular

__all__ = ["CHECKPOINT", "load_checkpoint", "save_checkpoint"]

CHECKPOINT = "checkpoint.pt"
VERSION = 1
_WAY_OUT = "delete it and train again, or restore a copy"


def save_checkpoint(run_dir: Path, state: dict[str, Any]) -> None:
    """Write the state beside the old checkpoint, sync it and rename it over the old one.

    Raises:
        StorageUnavailable: the disk is full or fails; the old checkpoint stays.
    """
    try:
        replace_file(run_dir / CHECKPOINT, lambda file: torch.save({"version": VERSION, **state}, file))
    # torch reports a full disk as a RuntimeError of its writer.
    except (OSError, RuntimeError) as error:
        text = " ".join(str(error).split())[:300]
        raise StorageUnavailable(
            f"{run_dir / CHECKPOINT}: cannot be written ({text}); free space on that disk and continue with --resume "
            "from the checkpoint of the previous epoch"
        ) from error


def load_checkpoint(run_dir: Path) -> dict[str, Any] | None:
    """Return the last saved state, on the CPU, or None. Only tensors and plain values are loaded.

    Raises:
        ResumeMismatch: the checkpoint has another version, is truncated or is not a checkpoint.
    """
    path = run_dir / CHECKPOINT
    if not path.exists():
        return None
    try:
        with open_regular(path) as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
    # zip, pickle and torch raise errors of any class for truncated and foreign files.
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ResumeMismatch(f"{path}: cannot be read as a checkpoint ({text[:300]}); {_WAY_OUT}") from error
    if not isinstance(state, dict):
        raise ResumeMismatch(f"{path}: contains {type(state).__name__}, not a run's state; {_WAY_OUT}")
    if state.get("version") != VERSION:
        raise ResumeMismatch(f"{path}: a checkpoint of version {state.get('version')}, this library reads {VERSION}")
    return state
