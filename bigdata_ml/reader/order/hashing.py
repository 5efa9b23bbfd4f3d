"""Counter-based randomness: every draw is a function of integers, so the order is the same on every machine.

The hash is splitmix64. numpy's generators promise no stable streams between versions (NEP 19), so none is used here, and no
floating point.
"""

import numpy as np

from bigdata_ml.dataset.splitmix64 import INCREMENT, finalise, finalise_word

__all__ = ["block_of", "delayed", "hash_word", "hash_words", "key_of", "permutation", "row_order", "row_permutation"]

_U64 = np.uint64
# Rows that are hashed at once: their intermediate values stay in the processor's cache, which more than doubles the speed.
_CHUNK = 1 << 14


def key_of(*words: int) -> int:
    """Return 64 bits that depend on all of `words` (any integers) and their order."""
    key = 0
    for word in words:
        key = finalise_word(key + word + INCREMENT)
    return key


def hash_word(key: int, word: int) -> int:
    """Return what `hash_words` gives for one word (a non-negative integer)."""
    return finalise_word(word * INCREMENT + key)


def hash_words(key: int, words: np.ndarray) -> np.ndarray:
    """Return 64 bits for each of `words` (an array of integers), uint64 of the same shape; each depends on key and word alone."""
    mixed = words.astype(_U64)
    mixed *= _U64(INCREMENT)
    mixed += _U64(key)
    return finalise(mixed)


def permutation(key: int, size: int) -> np.ndarray:
    """Return 0 … size − 1 in the order of `key`, int64 [size]."""
    return np.argsort(hash_words(key, np.arange(size, dtype=np.int64)), kind="stable")


def row_permutation(key: int, rows: np.ndarray) -> np.ndarray:
    """Return `rows` (integers [count], ascending) in the order of `key`, same dtype; see `row_order`."""
    permuted: np.ndarray = rows[row_order(key, rows)]
    return permuted


def row_order(key: int, words: np.ndarray) -> np.ndarray:
    """Return places in `words` (integers [count]) in the order of `key`, int64 [count].

    By the upper 16 bits of each word's hash, ties in the given order: numpy sorts 16 bits by radix, several times faster.
    """
    upper = np.empty(len(words), np.uint16)
    for start in range(0, len(words), _CHUNK):
        hashed = hash_words(key, words[start : start + _CHUNK])
        hashed >>= _U64(48)
        upper[start : start + _CHUNK] = hashed
    return np.argsort(upper, kind="stable")


def block_of(delay: int) -> int:
    """Return how many ranks of a stream one sort can give: 8 × `delay` at least; it sorts 2 × `delay` more."""
    return (1 << 16 << _shift(delay)) - 4 * delay


def delayed(key: int, size: int, delay: int, begin: int, end: int) -> np.ndarray:
    """Return the positions of the rows that leave at ranks begin … end − 1 of a stream, int64 [end − begin].

    A stream's rows stand at positions 0 … size − 1. Row p gets the number (p + d) >> shift, d drawn from 0 … delay − 1 by
    a hash of (key, p), and the rows leave by (number, p). So row p leaves at a rank above p − delay and below p + delay. Any
    slice is one sort over the rows of positions [begin − delay, end + delay), whatever was asked before.

    Args:
        key: of the stream in this epoch.
        size: rows of the stream.
        delay: the window, in rows of the stream; 0 and 1 leave the rows as they stand.
        begin, end: ranks, 0 <= begin <= end <= size.
    """
    if delay <= 1:
        return np.arange(begin, end, dtype=np.int64)
    block = block_of(delay)
    if end - begin > block:
        starts = range(begin, end, block)
        return np.concatenate([delayed(key, size, delay, start, min(end, start + block)) for start in starts])
    shift = _shift(delay)
    low, high = max(0, begin - delay), min(size, end + delay)
    numbers = np.empty(high - low, np.uint16)
    for start in range(low, high, _CHUNK):
        positions = np.arange(start, min(high, start + _CHUNK), dtype=np.int64)
        chunk = hash_words(key, positions)
        chunk >>= _U64(32)
        chunk *= _U64(delay)
        chunk >>= _U64(32)
        chunk += positions.view(_U64)
        chunk >>= _U64(shift)
        chunk -= _U64(low >> shift)
        numbers[start - low : start - low + len(chunk)] = chunk
    order = np.argsort(numbers, kind="stable")[begin - low : end - low]
    order += low
    return order


def _shift(delay: int) -> int:
    """Return the shift of a window, of that alone, so that every slicing gives one order; 8 windows fit into 16 bits."""
    return max(0, (max(8 * delay, 4096) + 4 * delay).bit_length() - 16)
