"""splitmix64: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014."""

import numpy as np

__all__ = ["INCREMENT", "finalise", "finalise_word"]

INCREMENT = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = 2**64 - 1
_U64 = np.uint64


def finalise(words: np.ndarray) -> np.ndarray:
    """Apply the finaliser to `words` (uint64, any shape) in place, and return them."""
    words ^= words >> _U64(30)
    words *= _U64(_FIRST)
    words ^= words >> _U64(27)
    words *= _U64(_SECOND)
    words ^= words >> _U64(31)
    return words


def finalise_word(word: int) -> int:
    """Return what `finalise` gives for one word (any integer, taken modulo 2^64)."""
    word &= _MASK
    word = ((word ^ (word >> 30)) * _FIRST) & _MASK
    word = ((word ^ (word >> 27)) * _SECOND) & _MASK
    return word ^ (word >> 31)
