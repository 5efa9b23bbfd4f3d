"""The order inside a stream: any slice is the whole order's, the whole order is a sort by hand, and draws are pinned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigdata_ml.reader.order.hashing import block_of, delayed, hash_word, hash_words, key_of, permutation, row_permutation

DELAYS = (0, 1, 2, 7, 8, 40, 3000)


def by_hand(key: int, size: int, delay: int) -> list[int]:
    """The definition, in Python's integers: rows leave by ((p + ⌊u × delay⌋) >> shift, p)."""
    if delay <= 1:
        return list(range(size))
    shift = max(0, (max(8 * delay, 4096) + 4 * delay).bit_length() - 16)
    return sorted(range(size), key=lambda p: ((p + ((hash_word(key, p) >> 32) * delay >> 32)) >> shift, p))


def test_the_draws_are_pinned() -> None:
    assert (key_of(1, 2, 3), key_of(-1, 2**64), hash_word(3, 4)) == (
        7702586659592502839,
        6755974106381971767,
        1344154044715485647,
    )
    assert permutation(5, 8).tolist() == [4, 5, 3, 6, 1, 0, 2, 7]
    assert row_permutation(5, np.arange(8)).tolist() == [4, 5, 3, 6, 1, 0, 2, 7]
    assert delayed(9, 1000, 50, 0, 8).tolist() == [6, 3, 5, 9, 12, 0, 14, 22]
    assert delayed(9, 10**9, 262_144, 10**8, 10**8 + 3).tolist() == [100014516, 100017992, 100018069]


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=9))
def test_a_word_is_hashed_the_same_alone_and_in_an_array(key: int, words: list[int]) -> None:
    assert hash_words(key, np.array(words)).tolist() == [hash_word(key, word) for word in words]


@given(st.integers(0, 2**64 - 1), st.integers(0, 400), st.sampled_from(DELAYS))
def test_the_whole_order_is_the_sort_by_hand(key: int, size: int, delay: int) -> None:
    assert delayed(key, size, delay, 0, size).tolist() == by_hand(key, size, delay)


@pytest.mark.parametrize("delay", [*DELAYS, 12_288, 70_000])
def test_any_slice_is_the_whole_orders_and_rows_move_less_than_the_window(delay: int) -> None:
    size, numbers = 150_000, np.random.default_rng(delay)
    whole = np.concatenate([delayed(3, size, delay, a, min(size, a + 999)) for a in range(0, size, 999)])
    assert (np.bincount(whole, minlength=size) == 1).all()
    assert np.abs(whole - np.arange(size)).max() < max(1, delay)
    for begin, end in [(0, size), *np.sort(numbers.integers(0, size + 1, (30, 2))).tolist()]:
        assert (delayed(3, size, delay, begin, end) == whole[begin:end]).all()


def test_slices_longer_than_a_block_keep_their_numbers_within_16_bits() -> None:
    for delay in (2, 513, 8192, 9000, 65_536):
        size = 3 * block_of(delay) + 5
        assert (np.bincount(delayed(1, size, delay, 0, size), minlength=size) == 1).all()


@given(st.integers(0, 2**64 - 1), st.lists(st.integers(0, 10**6 - 1), unique=True, max_size=300))
def test_rows_keep_their_relative_order_when_others_are_left_out(key: int, rows: list[int]) -> None:
    every = row_permutation(key, np.arange(10**6))
    chosen = np.sort(np.array(rows, np.int64))
    assert row_permutation(key, chosen).tolist() == every[np.isin(every, chosen)].tolist()


def test_streams_of_other_keys_delay_independently() -> None:
    ranks = np.arange(5000, 95_000)
    one, other = (delayed(key_of(0, 0, 2, stream), 100_000, 5000, 5000, 95_000) - ranks for stream in (0, 1))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.015 < abs(np.corrcoef(one, one)[0, 1])
