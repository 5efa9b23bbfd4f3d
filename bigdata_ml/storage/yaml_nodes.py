"""YAML that others may have written: nested and repeated by aliases only so far."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

__all__ = ["MOST_NODES", "compose_yaml", "value_of"]

# Values of a file of options or rules, each alias counted as all that it repeats.
MOST_NODES = 100_000
_DEPTH = 50


def compose_yaml(text: str | bytes) -> "yaml.Node | None":
    """Return the nodes of one YAML document, None for an empty one.

    Raises:
        yaml.YAMLError: text that is no YAML.
        ValueError: values nested more than 50 deep, or in a circle; aliases that repeat more than 100,000 values.
    """
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise ValueError(f"its values are nested more than {_DEPTH} deep; write them flatter")
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is not None and _size(node, {}, _DEPTH) > MOST_NODES:
        raise ValueError(f"its aliases repeat more than {MOST_NODES} values; write out what is meant")
    return node


def value_of(node: "yaml.Node | None") -> Any:
    """Return the value of a node, as `yaml.safe_load` does; raises yaml.YAMLError, ValueError."""
    import yaml

    return None if node is None else yaml.SafeLoader("").construct_document(node)


def _size(node: Any, known: dict[int, int], depth: int) -> int:
    """Return the number of values below a node, shared ones counted each time, but walked once."""
    if id(node) in known:
        return known[id(node)]
    if depth == 0:
        raise ValueError(f"its values are nested more than {_DEPTH} deep, or in a circle; write them flatter")
    below = node.value if isinstance(node.value, list) else []
    children = [child for item in below for child in (item if isinstance(item, tuple) else (item,))]
    known[id(node)] = 1 + sum(_size(child, known, depth - 1) for child in children)
    return known[id(node)]
