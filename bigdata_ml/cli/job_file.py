"""A job's options from a YAML file, named as the flags are; flags override the file."""

import dataclasses
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_type_hints

from bigdata_ml.storage import locate, reading
from bigdata_ml.storage.yaml_nodes import compose_yaml, value_of

__all__ = ["DESCRIPTION", "with_job_file"]

DESCRIPTION = (
    "Options can also come from a YAML file (--config job.yaml), by the same names. Flags override the file; lists are joined."
)
_FLAG = "--config"


def with_job_file(arguments: Sequence[str], config: type) -> list[str]:
    """Return the arguments, preceded by the options of the file that `--config` names.

    Args:
        arguments: the command line.
        config: the job's dataclass; fields of nested dataclasses are nested under their name, or at the top level.

    Raises:
        ValueError: the file is missing, is not a mapping, or has an unknown option; the text names the closest option.
    """
    flags, urls = _split(arguments)
    return [flag for url in urls for flag in _flags_of(url, config)] + flags


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    flags, urls = [], []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == _FLAG:
            urls.append(next(remaining, ""))
        elif argument.startswith(f"{_FLAG}="):
            urls.append(argument.partition("=")[2])
        else:
            flags.append(argument)
    return flags, urls


def _flags_of(url: str, config: type) -> list[str]:
    import yaml

    if not url:
        raise ValueError("--config names a YAML file of options; write --config job.yaml")
    place = locate(url)
    if not place.exists():
        raise ValueError(f"{place.url}: no such file; check --config")
    try:
        with reading(place):
            options = value_of(compose_yaml(place.read_bytes()))
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{place.url}: cannot be read as YAML: {error}") from error
    if not isinstance(options, Mapping):
        raise ValueError(f"{place.url}: must be a mapping of options, such as `source: photos`, got {type(options).__name__}")
    return list(_flags(options, place.url, config, _names(config)))


def _names(config: type) -> dict[str, Any]:
    """Return the type of each field, including those of nested dataclasses."""
    types: dict[str, Any] = {}
    for name, kind in get_type_hints(config).items():
        types[name] = kind
        if dataclasses.is_dataclass(kind):
            types |= _names(kind if isinstance(kind, type) else type(kind))
    return types


def _flags(options: Mapping[Any, Any], url: str, config: type, names: Mapping[str, Any]) -> Iterator[str]:
    for key, value in options.items():
        name = str(key).replace("-", "_")
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else f"; they are {', '.join(sorted(names))}"
            raise ValueError(f"{url}: {config.__name__} has no option {key!r}{hint}")
        flag = f"--{name.replace('_', '-')}"
        if dataclasses.is_dataclass(names[name]):
            if not isinstance(value, Mapping):
                raise ValueError(f"{url}: {key} must be a mapping of options, got {value!r}")
            yield from _flags(value, url, config, names)
        elif isinstance(value, bool):
            yield flag if value else f"--no-{name.replace('_', '-')}"
        elif isinstance(value, Mapping):
            raise ValueError(f"{url}: option {key} must be a value or a list, got a mapping")
        elif value is not None:
            for item in value if isinstance(value, list) else [value]:
                yield f"{flag}={item}"
