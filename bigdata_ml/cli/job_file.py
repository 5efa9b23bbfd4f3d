"""A job's options from a YAML file: the same names as the flags, which win where both say something."""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_type_hints

from bigdata_ml.storage import locate, reading
from bigdata_ml.storage.yaml_nodes import compose_yaml, value_of

__all__ = ["DESCRIPTION", "with_job_file"]

DESCRIPTION = (
    "Every option may also stand in a YAML file, by its name: --config job.yaml. What is given here wins; lists are added."
)
_FLAG = "--config"


def with_job_file(arguments: Sequence[str], config: type) -> list[str]:
    """Return the arguments with those of the file that `--config` names before them.

    Args:
        arguments: the command line's.
        config: the job's dataclass; fields of dataclasses in it may stand under its name, or beside the others.

    Raises:
        ValueError: no such file, no mapping of options in it, or an option that the job does not have; the text names file,
            option and the nearest one that there is.
    """
    left, urls = _split(arguments)
    return [flag for url in urls for flag in _flags_of(url, config)] + left


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    left, urls = [], []
    waiting = iter(arguments)
    for one in waiting:
        if one == _FLAG:
            urls.append(next(waiting, ""))
        elif one.startswith(f"{_FLAG}="):
            urls.append(one.partition("=")[2])
        else:
            left.append(one)
    return left, urls


def _flags_of(url: str, config: type) -> list[str]:
    import yaml

    if not url:
        raise ValueError("--config names a YAML file of options; write --config job.yaml")
    place = locate(url)
    if not place.exists():
        raise ValueError(f"{place.url}: there is no such file; check --config")
    try:
        with reading(place):
            found = value_of(compose_yaml(place.read_bytes()))
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{place.url}: is no YAML of options: {error}") from error
    if not isinstance(found, Mapping):
        raise ValueError(f"{place.url}: must hold options by name, such as `source: photos`, it holds {type(found).__name__}")
    return list(_flags(found, place.url, config, _names(config)))


def _names(config: type) -> dict[str, Any]:
    """Return the type of each field, those of nested dataclasses among them."""
    found: dict[str, Any] = {}
    for name, kind in get_type_hints(config).items():
        found[name] = kind
        if dataclasses.is_dataclass(kind):
            found |= _names(kind if isinstance(kind, type) else type(kind))
    return found


def _flags(found: Mapping[Any, Any], url: str, config: type, names: Mapping[str, Any]) -> Iterator[str]:
    for key, value in found.items():
        name = str(key).replace("-", "_")
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; they are {', '.join(sorted(names))}"
            raise ValueError(f"{url}: {config.__name__} has no option {key!r}{hint}")
        flag = f"--{name.replace('_', '-')}"
        if dataclasses.is_dataclass(names[name]):
            if not isinstance(value, Mapping):
                raise ValueError(f"{url}: {key} holds options by name, got {value!r}")
            yield from _flags(value, url, config, names)
        elif isinstance(value, bool):
            yield flag if value else f"--no-{name.replace('_', '-')}"
        elif isinstance(value, Mapping):
            raise ValueError(f"{url}: option {key} is one value or a list of them, got a mapping")
        elif value is not None:
            for one in value if isinstance(value, list) else [value]:
                yield f"{flag}={one}"
