"""A job that refuses more than it may says which limit, with the counts."""

import pytest

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.publish.gate import Limit, check_limits, check_reasons

REASONS = ("duplicate", "undecodable", "blurry")


def check(*texts: str, duplicate: int = 5, undecodable: int = 2, found: int = 200) -> None:
    limits = [Limit.parse(text) for text in texts]
    check_reasons(limits, REASONS)
    check_limits("photos", limits, {"duplicate": duplicate, "undecodable": undecodable}, {"blurry": 30}, found=found)


def test_limits_that_are_just_kept_are_kept() -> None:
    check("3.5%", "7", "duplicate=2.5%", "undecodable=2", "blurry=30", "100%")
    check()
    check("0%", "0", duplicate=0, undecodable=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3.4%", r"7 of 200 rows were refused \(3\.50%\), and 3\.4 % may be"),
        ("6", r"7 of 200 rows were refused \(3\.50%\), and 6 may be"),
        ("duplicate=2%", r"5 of 200 rows were refused as duplicate \(2\.50%\), and 2 % may be"),
        ("blurry=10%", r"30 of 200 rows were noticed as blurry \(15\.00%\), and 10 % may be"),
        ("undecodable=0", r"2 of 200 rows were refused as undecodable \(1\.00%\), and 0 may be"),
        ("10%", ""),
    ],
)
def test_a_limit_that_is_exceeded_is_named_with_the_counts(text: str, said: str) -> None:
    if not said:
        check(text)
        return
    with pytest.raises(JobRefused, match=rf"^photos: nothing was published: {said}; look at"):
        check(text)


def test_all_limits_that_are_exceeded_are_named() -> None:
    with pytest.raises(JobRefused, match=r"as duplicate .*; 2 of 200 rows were refused as undecodable"):
        check("duplicate=1", "undecodable=1", "50%")


@pytest.mark.parametrize("text", ["", "%", "-1", "1.5", "101%", "duplicate=", "1%%", "=1%"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="max_refused"):
        Limit.parse(text)


def test_a_reason_that_the_job_does_not_know_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"nothing as 'duplicates'; its reasons are blurry, duplicate, undecodable"):
        check("duplicates=1%")
