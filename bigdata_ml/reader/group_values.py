"""Values of expressions for all rows of row groups, read by pyarrow's scanner: only the columns that they name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.pruning import known_keys
from bigdata_ml.schema import stored_schema
from bigdata_ml.storage import Retry

__all__ = ["read_values"]

# Row groups of a file that are read together.
_TOGETHER = 64
_Made = TypeVar("_Made")


def read_values(
    dataset: Dataset,
    groups: Sequence[int],
    expressions: Mapping[str, pc.Expression],
    make: Callable[[int, pa.Table], _Made],
    *,
    threads: int = 8,
) -> Iterator[_Made]:
    """Yield `make(group, values)` of each of `groups`, in that order.

    Args:
        dataset: whose row groups.
        groups: their indices, ascending.
        expressions: what is read, by the name of the column it becomes, which messages call it too.
        make: makes of a group's values, all rows of it, what is kept; called by the threads.
        threads: row groups read at the same time.

    Raises:
        DatasetInvalid: a file that cannot be read, or an expression that fails on its rows.
        StorageUnavailable: the store failed each time it was asked.
    """

    def read(some: list[int]) -> list[_Made]:
        return [make(group, table) for group, table in zip(some, _tables(dataset, some, expressions), strict=True)]

    pool, waits = ThreadPoolExecutor(threads), True
    try:
        for part in pool.map(read, _together(dataset, groups)):
            yield from part
    except GeneratorExit:
        # The garbage collector may end this in a thread that holds another pool's lock: it must not wait for threads.
        waits = False
        raise
    finally:
        pool.shutdown(wait=waits, cancel_futures=True)


def _together(dataset: Dataset, groups: Sequence[int]) -> list[list[int]]:
    """Return the groups in lists of the same file: Arrow reads the file's footer for each list."""
    paths = dataset.row_groups.paths
    found: list[list[int]] = []
    for group in groups:
        if found and len(found[-1]) < _TOGETHER and paths[found[-1][0]] == paths[group]:
            found[-1].append(group)
        else:
            found.append([group])
    return found


def _tables(dataset: Dataset, groups: list[int], expressions: Mapping[str, pc.Expression]) -> list[pa.Table]:
    records = [dataset.row_groups.record(group) for group in groups]
    path, numbers = records[0]["path"], [record["row_group"] for record in records]
    place, files = dataset.location / path, ds.ParquetFileFormat(coerce_int96_timestamp_unit="us")

    def read() -> tuple[ds.ParquetFileFragment, pa.Table]:
        fragment = files.make_fragment(
            place.path, dataset.location.filesystem, partition_expression=known_keys(dataset, path), row_groups=numbers
        )
        return fragment, fragment.to_table(schema=stored_schema(dataset.schema), columns=dict(expressions))

    try:
        fragment, found = Retry().reading(read, f"{place.url} row group {numbers[0]}: the store")
    except (pa.ArrowException, OSError) as error:
        if len(groups) > 1:
            # One by one, to say which.
            return [_tables(dataset, [group], expressions)[0] for group in groups]
        what = " and ".join(f"the {name} {one}" for name, one in expressions.items())
        raise DatasetInvalid(
            f"{place.url} row group {numbers[0]}: cannot be read, or {what} fails on its rows: {error}"
        ) from error
    if len(found) != sum(record["rows"] for record in records):
        raise DatasetInvalid(
            f"{place.url} row groups {', '.join(map(str, numbers))}: have {len(found)} rows, the dataset was opened with "
            f"{sum(record['rows'] for record in records)}; the file was replaced: run bigdata-ml validate"
        )
    # pyarrow makes a set of the numbers, and reads in that set's order, whatever ours was.
    order = [info.id for info in fragment.row_groups]
    rows = {record["row_group"]: record["rows"] for record in records}
    starts = np.cumsum([0] + [rows[number] for number in order]).tolist()
    tables = {number: found.slice(start, rows[number]) for number, start in zip(order, starts, strict=False)}
    return [tables[number] for number in numbers]
