"""Checkpoints: everything a run needs to go on as if it had never stopped, in one file replaced at once."""

from pathlib import Path
from typing import Any

import torch

from bigdata_ml.errors import ResumeMismatch, StorageUnavailable
from bigdata_ml.storage.durable import replace_file
from bigdata_ml.storage.local import open_regular

__all__ = ["CHECKPOINT", "load_checkpoint", "save_checkpoint"]

CHECKPOINT = "checkpoint.pt"
VERSION = 1
_WAY_OUT = "delete it and train anew, or put a copy of it back"


def save_checkpoint(run_dir: Path, state: dict[str, Any]) -> None:
    """Write the state beside the old checkpoint and put it in its place by one rename, when the disk has it.

    Raises:
        StorageUnavailable: the disk is full or does not take it; the old checkpoint stays.
    """
    try:
        replace_file(run_dir / CHECKPOINT, lambda file: torch.save({"version": VERSION, **state}, file))
    # torch says of a full disk that its writer failed.
    except (OSError, RuntimeError) as error:
        text = " ".join(str(error).split())[:300]
        raise StorageUnavailable(
            f"{run_dir / CHECKPOINT}: cannot be written ({text}); make room on that disk and go on with --resume, "
            "from the checkpoint of the epoch before"
        ) from error


def load_checkpoint(run_dir: Path) -> dict[str, Any] | None:
    """Return the state that was saved last, on the CPU, or None if there is none. Nothing but tensors and plain values is loaded.

    Raises:
        ResumeMismatch: a checkpoint of another version, or a file that is torn or no checkpoint.
    """
    path = run_dir / CHECKPOINT
    if not path.exists():
        return None
    try:
        with open_regular(path) as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
    # A file that is torn or of another kind is refused by the errors of zip, pickle and torch, which are of any class.
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise ResumeMismatch(f"{path}: cannot be read as a checkpoint ({text[:300]}); {_WAY_OUT}") from error
    if not isinstance(state, dict):
        raise ResumeMismatch(f"{path}: holds {type(state).__name__}, not a run's state; {_WAY_OUT}")
    if state.get("version") != VERSION:
        raise ResumeMismatch(f"{path}: a checkpoint of version {state.get('version')}, this library reads {VERSION}")
    return state
