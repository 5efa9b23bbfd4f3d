import pytest

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.tables.rules.yaml_file import parse_rules
from bigdata_ml.storage.yaml_nodes import compose_yaml, value_of

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
BOMBS = {
    "aliases repeat more than 100000 values": LAUGHS,
    "nested more than 50 deep": "a: " + "[" * 20_000,
    "or in a circle": "a: &a [*a]",
}


@pytest.mark.parametrize("text", BOMBS)
def test_yaml_that_grows_without_end_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        compose_yaml(BOMBS[text])
    with pytest.raises(JobRefused, match=f"here: .*{text}"):
        parse_rules(BOMBS[text], place="here")


def test_a_few_aliases_are_read() -> None:
    assert value_of(compose_yaml("a: &a [1, x]\nb: *a\nc: {<<: {d: 2}}")) == {"a": [1, "x"], "b": [1, "x"], "c": {"d": 2}}
    assert value_of(compose_yaml("")) is None
