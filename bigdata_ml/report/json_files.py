"""JSON and JSON-lines files that a killed process leaves readable. Numbers that are not finite are written as null."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bigdata_ml.dataset.checks.json import parse_json
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.storage.durable import replace_file
from bigdata_ml.storage.local import read_regular

__all__ = ["Lines", "append_line", "read_json", "read_lines", "write_bytes", "write_json", "write_lines"]


@dataclass(frozen=True, slots=True)
class Lines:
    """The objects of a JSON-lines file, and the torn last line that was left out, or None."""

    objects: tuple[dict[str, Any], ...]
    torn: str | None


def write_bytes(path: Path, data: bytes) -> None:
    """Replace the file by one rename, synced, making the directories above it: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: file.write(data))


def write_json(path: Path, written: Mapping[str, Any]) -> None:
    """Replace the file by `written` as JSON."""
    text = json.dumps(_finite(written), indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, f"{text}\n".encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the file.

    Raises:
        MetadataUnreadable: a file that cannot be read or holds no JSON object, naming it.
    """
    try:
        content = parse_json(read_regular(path))
    except (OSError, ValueError) as error:
        raise MetadataUnreadable(f"{path}: cannot be read as JSON ({error}); delete it or write it again") from error
    if not isinstance(content, dict):
        raise MetadataUnreadable(f"{path}: must hold a JSON object, it holds {type(content).__name__}; write it again")
    return content


def append_line(path: Path, written: Mapping[str, Any]) -> None:
    """Add a line and wait until the disk has it; a line torn by an earlier death is cut off first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not through a link, and never waiting for a FIFO.
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(_line(written))
        file.flush()
        os.fsync(file.fileno())


def write_lines(path: Path, objects: Iterable[Mapping[str, Any]]) -> None:
    """Replace the file by those lines."""
    write_bytes(path, b"".join(map(_line, objects)))


def read_lines(path: Path) -> Lines:
    """Return the lines of the file; none if there is no file.

    Raises:
        MetadataUnreadable: a whole line that holds no JSON object, naming file and line.
    """
    if not path.exists():
        return Lines((), None)
    *whole, last = read_regular(path).split(b"\n")
    objects = []
    for number, line in enumerate(whole, start=1):
        try:
            objects.append(dict(parse_json(line)))
        except (ValueError, TypeError) as error:
            raise MetadataUnreadable(f"{path} line {number}: must hold a JSON object ({error}); delete that line") from error
    return Lines(tuple(objects), last.decode(errors="replace") or None)


def _line(written: Mapping[str, Any]) -> bytes:
    return json.dumps(_finite(written), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(element) for element in value]
    return value
