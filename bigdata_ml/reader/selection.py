"""Predicate to exact rows: how many rows of each row group are selected, and which, known before the first step."""

import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import xxhash

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.fetch import GroupSource
from bigdata_ml.reader.row_filter import RowFilter

__all__ = ["Selection", "select"]

# Part of a cached selection's name: one written under other rules is not found.
_RULES = 1
# Row groups of a file that are read together.
_TOGETHER = 64


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
    _check_predicate(dataset, predicate)
    name = _name_of(dataset, predicate)
    if name not in dataset.selections:
        place = Path(cache) / f"{name}.arrow" if cache is not None and dataset.manifest is not None else None
        found = _load(place, len(dataset.row_groups)) if place is not None else None
        if found is None:
            found = _find(dataset, predicate, threads)
            if place is not None:
                _keep(found, place)
        dataset.selections[name] = found
    selection: Selection = dataset.selections[name]
    return selection


def _name_of(dataset: Dataset, predicate: pc.Expression) -> str:
    # Not the expression's text: it leaves out the middle of long lists of values.
    try:
        (serialised,) = predicate.__reduce__()[1]
    except pa.ArrowNotImplementedError as error:
        raise ValueError(f"the predicate {predicate} must name its fields: {error}") from error
    return str(xxhash.xxh3_128_hexdigest(f"{_RULES} {dataset.fingerprint} ".encode() + bytes(serialised)))


def _check_predicate(dataset: Dataset, predicate: pc.Expression) -> None:
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
    left = _surviving(dataset, predicate)
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(lambda groups: _masks(dataset, groups, predicate), _together(dataset, left))
        found = dict(zip(left, (mask for part in parts for mask in part), strict=True))
    counts[:] = 0
    for group, mask in found.items():
        counts[group] = np.count_nonzero(mask)
    return _selection(dataset, counts, found)


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
            found = np.asarray(keep(batch))
            if found.dtype != np.bool_ or found.shape != (batch.num_rows,):
                gave = f"it gave {found.dtype} {list(found.shape)}"
                raise ValueError(f"{source.place(group, 0)}: the condition must give bool [{batch.num_rows}], {gave}")
            return found & masks[group] if group in masks else found

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
    chosen = {path for path, one in zip(paths, kept.to_pylist(), strict=True) if one}
    return np.array([path in chosen for path in dataset.row_groups.paths], bool)


def _surviving(dataset: Dataset, predicate: pc.Expression) -> list[int]:
    """Return the groups that keys and extremes do not rule out."""
    schema, files = dataset.schema.to_arrow(), ds.ParquetFileFormat()
    bounds = _bounds(dataset, schema)
    fragments, numbers = [], {}
    for group, path in enumerate(dataset.row_groups.paths):
        known = _known_keys(dataset, path)
        for name, least, most, nullable in bounds:
            if least[group].is_valid and most[group].is_valid:
                above, below = ds.field(name) >= least[group], ds.field(name) <= most[group]
                missing = ds.field(name).is_null()
                known = known & ((above | missing) & (below | missing) if nullable else above & below)
        # Never opened: only what is known of it is asked for. Its path says which one it is.
        fragments.append(files.make_fragment(str(group), dataset.location.filesystem, partition_expression=known))
        numbers[str(group)] = group
    whole = ds.FileSystemDataset(fragments, schema, files, filesystem=dataset.location.filesystem)
    return sorted(numbers[fragment.path] for fragment in whole.get_fragments(filter=predicate))


def _known_keys(dataset: Dataset, path: str) -> pc.Expression:
    """Return what the Hive directories of a file say of its rows."""
    known = pc.scalar(True)
    for name, value in (dataset.partitions or {}).get(path, {}).items():
        known = known & (ds.field(name).is_null() if value is None else ds.field(name) == value)
    return known


def _bounds(dataset: Dataset, schema: pa.Schema) -> Sequence[tuple[str, Any, Any, bool]]:
    """Return (name, least, greatest, nullable) of the columns whose extremes are known.

    Those of floats say nothing of NaN, and pyarrow cuts those of times to microseconds.
    """
    table = dataset.row_groups.table
    return [
        (field.name, table[f"min.{field.name}"], table[f"max.{field.name}"], field.nullable)
        for field in schema
        if f"min.{field.name}" in table.column_names and not pa.types.is_floating(field.type) and not pa.types.is_time(field.type)
    ]


def _together(dataset: Dataset, groups: list[int]) -> list[list[int]]:
    """Return the groups in lists of the same file: Arrow reads the file's footer for each list."""
    paths = dataset.row_groups.paths
    found: list[list[int]] = []
    for group in groups:
        if found and len(found[-1]) < _TOGETHER and paths[found[-1][0]] == paths[group]:
            found[-1].append(group)
        else:
            found.append([group])
    return found


def _masks(dataset: Dataset, groups: list[int], predicate: pc.Expression) -> list[np.ndarray]:
    """Return which rows of each of some groups of one file satisfy the predicate, bool [rows of the group]."""
    records = [dataset.row_groups.record(group) for group in groups]
    path, numbers = records[0]["path"], [record["row_group"] for record in records]
    place, files = dataset.location / path, ds.ParquetFileFormat()
    fragment = files.make_fragment(
        place.path, dataset.location.filesystem, partition_expression=_known_keys(dataset, path), row_groups=numbers
    )
    try:
        kept = fragment.to_table(schema=dataset.schema.to_arrow(), columns={"kept": predicate})["kept"]
    except (pa.ArrowException, OSError) as error:
        if len(groups) > 1:
            # One by one, to say which.
            return [_masks(dataset, [group], predicate)[0] for group in groups]
        raise DatasetInvalid(
            f"{place.url} row group {numbers[0]}: cannot be read, or the predicate {predicate} fails on its rows: {error}"
        ) from error
    if len(kept) != sum(record["rows"] for record in records):
        raise DatasetInvalid(
            f"{place.url} row groups {', '.join(map(str, numbers))}: have {len(kept)} rows, the dataset was opened with "
            f"{sum(record['rows'] for record in records)}; the file was replaced: run bigdata-ml validate"
        )
    # pyarrow makes a set of the numbers, and reads in that set's order, whatever ours was.
    order = [info.id for info in fragment.row_groups]
    rows = {record["row_group"]: record["rows"] for record in records}
    ends = np.cumsum([rows[number] for number in order])
    masks = dict(zip(order, np.split(np.asarray(pc.fill_null(kept, False).to_numpy(), bool), ends[:-1]), strict=True))
    return [masks[number] for number in numbers]


def _digest(counts: np.ndarray, masks: Mapping[int, np.ndarray]) -> str:
    digest = xxhash.xxh3_128(counts.astype("<i8").tobytes())
    for group in sorted(masks):
        digest.update(group.to_bytes(8, "little") + masks[group].tobytes())
    return str(digest.hexdigest())


def _keep(selection: Selection, place: Path) -> None:
    """Write a selection beside its place and rename it there."""
    masks = [selection.masks[group].tobytes() if group in selection.masks else None for group in range(len(selection.counts))]
    table = pa.table({"count": selection.counts, "mask": pa.array(masks, pa.large_binary())})
    beside = place.with_name(f".{place.name}.{uuid4().hex}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(beside), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        beside.replace(place)
    except OSError as error:
        warnings.warn(f"the selection cannot be kept at {place} ({error}); every process finds it anew", stacklevel=2)
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _load(place: Path, groups: int) -> Selection | None:
    """Return a kept selection, or None where there is none that can be read."""
    try:
        with pa.OSFile(str(place)) as stream:
            table = pa.ipc.open_file(stream).read_all()
        counts = table["count"].to_numpy().astype(np.int64)
        bits = table["mask"].to_pylist()
    except (OSError, pa.ArrowException, KeyError):
        return None
    if len(counts) != groups:
        return None
    masks = {group: np.frombuffer(one, np.uint8) for group, one in enumerate(bits) if one is not None}
    return Selection(counts, masks, _digest(counts, masks))
