"""Predicate to exact rows: which rows of each row group are selected, known before the first step."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import xxhash

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid

__all__ = ["Selection", "select"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected rows.

    Attributes:
        counts: selected rows of each row group, int64 [groups].
        rows: positions of the selected rows in each group, int64 [counts[i]]; None where all rows are.
        digest: of the predicate's outcome; equal only for the same rows.
    """

    counts: np.ndarray
    rows: tuple[np.ndarray, ...] | None
    digest: str


def select(dataset: Dataset, predicate: pc.Expression | None, *, threads: int = 8) -> Selection:
    """Return the rows of `dataset` that satisfy `predicate`, reading only the columns it names.

    Raises:
        ValueError: the predicate names a field that is not there, compares it with another type, or is no condition.
        DatasetInvalid: a file that cannot be read, or rows on which the predicate fails.
    """
    if predicate is None:
        return Selection(dataset.row_groups.rows, None, "all")
    _check_predicate(dataset, predicate)
    jobs = list(zip(dataset.row_groups.paths, dataset.row_groups.table["row_group"].to_pylist(), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        rows = tuple(pool.map(lambda job: _matching(dataset, job[0], job[1], predicate), jobs))
    digest = xxhash.xxh3_128()
    for found in rows:
        digest.update(len(found).to_bytes(8, "little") + found.tobytes())
    return Selection(np.array([len(found) for found in rows], np.int64), rows, digest.hexdigest())


def _check_predicate(dataset: Dataset, predicate: pc.Expression) -> None:
    text = f"the predicate {predicate} does not fit the fields {', '.join(dataset.schema.names)}"
    try:
        kept = ds.dataset(dataset.schema.to_arrow().empty_table()).to_table(columns={"kept": predicate})["kept"]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise ValueError(f"{text}: {error}") from error
    if kept.type != pa.bool_():
        raise ValueError(f"{text}: it must be a condition, it is of type {kept.type}")


def _matching(dataset: Dataset, path: str, row_group: int, predicate: pc.Expression) -> np.ndarray:
    place = dataset.location / path
    keys = (dataset.partitions or {}).get(path, {})
    expression = pc.scalar(True)
    for name, value in keys.items():
        expression = expression & (ds.field(name) == value)
    fragment = ds.ParquetFileFormat().make_fragment(
        place.path, dataset.location.filesystem, partition_expression=expression, row_groups=[row_group]
    )
    try:
        kept = fragment.to_table(schema=dataset.schema.to_arrow(), columns={"kept": predicate})["kept"]
    except (pa.ArrowException, OSError) as error:
        raise DatasetInvalid(
            f"{place.url} row group {row_group}: cannot be read, or the predicate {predicate} fails on its rows: {error}"
        ) from error
    return np.flatnonzero(pc.fill_null(kept, False).to_numpy())
