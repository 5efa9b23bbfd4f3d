"""What makes a run of Petastorm's own tests on two stacks a failure."""

from both_stacks import Stack, complaints
from explained import FAULT_OF_PETASTORM, FAULT_OF_THE_TEST


def stack(name: str, unrun: tuple[str, ...] = (), **outcomes: str) -> Stack:
    found = Stack(name, "python", bridged=name == "bridge", outcomes=outcomes, said=dict.fromkeys(outcomes, "it said so"))
    found.collected = {*outcomes, *unrun}
    return found


def wrong(new: dict[str, str], old: dict[str, str]) -> list[str]:
    return complaints(stack("bridge", **new), stack("old", **old))


def test_equal_stacks_are_no_failure() -> None:
    assert wrong({"a": "passed", "b": "skipped"}, {"a": "passed", "b": "skipped"}) == []
    assert wrong({"a": "passed"}, {"a": "failed"}) == []


def test_what_passes_on_the_old_stack_must_pass_through_the_bridge() -> None:
    (found,) = wrong({"a": "skipped"}, {"a": "passed"})
    assert found == "a passes on the old stack and is skipped through the bridge"
    assert len(wrong({"a": "failed"}, {"a": "passed"})) == 2
    assert any("is not run through" in one for one in wrong({"b": "passed"}, {"a": "passed", "b": "passed"}))


def test_three_tests_may_fail_that_pass_on_the_old_stack() -> None:
    assert len(FAULT_OF_THE_TEST) == 3
    assert wrong(dict.fromkeys(FAULT_OF_THE_TEST, "failed"), dict.fromkeys(FAULT_OF_THE_TEST, "passed")) == []
    own = dict.fromkeys(FAULT_OF_PETASTORM, "failed")
    assert wrong(own, own) == []
    assert len(wrong(own, dict.fromkeys(FAULT_OF_PETASTORM, "passed"))) == len(FAULT_OF_PETASTORM)


def test_a_failure_that_nobody_explained_is_one_on_both_stacks_too() -> None:
    assert wrong({"a": "failed"}, {"a": "failed"}) == ["a fails and is not explained: it said so"]


def test_what_one_stack_alone_collects_is_named_both_ways() -> None:
    found = wrong({"a": "passed", "new": "passed"}, {"a": "passed", "old": "skipped"})
    assert found == [
        "old is collected on the old stack and not through the bridge",
        "new is collected through the bridge and not on the old stack",
    ]


def test_a_run_that_ended_early_is_a_failure() -> None:
    whole = stack("old", a="passed", b="failed")
    assert "ended before it ran" in complaints(stack("bridge", a="passed", unrun=("b",)), whole)[0]
    assert "ended before it ran" in complaints(stack("bridge", a="passed", b="passed"), stack("old", a="passed", unrun=("b",)))[0]
    assert complaints(stack("bridge"), None) == ["no test was collected by the stack bridge: see its log"]
