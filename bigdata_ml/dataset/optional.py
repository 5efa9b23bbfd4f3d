"""Whether this installation has `dataset/petastorm`: every other part of the package works without it."""

from importlib.util import find_spec

__all__ = ["has_petastorm_metadata"]


def has_petastorm_metadata() -> bool:
    """Whether Petastorm's metadata can be read and written; without it they are ignored."""
    return find_spec("bigdata_ml.dataset.petastorm") is not None
