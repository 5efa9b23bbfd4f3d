"""Which row groups a predicate cannot select from, by the keys of their directories and the extremes in the row-group table."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs

from bigdata_ml.dataset import Dataset

__all__ = ["known_keys", "surviving"]

# Row groups are judged in blocks first, by the least and the greatest value of a whole block. Only what is left is judged in
# smaller blocks, and at last one by one.
_BLOCKS = (1024, 32)
# About so many blocks Arrow is asked at once: an expression takes some hundred bytes.
_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The extremes of one column in every row group.

    Attributes:
        name, nullable: the column's.
        least, most: its extremes, [groups].
        known: where both are known, bool [groups].
        has_order: whether Arrow finds the least of several values of that type.
    """

    name: str
    nullable: bool
    least: pa.Array
    most: pa.Array
    known: np.ndarray
    has_order: bool

    @classmethod
    def of(cls, dataset: Dataset, field: pa.Field) -> "_Bounds":
        """Return the extremes of a column, which the row-group table has."""
        table = dataset.row_groups.table
        least, most = (pa.concat_arrays(table[f"{kind}.{field.name}"].chunks) for kind in ("min", "max"))
        known = pc.and_(least.is_valid(), most.is_valid()).to_numpy(zero_copy_only=False)
        return cls(field.name, field.nullable, least, most, known, not pa.types.is_duration(least.type))

    def within(self, groups: np.ndarray) -> pc.Expression | None:
        """Return what is true of all rows of these groups, or None if that is not known."""
        if not self.known[groups].all() or not (self.has_order or len(groups) == 1):
            return None
        if len(groups) == 1:
            least, most = self.least[int(groups[0])], self.most[int(groups[0])]
        else:
            least, most = pc.min(self.least.take(groups)), pc.max(self.most.take(groups))
        column = ds.field(self.name)
        above, below = column >= least, column <= most
        if not self.nullable:
            return above & below
        missing = column.is_null()
        return (above | missing) & (below | missing)


def known_keys(dataset: Dataset, path: str) -> pc.Expression:
    """Return the condition that the Hive directories of a file fulfil."""
    known = pc.scalar(True)
    for name, value in (dataset.partitions or {}).get(path, {}).items():
        known = known & (ds.field(name).is_null() if value is None else ds.field(name) == value)
    return known


def surviving(dataset: Dataset, predicate: pc.Expression) -> np.ndarray:
    """Return the row groups that may hold a row that satisfies the predicate, int64 [survivors], ascending.

    Only the extremes of columns that the predicate names are looked at. The time follows from the number of survivors, and from
    a thousandth of the other groups.
    """
    schema, groups = dataset.schema.to_arrow(), np.arange(len(dataset.row_groups))
    keys: list[pc.Expression] = []
    file_of = np.zeros(len(groups), np.int64)
    if dataset.partitions:
        paths = pa.concat_arrays(dataset.row_groups.table["path"].chunks).dictionary_encode()
        file_of = paths.indices.to_numpy()
        keys = [known_keys(dataset, path) for path in paths.dictionary.to_pylist()]
        possible = np.zeros(len(keys), bool)
        possible[_possible(schema, predicate, keys)] = True
        groups = groups[possible[file_of]]
    bounds = [_Bounds.of(dataset, field) for field in _bounded(dataset, schema, predicate)]
    if not bounds or not len(groups):
        return groups

    def known(block: np.ndarray) -> pc.Expression:
        condition = keys[file_of[block[0]]] if keys and len(block) == 1 else pc.scalar(True)
        for bound in bounds:
            within = bound.within(block)
            condition = condition if within is None else condition & within
        return condition

    # In the order of a column, neighbours have a narrow range of its values together.
    blocks: Iterable[np.ndarray] = [groups[pc.sort_indices(bounds[0].least.take(pa.array(groups))).to_numpy()]]
    for size in (*_BLOCKS, 1):
        blocks = _left(schema, predicate, _cut(blocks, size), known)
    return np.sort(np.fromiter((int(block[0]) for block in blocks), np.int64))


def _cut(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yield the blocks in pieces of `size` row groups at most."""
    for block in blocks:
        for begin in range(0, len(block), size):
            yield block[begin : begin + size]


def _left(
    schema: pa.Schema, predicate: pc.Expression, blocks: Iterable[np.ndarray], known: Callable[[np.ndarray], pc.Expression]
) -> Iterator[np.ndarray]:
    """Yield the blocks that may hold a row that satisfies the predicate."""
    blocks = iter(blocks)
    while some := list(islice(blocks, _AT_ONCE)):
        for number in _possible(schema, predicate, [known(block) for block in some]):
            yield some[number]


def _possible(schema: pa.Schema, predicate: pc.Expression, known: list[pc.Expression]) -> list[int]:
    """Return the numbers of those of `known`, ascending, that do not exclude the predicate."""
    files, nowhere = ds.ParquetFileFormat(), pafs.LocalFileSystem()
    # Never opened: Arrow looks only at what is known of them. The path says which one it is.
    fragments = [
        files.make_fragment(str(number), nowhere, partition_expression=partition) for number, partition in enumerate(known)
    ]
    whole = ds.FileSystemDataset(fragments, schema, files, filesystem=nowhere)
    return sorted(int(fragment.path) for fragment in whole.get_fragments(filter=predicate))


def _bounded(dataset: Dataset, schema: pa.Schema, predicate: pc.Expression) -> list[pa.Field]:
    """Return the columns that the predicate may name and whose extremes are known.

    Those of floats say nothing of NaN, and pyarrow cuts those of times to microseconds. Arrow cannot sort the other types that
    are left out here, or take the least of several of their values.
    """
    text, known = str(predicate), set(dataset.row_groups.table.column_names)
    return [
        field
        for field in schema
        # A name that stands there as a part of another one does no harm.
        if field.name in text
        and f"min.{field.name}" in known
        and not pa.types.is_floating(field.type)
        and not pa.types.is_time(field.type)
        and not pa.types.is_dictionary(field.type)
        and not pa.types.is_decimal32(field.type)
        and not pa.types.is_decimal64(field.type)
        and not pa.types.is_null(field.type)
    ]
