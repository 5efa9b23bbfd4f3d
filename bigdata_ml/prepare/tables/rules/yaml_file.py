"""Reads rules from YAML; unknown keys and wrong values are refused with their line."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.tables.rules import model
from bigdata_ml.prepare.tables.rules.model import Scalar, Severity, TableRules
from bigdata_ml.storage import locate, reading
from bigdata_ml.storage.yaml_nodes import compose_yaml

__all__ = ["nearest", "parse_rules", "read_rules"]

_Read = Callable[[yaml.Node], Any]


def read_rules(url: str) -> TableRules:
    """Return the rules of the YAML file at `url`.

    Raises:
        JobRefused: the file does not exist or is not a valid rules file; the text names the line.
    """
    place = locate(url)
    if not place.exists():
        raise JobRefused(f"{place.url}: the rules file does not exist; check --rules")
    try:
        with reading(place):
            text = place.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise JobRefused(f"{place.url}: a rules file must be UTF-8 text: {error}") from error
    return parse_rules(text, place=place.url)


def parse_rules(text: str, *, place: str = "rules") -> TableRules:
    """Return the rules in YAML text; errors name `place`.

    >>> parse_rules("columns: {price: {range: {min: 0}}}").columns[0].range.least
    0

    Raises:
        JobRefused: as `read_rules`.
    """
    try:
        node = compose_yaml(text)
        if node is None:
            return TableRules()
        values = _values(node, {"columns": _columns, "duplicates": _duplicates})
        return _construct(TableRules, node, values)  # type: ignore[no-any-return]
    except _RuleError as error:
        raise JobRefused(f"{place}, line {error.line}: {error}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise JobRefused(f"{place}, line {line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise JobRefused(f"{place}: not valid YAML: {' '.join(str(error).split())}") from error


class _RuleError(Exception):
    """A part of the file that is not a valid rule."""

    def __init__(self, node: yaml.Node, text: str) -> None:
        super().__init__(text)
        self.line = node.start_mark.line + 1


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question that suggests the known name nearest to a mistyped one; empty if none is similar."""
    similar = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {similar[0]!r}? " if similar else ""


def _columns(node: yaml.Node) -> tuple[model.ColumnRules, ...]:
    columns = []
    for key, value in _pairs(node):
        rules = {"name": _text(key), **_values(value, _RULES)}
        columns.append(_construct(model.ColumnRules, value, rules))
    return tuple(columns)


def _duplicates(node: yaml.Node) -> model.DuplicateRule:
    return _rule(model.DuplicateRule, {"key": _texts, "keep": _text, "by": _text}, "key")(node)  # type: ignore[no-any-return]


def _rule(kind: type, reads: Mapping[str, _Read], short: str, *, names: Mapping[str, str] | None = None) -> _Read:
    """Return a function that reads a rule: a mapping of its keys, or only the value of the key `short`."""
    judged = "otherwise" in kind.__dataclass_fields__  # type: ignore[attr-defined]
    known: dict[str, _Read] = {**reads, **({"otherwise": _severity, "fill": _scalar} if judged else {})}

    def read(node: yaml.Node) -> Any:
        if isinstance(node, yaml.MappingNode):
            values = _values(node, known)
        elif short == "otherwise":
            values = {} if _scalar(node) is True else {"otherwise": _severity(node)}
        elif not short:
            if _scalar(node) is not True:
                raise _RuleError(node, f"expected `true` or a mapping of {', '.join(known)}, got {_described(node)}")
            values = {}
        else:
            values = {short: known[short](node)}
        values = {(names or {}).get(name, name): value for name, value in values.items()}
        if judged:
            values = _with_otherwise(node, values)
        return _construct(kind, node, values)

    return read


def _with_otherwise(node: yaml.Node, values: dict[str, Any]) -> dict[str, Any]:
    fill = {"fill": values.pop("fill")} if "fill" in values else {}
    if fill and "otherwise" not in values:
        raise _RuleError(node, "a fill value needs `otherwise: fill`; add it")
    if "otherwise" in values:
        values["otherwise"] = _construct(model.Otherwise, node, {"severity": values["otherwise"], **fill})
    return values


def _range(node: yaml.Node) -> model.RangeRule:
    if isinstance(node, yaml.SequenceNode) and len(node.value) == 2:
        least, greatest = map(_scalar, node.value)
        return _construct(model.RangeRule, node, {"least": least, "greatest": greatest})  # type: ignore[no-any-return]
    if not isinstance(node, yaml.MappingNode):
        raise _RuleError(node, f"range must be [min, max] or a mapping of min and max, got {_described(node)}")
    names = {"min": "least", "max": "greatest"}
    return _rule(model.RangeRule, {"min": _scalar, "max": _scalar}, "", names=names)(node)  # type: ignore[no-any-return]


def _construct(kind: type, node: yaml.Node, values: Mapping[str, Any]) -> Any:
    try:
        return kind(**values)
    except TypeError as error:
        missing = re.findall(r"'(\w+)'", str(error))
        raise _RuleError(node, f"{', '.join(missing)} must be given") from error
    except ValueError as error:
        raise _RuleError(node, str(error)) from error


def _values(node: yaml.Node, reads: Mapping[str, _Read]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in _pairs(node):
        name = _text(key)
        if name not in reads:
            raise _RuleError(key, f"unknown key {name!r}; {nearest(name, reads)}the known keys are {', '.join(reads)}")
        values[name] = reads[name](value)
    return values


def _pairs(node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise _RuleError(node, f"expected keys and values, got {_described(node)}")
    seen: set[str] = set()
    for key, _ in node.value:
        if _text(key) in seen:
            raise _RuleError(key, f"the key {_text(key)!r} occurs twice; remove one")
        seen.add(_text(key))
    return list(node.value)


def _severity(node: yaml.Node) -> Severity:
    text = _text(node)
    try:
        return Severity(text)
    except ValueError as error:
        known = [severity.value for severity in Severity]
        raise _RuleError(node, f"got severity {text!r}; {nearest(text, known)}it must be one of {', '.join(known)}") from error


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _RuleError(node, f"expected a text, got {_described(node)}")
    return str(node.value)


def _texts(node: yaml.Node) -> tuple[str, ...]:
    return tuple(map(_text, node.value)) if isinstance(node, yaml.SequenceNode) else (_text(node),)


def _scalar(node: yaml.Node) -> Scalar | None:
    """Return a number only if printing it gives the same text: 007, 1.50, NO and 2024-01-31 stay text."""
    text = _text(node)
    if not isinstance(node, yaml.ScalarNode) or node.style in ("'", '"'):
        return text
    words: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
    if text in words:
        return words[text]
    for number in (int, float):
        try:
            if str(number(text)) == text:
                return number(text)
        except ValueError:
            continue
    return text


def _scalars(node: yaml.Node) -> tuple[Scalar, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise _RuleError(node, f"expected a list [a, b, …], got {_described(node)}")
    values = []
    for item in node.value:
        value = _scalar(item)
        if value is None:
            raise _RuleError(item, "null cannot be listed; use not_null to forbid it, and nothing to allow it")
        values.append(value)
    return tuple(values)


def _number(node: yaml.Node) -> float:
    try:
        return float(_text(node))
    except ValueError as error:
        raise _RuleError(node, f"expected a number, got {_described(node)}") from error


def _flag(node: yaml.Node) -> bool:
    value = _scalar(node)
    if not isinstance(value, bool):
        raise _RuleError(node, f"expected true or false, got {_described(node)}")
    return value


def _described(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return repr(node.value)
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"


_RULES: dict[str, _Read] = {
    "null_values": _rule(model.NullValues, {"values": _texts}, "values"),
    "type": _rule(
        model.TypeRule,
        {"is": _text, "formats": _texts, "day_first": _flag, "ambiguous": _severity, "zone": _text, "unwrap": _flag},
        "is",
        names={"is": "kind"},
    ),
    "normalise": _rule(model.Normalise, {"spaces": _flag, "case": _text, "unicode": _text}, ""),
    "set": _rule(model.SetRule, {"values": _scalars}, "values"),
    "regex": _rule(model.RegexRule, {"pattern": _text}, "pattern"),
    "range": _range,
    "not_null": _rule(model.NotNullRule, {}, "otherwise"),
    "outliers": _rule(model.OutlierRule, {"method": _text, "low": _number, "high": _number, "times": _number}, "method"),
    "unique": _rule(model.UniqueRule, {}, "otherwise"),
    "references": _rule(model.ReferenceRule, {"table": _text, "column": _text}, ""),
}
