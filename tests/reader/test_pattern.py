"""Quotas: in every stretch from the start each dataset has its share, to within one row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigdata_ml.reader.order.pattern import make_pattern, whole_weights

WEIGHTS = st.lists(st.sampled_from([1, 1, 2, 3, 5, 8, 20, 50]), min_size=1, max_size=9)


@given(WEIGHTS)
def test_of_any_number_of_first_ranks_each_member_has_its_share_to_within_one(weights: list[int]) -> None:
    pattern, ends = make_pattern(weights), np.arange(1, 2 * sum(weights) + 1)
    owner = np.full(sum(weights), -1)
    for member, places in enumerate(pattern.places):
        assert (owner[places] == -1).all()
        owner[places] = member
    owners = np.concatenate([owner, owner])
    for member, weight in enumerate(weights):
        taken = np.cumsum(owners == member)
        assert (np.abs(taken * sum(weights) - ends * weight) < sum(weights)).all()
        assert [pattern.taken(member, end) for end in ends.tolist()] == taken.tolist()
        ranks = np.flatnonzero(owners == member)
        assert pattern.ranks(member, np.arange(len(ranks))).tolist() == ranks.tolist()
        assert [pattern.rank(member, number) for number in range(len(ranks))] == ranks.tolist()


def test_giving_each_rank_to_whoever_is_furthest_behind_would_go_astray() -> None:
    """Why the pattern goes by deadlines: these weights are the counterexample that was found."""
    weights = [1, 1, 1, 1, 1, 1, 50, 8, 50]
    taken, worst = [0] * 9, 0.0
    for rank in range(sum(weights)):
        behind = [weight * (rank + 1) - count * sum(weights) for weight, count in zip(weights, taken, strict=True)]
        taken[behind.index(max(behind))] += 1
        worst = max(worst, *(abs(w * (rank + 1) / sum(weights) - one) for w, one in zip(weights, taken, strict=True)))
    assert worst > 1.2


def test_the_pattern_is_pinned() -> None:
    assert [places.tolist() for places in make_pattern([3, 1, 2]).places]
    assert [places.tolist() for places in make_pattern([1, 1]).places] == [[0], [1]]


@pytest.mark.parametrize(
    ("weights", "whole"),
    [([3, 1], (3, 1)), ([6, 2], (3, 1)), ([0.1, 0.9], (1, 9)), ([0.5, 0.25, 0.25], (2, 1, 1)), ([1 / 3, 2 / 3], (3333, 6667))],
)
def test_weights_become_the_smallest_whole_numbers(weights: list[float], whole: tuple[int, ...]) -> None:
    assert whole_weights(weights) == whole


@pytest.mark.parametrize("weights", [[1, 10**6], [0.5, 1e-6]])
def test_weights_of_too_different_sizes_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"whole numbers of a sum up to 100,000, or each at least 1/10,000 of the sum"):
        whole_weights(weights)
