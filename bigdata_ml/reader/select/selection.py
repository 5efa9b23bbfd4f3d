"""Predicate to exact rows: how many rows of each row group are selected, and which, known before the first step."""

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import xxhash

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DecodeFailed
from bigdata_ml.reader.fetch.row_groups import GroupSource
from bigdata_ml.reader.row_filter import RowFilter
from bigdata_ml.reader.select.cache import load_table, place_of, save_table
from bigdata_ml.reader.select.group_values import read_values
from bigdata_ml.reader.select.pruning import surviving

__all__ = [
    "Selection",
    "check_predicate",
    "keep_selection",
    "kept_selection",
    "select",
    "selection_of",
    "text_of",
]

# Part of a cached selection's name: one written under other rules is not found.
_RULES = 1


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected rows.

    Attributes:
        counts: selected rows of each row group, int64 [groups].
        masks: by group, where only some of its rows are selected: a bit a row, first row in the highest bit, uint8.
        digest: of the outcome; equal only for the same rows.
    """

    counts: np.ndarray
    masks: Mapping[int, np.ndarray]
    digest: str

    @property
    def total(self) -> int:
        """Number of selected rows."""
        return int(self.counts.sum())

    @property
    def usual(self) -> int:
        """Number of selected rows of an epoch on average: here of any."""
        return self.total

    @property
    def most(self) -> np.ndarray:
        """Selected rows of each row group in an epoch at most, int64 [groups]: here of any."""
        return self.counts

    def of_epoch(self, _seed: int, _epoch: int, /) -> "Selection":
        """Return what is selected in one epoch: the same in each."""
        return self

    def entries(self, group: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return a group's rows as `rows` does, and the number of each one's copy; None where each row is there once."""
        return self.rows(group), None

    def rows(self, group: int) -> np.ndarray:
        """Return the selected rows of a group by their place in it, int32 [counts[group]], ascending."""
        if group in self.masks:
            return np.flatnonzero(np.unpackbits(self.masks[group])).astype(np.int32)
        return np.arange(self.counts[group], dtype=np.int32)

    def mask(self, group: int, rows: int) -> np.ndarray:
        """Return which of the `rows` rows of a group of which some are selected these are, bool [rows]."""
        return np.unpackbits(self.masks[group], count=rows).astype(bool)


def select(
    dataset: Dataset,
    predicate: pc.Expression | RowFilter | None,
    *,
    threads: int = 8,
    cache: str | os.PathLike[str] | None = None,
) -> Selection:
    """Return the rows of `dataset` that satisfy `predicate`; a null is no.

    Hive keys are judged without reading; then the extremes in the row-group table rule groups out; what is left is read,
    only the columns that the predicate names. An opened dataset and its splits remember their selections.

    Args:
        dataset: what is selected from.
        predicate: an Arrow expression, a `RowFilter`, whose rows are all looked at, or None for all rows.
        threads: row groups read at the same time.
        cache: a local directory in which selections are kept under the dataset's fingerprint, for other processes; not used
            for plain Parquet, whose fingerprint does not tell bytes apart, nor for a `RowFilter`, which has no name.

    Raises:
        ValueError: the predicate names a field that is not there, compares it with another type, or is no condition.
        DatasetInvalid: a file that cannot be read, or rows on which the predicate fails.
    """
    if predicate is None:
        return Selection(dataset.row_groups.rows, {}, "all")
    if isinstance(predicate, RowFilter):
        key = (predicate, dataset.fingerprint)
        if key not in dataset.selections:
            dataset.selections[key] = _filtered(dataset, predicate, threads=threads, cache=cache)
        chosen: Selection = dataset.selections[key]
        return chosen
    check_predicate(dataset, predicate)
    name = _name_of(dataset, predicate)
    if name not in dataset.selections:
        place = place_of(dataset, name, cache)
        found = kept_selection(place, len(dataset.row_groups)) if place is not None else None
        if found is None:
            found = _find(dataset, predicate, threads)
            if place is not None:
                keep_selection(found, place)
        dataset.selections[name] = found
    selection: Selection = dataset.selections[name]
    return selection


def text_of(predicate: pc.Expression | None) -> bytes:
    """Return bytes that are equal only for the same predicate.

    Raises:
        ValueError: a predicate that does not name its fields.
    """
    if predicate is None:
        return b""
    # Not the expression's text: it leaves out the middle of long lists of values.
    try:
        (serialised,) = predicate.__reduce__()[1]
    except pa.ArrowNotImplementedError as error:
        raise ValueError(f"the predicate {predicate} must name its fields: {error}") from error
    return bytes(serialised)


def _name_of(dataset: Dataset, predicate: pc.Expression) -> str:
    return str(xxhash.xxh3_128_hexdigest(f"{_RULES} {dataset.fingerprint} ".encode() + text_of(predicate)))


def check_predicate(dataset: Dataset, predicate: pc.Expression) -> None:
    """Raise ValueError unless a predicate is a condition on fields that are there."""
    text = f"the predicate {predicate} does not fit the fields {', '.join(dataset.schema.names)}"
    try:
        kept = _evaluated(dataset.schema.to_arrow().empty_table(), predicate)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise ValueError(f"{text}: {error}") from error
    if kept.type != pa.bool_():
        raise ValueError(f"{text}: it must be a condition, it is of type {kept.type}")


def _evaluated(table: pa.Table, predicate: pc.Expression) -> pa.ChunkedArray:
    return ds.dataset(table).to_table(columns={"kept": predicate})["kept"]


def _find(dataset: Dataset, predicate: pc.Expression, threads: int) -> Selection:
    counts = dataset.row_groups.rows.copy()
    by_keys = _by_keys(dataset, predicate)
    if by_keys is not None:
        counts[~by_keys] = 0
        return _selection(dataset, counts, {})
    left = surviving(dataset, predicate).tolist()
    masks = dict(zip(left, read_values(dataset, left, {"predicate": predicate}, _mask, threads=threads), strict=True))
    counts[:] = 0
    for group, mask in masks.items():
        counts[group] = np.count_nonzero(mask)
    return _selection(dataset, counts, masks)


def _filtered(dataset: Dataset, condition: RowFilter, *, threads: int, cache: str | os.PathLike[str] | None) -> Selection:
    """Return what a row filter selects."""
    base = select(dataset, condition.expression, threads=threads, cache=cache)
    counts = base.counts.copy()
    if condition.groups is not None:
        asked = np.zeros(len(counts), bool)
        asked[list(condition.groups)] = True
        counts[~asked] = 0
    left, keep = np.flatnonzero(counts).tolist(), condition.keep
    masks = {group: base.mask(group, int(dataset.row_groups.rows[group])) for group in left if group in base.masks}
    if keep is not None:
        source = GroupSource(dataset, condition.columns)

        def look(group: int) -> np.ndarray:
            batch = pa.RecordBatch.from_arrays(list(source.read(group).values()), schema=source.schema)
            try:
                kept = np.asarray(keep(batch))
            except DecodeFailed as error:
                raise DecodeFailed(f"{source.place(group, 0)} and on, by the condition: {error}") from error
            if kept.dtype != np.bool_ or kept.shape != (batch.num_rows,):
                gave = f"it gave {kept.dtype} {list(kept.shape)}"
                raise ValueError(f"{source.place(group, 0)}: the condition must give bool [{batch.num_rows}], {gave}")
            return kept & masks[group] if group in masks else kept

        with ThreadPoolExecutor(threads) as pool:
            masks = dict(zip(left, pool.map(look, left), strict=True))
        for group, mask in masks.items():
            counts[group] = np.count_nonzero(mask)
    return _selection(dataset, counts, masks)


def _selection(dataset: Dataset, counts: np.ndarray, found: Mapping[int, np.ndarray]) -> Selection:
    """Return the selection of `counts` rows a group, with the masks (bool [rows]) of groups that were looked into."""
    if (counts == dataset.row_groups.rows).all():
        return Selection(counts, {}, "all")
    masks = {group: np.packbits(mask) for group, mask in sorted(found.items()) if 0 < counts[group] < len(mask)}
    return Selection(counts, masks, _digest(counts, masks))


def _by_keys(dataset: Dataset, predicate: pc.Expression) -> np.ndarray | None:
    """Return which groups a predicate on Hive keys alone selects, bool [groups]; None if it names other fields."""
    if not dataset.partitions:
        return None
    names = list(next(iter(dataset.partitions.values())))
    schema = dataset.schema.select(names).to_arrow()
    paths = list(dataset.partitions)
    columns = [pa.array([dataset.partitions[path][name] for path in paths], schema.field(name).type) for name in names]
    try:
        kept = _evaluated(pa.Table.from_arrays(columns, names=names), predicate)
    except pa.ArrowInvalid:
        return None
    chosen = {path for path, is_kept in zip(paths, kept.to_pylist(), strict=True) if is_kept}
    return np.array([path in chosen for path in dataset.row_groups.paths], bool)


def selection_of(kept: Iterable[np.ndarray]) -> Selection:
    """Return the selection of the rows that are kept of each row group, bool [rows]."""
    counts, masks = [], {}
    for group, mask in enumerate(kept):
        counts.append(int(np.count_nonzero(mask)))
        if 0 < counts[-1] < len(mask):
            masks[group] = np.packbits(mask)
    return Selection(np.array(counts, np.int64), masks, _digest(np.array(counts, np.int64), masks))


def _mask(_: int, values: pa.Table) -> np.ndarray:
    """Return which rows of a group satisfy the predicate, bool [rows of the group]."""
    return np.asarray(pc.fill_null(values["predicate"], False).to_numpy(), bool)


def _digest(counts: np.ndarray, masks: Mapping[int, np.ndarray]) -> str:
    digest = xxhash.xxh3_128(counts.astype("<i8").tobytes())
    for group in sorted(masks):
        digest.update(group.to_bytes(8, "little") + masks[group].tobytes())
    return str(digest.hexdigest())


def keep_selection(selection: Selection, place: Path) -> None:
    """Write a selection for other processes."""
    masks = [selection.masks[group].tobytes() if group in selection.masks else None for group in range(len(selection.counts))]
    save_table(pa.table({"count": selection.counts, "mask": pa.array(masks, pa.large_binary())}), place)


def kept_selection(place: Path, groups: int) -> Selection | None:
    """Return a kept selection, or None where there is none that can be read."""
    table = load_table(place, ("count", "mask"))
    if table is None or len(table) != groups:
        return None
    counts = table["count"].to_numpy().astype(np.int64)
    bits = table["mask"].to_pylist()
    masks = {group: np.frombuffer(mask, np.uint8) for group, mask in enumerate(bits) if mask is not None}
    return Selection(counts, masks, _digest(counts, masks))
