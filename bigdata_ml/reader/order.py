"""Counter-based randomness: every draw is a function of integers, so the order is the same on every machine.

splitmix64: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. numpy's
generators promise no stable streams between versions (NEP 19), so none is used here.
"""

import numpy as np

__all__ = ["hash_words", "key_of", "permutation"]

_U64 = np.uint64
_GOLDEN, _FIRST, _SECOND = _U64(0x9E3779B97F4A7C15), _U64(0xBF58476D1CE4E5B9), _U64(0x94D049BB133111EB)


def key_of(*words: int) -> int:
    """Return 64 bits that depend on all of `words` (any integers) and their order."""
    key = np.zeros(1, _U64)
    with np.errstate(over="ignore"):
        for word in words:
            key = _finalise(key + _U64(word & 0xFFFFFFFFFFFFFFFF) + _GOLDEN)
    return int(key[0])


def hash_words(key: int, words: np.ndarray) -> np.ndarray:
    """Return 64 bits for each of `words` (integers, any shape), uint64 of the same shape; word i depends on key and i alone."""
    with np.errstate(over="ignore"):
        return _finalise(words.astype(_U64) * _GOLDEN + _U64(key))


def permutation(key: int, size: int) -> np.ndarray:
    """Return 0 … size − 1 in the order of `key`, int64 [size]."""
    return np.argsort(hash_words(key, np.arange(size, dtype=np.int64)), kind="stable")


def _finalise(values: np.ndarray) -> np.ndarray:
    mixed = (values ^ (values >> _U64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> _U64(27))) * _SECOND
    return np.asarray(mixed ^ (mixed >> _U64(31)))
