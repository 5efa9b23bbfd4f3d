"""Checks a Parquet footer before pyarrow reads it: pyarrow ends the interpreter on some that disagree with themselves.

What is checked is the thrift definition of Apache Parquet's `FileMetaData`; a field of another type than there is passed over by
pyarrow, and so here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bigdata_ml.dataset.parquet.thrift import BINARY, I32, I64, LIST, STRUCT, Fields, Thrift, key, list_key

__all__ = ["check_footer"]

_DEPTH = 100
_TYPES, _CODECS = range(8), range(8)
_OPTIONAL, _REPEATED = 1, 2
_BYTE_ARRAY, _FIXED = 6, 7
# Bytes of a value by physical type: boolean, int32, int64, int96, float, double.
_WIDTHS = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}
# Fields of FileMetaData, SchemaElement, RowGroup, ColumnChunk, ColumnMetaData and SizeStatistics.
_SCHEMA, _ROWS, _GROUPS, _ENCRYPTION = 2, 3, 4, 8
_KIND, _WIDTH, _REPETITION, _NAME, _CHILDREN = key(1, I32), key(2, I32), key(3, I32), key(4, BINARY), key(5, I32)
_CHUNKS, _GROUP_ROWS = list_key(1, STRUCT), key(3, I64)
_ABOUT, _SECRET = key(3, STRUCT), key(8, STRUCT)
_PATH = list_key(3, BINARY)
_CODEC, _VALUES, _UNPACKED, _PACKED = key(4, I32), key(5, I64), key(6, I64), key(7, I64)
_PAGES, _DICTIONARY, _STATISTICS, _SIZES = key(9, I64), key(11, I64), key(12, STRUCT), key(16, STRUCT)
_BOUNDS = tuple(key(number, BINARY) for number in (1, 2, 5, 6))
_TEXT_BYTES, _LEVELS = key(1, I64), (list_key(2, I64), list_key(3, I64))
# Readers take the items of these lists for what they should be, whatever type they are said to have.
_GROUP_LISTS = {1: _CHUNKS, 4: list_key(4, STRUCT)}
_CHUNK_LISTS = {2: list_key(2, I32), 3: _PATH, 8: list_key(8, STRUCT), 13: list_key(13, STRUCT)}
_SIZE_LISTS = {2: _LEVELS[0], 3: _LEVELS[1]}


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf of the schema: the column it belongs to, physical type, bytes of a value of fixed size, greatest levels."""

    name: str
    column: bytes
    kind: int
    width: int | None
    levels: tuple[int, int]


def check_footer(footer: bytes, *, end: int | None) -> list[tuple[int, int]]:
    """Return where the bytes of each row group begin and end; OSError unless the footer's parts agree with each other.

    The schema is a tree, not too deep; row groups have one chunk a column, of its type; chunks lie in the file; rows add up.

    Args:
        footer: the file's metadata, without length and magic.
        end: where the footer begins in its file, before which all chunks end; None for a file that describes others.
    """
    try:
        return _check(Thrift(footer), end)
    except ValueError as error:
        raise OSError(f"its footer is broken: {error}") from error


def _check(thrift: Thrift, end: int | None) -> list[tuple[int, int]]:
    leaves: list[_Leaf] = []
    rows, promised, ranges, filled = 0, 0, [], []
    seen = set()
    for number, kind in thrift.fields():
        if number in seen:
            raise ValueError(f"its field {number} stands there twice")
        seen.add(number)
        if number == _SCHEMA and kind == LIST:
            leaves = list(_leaves([thrift.value(_of(item, STRUCT)) for item in thrift.items()]))
        elif number == _GROUPS and kind == LIST:
            for index, item in enumerate(thrift.items()):
                group = thrift.value(_of(item, STRUCT))
                ranges.append(_check_group(group, leaves, f"row group {index}", end))
                rows += group[_GROUP_ROWS]
                if group[_GROUP_ROWS]:
                    filled.append(ranges[-1])
        elif kind == LIST:
            for item in thrift.items():
                thrift.value(_of(item, STRUCT))
        elif number == _ENCRYPTION:
            raise ValueError("its columns are encrypted, which is not read")
        else:
            value = thrift.value(kind)
            promised = value if (number, kind) == (_ROWS, I64) else promised
    if rows != promised and end is not None:
        raise ValueError(f"it promises {promised} rows, its row groups have {rows}")
    # A group without rows has no data page, and may say that it begins at 0.
    places = sorted(filled)
    if end is not None and any(begin < before for (_, before), (begin, _) in pairwise(places)):
        raise ValueError("its row groups overlap")
    return ranges


def _of(item: int, wanted: int) -> int:
    if item != wanted:
        raise ValueError(f"it has a list of the type {item} where the type {wanted} belongs")
    return item


def _leaves(elements: list[Fields]) -> Iterator[_Leaf]:
    """Yield the leaves of the schema, which lists its elements depth first."""
    # Of each open group: children that are still to come, repetition and definition level.
    waiting, column = [(1, 0, 0)], b""
    for place, element in enumerate(elements):
        while waiting and not waiting[-1][0]:
            waiting.pop()
        if not waiting:
            raise ValueError("its schema has elements outside of its tree")
        left, repetition, definition = waiting.pop()
        waiting.append((left - 1, repetition, definition))
        name, repeats, children = _name(element.get(_NAME)), element.get(_REPETITION, 0), element.get(_CHILDREN, 0)
        if repeats not in (0, _OPTIONAL, _REPEATED):
            raise ValueError(f"column {name!r} has the unknown repetition {repeats}")
        if place and len(waiting) == 2:
            column = element[_NAME]
        if place:
            repetition, definition = repetition + (repeats == _REPEATED), definition + (repeats > 0)
        if place and not children:
            yield _leaf(name, column, element, (repetition, definition))
        elif not 0 <= children < len(elements) or _KIND in element:
            raise ValueError(f"group {name!r} has {children} children")
        elif len(waiting) > _DEPTH:
            raise ValueError(f"its schema is nested more than {_DEPTH} deep")
        else:
            waiting.append((children, repetition, definition))
    if len(waiting) < 2 or any(left for left, _, _ in waiting):
        raise ValueError("its schema ends too early")


def _leaf(name: str, column: bytes, element: Fields, levels: tuple[int, int]) -> _Leaf:
    kind, width = element.get(_KIND, -1), element.get(_WIDTH, 0)
    if kind not in _TYPES or (kind == _FIXED and not 0 < width < 1 << 31):
        raise ValueError(f"column {name!r} is of the unknown type {kind} of {width} bytes")
    return _Leaf(name, column, kind, width if kind == _FIXED else _WIDTHS.get(kind), levels)


def _check_group(group: Fields, leaves: list[_Leaf], where: str, end: int | None) -> tuple[int, int]:
    """Return where a row group's bytes begin and end."""
    _check_lists(group, _GROUP_LISTS)
    chunks = group.get(_CHUNKS, [])
    if len(chunks) != len(leaves):
        raise ValueError(f"{where} has {len(chunks)} columns, the schema {len(leaves)}")
    if not _is_count(group.get(_GROUP_ROWS)):
        raise ValueError(f"{where} has {group.get(_GROUP_ROWS)} rows")
    begins, ends = [], []
    for chunk, leaf in zip(chunks, leaves, strict=True):
        about = chunk.get(_ABOUT, {})
        wrong = "it is encrypted, which is not read" if _SECRET in chunk else _wrong(about, leaf)
        if wrong:
            raise ValueError(f"{where} column {leaf.name!r}: {wrong}")
        # Some writers say 0 where there is no dictionary.
        begins.append(min(about[_PAGES], about.get(_DICTIONARY) or about[_PAGES]))
        ends.append(begins[-1] + about[_PACKED])
        if end is not None and max(about[_PAGES], ends[-1]) > end:
            raise ValueError(
                f"{where} column {leaf.name!r}: its bytes {begins[-1]} to {ends[-1]} lie behind the data's end, {end}"
            )
    return (min(begins), max(ends)) if begins else (4, 4)


def _wrong(chunk: Fields, leaf: _Leaf) -> str | None:
    """Return what is wrong with a column chunk, or None."""
    _check_lists(chunk, _CHUNK_LISTS)
    if chunk.get(_KIND) != leaf.kind:
        return f"its chunk is of type {chunk.get(_KIND)}, its schema of type {leaf.kind}"
    if chunk.get(_PATH, [])[:1] != [leaf.column]:
        return "its chunk is another column's"
    for name in chunk[_PATH]:
        _name(name)
    if chunk.get(_CODEC) not in _CODECS:
        return f"it is compressed by the unknown codec {chunk.get(_CODEC)}"
    counts = (chunk.get(_VALUES), chunk.get(_UNPACKED), chunk.get(_PACKED), chunk.get(_PAGES), chunk.get(_DICTIONARY, 0))
    if not all(map(_is_count, counts)):
        return f"its values, bytes and places are no counts: {counts}"
    statistics = chunk.get(_STATISTICS, {})
    for bound in _BOUNDS:
        # Some writers leave them empty.
        size = len(statistics.get(bound, b""))
        if size and leaf.width not in (None, size):
            return f"its statistics have an extreme of {size} bytes, its values have {leaf.width}"
    sizes = chunk.get(_SIZES)
    return _wrong_sizes(sizes, leaf) if sizes else None


def _wrong_sizes(sizes: Fields, leaf: _Leaf) -> str | None:
    _check_lists(sizes, _SIZE_LISTS)
    if _TEXT_BYTES in sizes and leaf.kind != _BYTE_ARRAY:
        return "its size statistics are those of text"
    for histogram, levels in zip(_LEVELS, leaf.levels, strict=True):
        if len(sizes.get(histogram, ())) not in (0, levels + 1):
            return f"its histogram of levels has not {levels + 1} entries"
    return None


def _check_lists(fields: Fields, lists: dict[int, int]) -> None:
    for field in fields:
        if field & 15 == LIST and lists.get(field >> 8, field) != field:
            raise ValueError(f"it has a list of the type {field >> 4 & 15} in the field {field >> 8}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 63


def _name(value: Any) -> str:
    try:
        return str(value, "utf-8")
    except (TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"the column name {value!r:.100} is not UTF-8 text") from error
