"""Cut text files into parts, and pack the parts into tasks."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from pyspark.sql import SparkSession

from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.sources.text_files.parts import FilePart, Seen, packed_parts
from bigdata_ml.prepare.sources.text_files.stream import TextPart, is_splittable, start_of, texts_of

__all__ = ["cost_of", "cut_file", "goal_bytes", "number_lines", "packs", "whole_file"]

# Bytes per task; fewer if some core would get no task.
_LEAST_BYTES, _MOST_BYTES = 4 << 20, 32 << 20
_HEADER_BYTES = 64 << 10


def goal_bytes(spark: SparkSession, total: int) -> int:
    """Return how many bytes a part should have, of `total` bytes."""
    return min(_MOST_BYTES, max(_LEAST_BYTES, total // (2 * spark.sparkContext.defaultParallelism)))


def cut_file(whole: FilePart, goal: int, kind: str, form: TextFormat) -> Iterator[FilePart]:
    """Yield parts of about `goal` bytes; a file that cannot be split is one part."""
    part = whole.part
    if part.size <= 2 * goal or not is_splittable(part.url, form) or (kind == "json" and _is_array(part, form)):
        yield whole
        return
    starts = {0}
    for near in range(goal, part.size - goal // 2, goal):
        start = start_of(part.url, part.size, near=near)
        if start is None:
            yield whole
            return
        starts.add(start)
    for start, end in itertools.pairwise([*sorted(starts - {part.size}), part.size]):
        yield replace(whole, part=replace(part, start=start, end=end), is_whole=False)


def _is_array(part: TextPart, form: TextFormat) -> bool:
    with closing(texts_of(part, form, piece_bytes=_HEADER_BYTES)) as texts:
        return any(text.lstrip(" \t\r\n").startswith("[") for text in itertools.islice(texts, 1))


def whole_file(file_part: FilePart) -> FilePart:
    """Return a part as its whole file."""
    return replace(file_part, part=replace(file_part.part, start=0, end=-1), is_whole=True)


def packs(spark: SparkSession, parts: Sequence[FilePart]) -> Iterator[bytes]:
    """Yield packs of parts with similar numbers of bytes; small inputs make at most one task per core."""
    total = sum(cost_of(file_part) for file_part in parts)
    most = min(_MOST_BYTES, max(_LEAST_BYTES, -(-total // spark.sparkContext.defaultParallelism)))
    pack, held = list[FilePart](), 0
    for file_part in parts:
        if pack and held + cost_of(file_part) > most:
            yield packed_parts(pack)
            pack, held = [], 0
        pack.append(file_part)
        held += cost_of(file_part)
    yield packed_parts(pack)


def cost_of(file_part: FilePart) -> int:
    """Return the bytes of a part, plus the cost of opening its file in bytes."""
    # Opening a file costs about as much as reading 16 KiB.
    return (file_part.part.size if file_part.part.end < 0 else file_part.part.end) - file_part.part.start + (16 << 10)


def number_lines(parts: Sequence[FilePart], seen: Sequence[Seen]) -> tuple[list[FilePart], list[int]]:
    """Return the parts with their first line numbers, and the number of lines of the file before each."""
    before: dict[int, int] = {}
    numbered, lines = [], []
    for file_part, part_seen in zip(parts, seen, strict=True):
        line = before.get(file_part.file, 0)
        numbered.append(replace(file_part, part=replace(file_part.part, line=line + 1)))
        lines.append(line)
        before[file_part.file] = line + part_seen.lines
    return numbered, lines
