"""Starts Petastorm's worker processes through the bridge, with the globals that the main program's functions use."""

import pickle
import subprocess
from collections.abc import Sequence
from typing import IO, Any

__all__ = ["dump", "pickled_item", "start_worker"]


def start_worker(args: Sequence[str], **options: Any) -> "subprocess.Popen[bytes]":
    """Start `python -m petastorm.… ARGS` as `python -m bigdata_ml.petastorm_bridge -m petastorm.… ARGS`."""
    python, *rest = args
    if rest[0] != "-m" or not rest[1].startswith("petastorm."):
        raise ValueError(f"only modules of petastorm are started through the bridge, got {list(args)}")
    return subprocess.Popen([python, "-m", __package__ or "", *rest], **options)


def dump(value: Any, file: IO[bytes]) -> None:
    """Pickle a worker process's start arguments into a file."""
    file.write(_with_globals(value))


def pickled_item(item: Any) -> bytes:
    """Pickle an item of work, including lambdas, which pickle refuses and which used to hang the reader."""
    try:
        return pickle.dumps(item)
    except (AttributeError, TypeError, pickle.PicklingError):
        return _with_globals(item)


def _with_globals(value: Any) -> bytes:
    """Pickle functions of the main program with the globals that they use, its modules among them.

    By default dill refers to `__main__` for them, which in the worker is another program (uber/petastorm 585).
    """
    import dill

    return bytes(dill.dumps(value, recurse=True))
