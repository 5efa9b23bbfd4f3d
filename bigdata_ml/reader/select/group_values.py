"""Values of expressions for all rows of row groups, read by pyarrow's scanner: only the columns that they name."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from bigdata_ml.dataset import Dataset
from bigdata_ml.dataset.parquet.group_bytes import refuse_large
from bigdata_ml.dataset.reading import check_end
from bigdata_ml.errors import DatasetInvalid
from bigdata_ml.reader.select.pruning import known_keys
from bigdata_ml.schema import stored_schema
from bigdata_ml.storage import Retry

__all__ = ["read_values"]

# Row groups of a file that are read together.
_TOGETHER = 64
# Footers that are kept.
_FILES = 64
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
        ChecksumMismatch: a file whose footer is not the one that was published.
        DatasetInvalid: a file that cannot be read, or an expression that fails on its rows.
        StorageUnavailable: the store failed each time it was asked.
    """

    files = _Files(dataset)

    def read(some: list[int]) -> list[_Made]:
        return [make(group, table) for group, table in zip(some, _tables(files, some, expressions), strict=True)]

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
    """Return the groups in lists of the same file."""
    paths = dataset.row_groups.paths
    batches: list[list[int]] = []
    for group in groups:
        if batches and len(batches[-1]) < _TOGETHER and paths[batches[-1][0]] == paths[group]:
            batches[-1].append(group)
        else:
            batches.append([group])
    return batches


class _Files:
    """The files of a dataset as pyarrow scans them. Each footer is checked once, before pyarrow parses it."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self._schema = dataset, stored_schema(dataset.schema)
        self._known: dict[str, ds.ParquetFileFragment] = {}
        self._lock = threading.Lock()

    def scan(
        self, record: Mapping[str, Any], numbers: list[int], columns: Mapping[str, pc.Expression]
    ) -> tuple[list[int], pa.Table]:
        """Return the numbers of a file's row groups in the order in which they were read, and the columns of all their rows."""
        file = self._file(record)
        text = " ".join(map(str, columns.values()))
        names = [name for name in self._schema.names if name in text]
        for number in numbers:
            where = f"{(self.dataset.location / record['path']).url} row group {number}"
            refuse_large(file.metadata, number, where=where, limit=self.dataset.group_bytes, columns=names)
        # pyarrow makes a set of the numbers, and reads in that set's order, whatever ours was.
        fragment = file.subset(row_group_ids=numbers)
        return [info.id for info in fragment.row_groups], fragment.to_table(schema=self._schema, columns=dict(columns))

    def _file(self, record: Mapping[str, Any]) -> ds.ParquetFileFragment:
        path, published = record["path"], record["file_checksum"]
        with self._lock:
            known = self._known.get(path)
        if known is not None:
            return known
        place = self.dataset.location / path
        with place.filesystem.open_input_file(place.path) as stream:
            check_end(stream, published, place.url)
        form = ds.ParquetFileFormat(coerce_int96_timestamp_unit="us")
        file = form.make_fragment(place.path, place.filesystem, partition_expression=known_keys(self.dataset, path))
        file.ensure_complete_metadata()
        with self._lock:
            self._known[path] = file
            if len(self._known) > _FILES:
                self._known.pop(next(iter(self._known)))
        return file


def _tables(files: _Files, groups: list[int], expressions: Mapping[str, pc.Expression]) -> list[pa.Table]:
    records = [files.dataset.row_groups.record(group) for group in groups]
    place, numbers = files.dataset.location / records[0]["path"], [record["row_group"] for record in records]

    def read() -> tuple[list[int], pa.Table]:
        return files.scan(records[0], numbers, expressions)

    try:
        order, found = Retry().reading(read, f"{place.url} row group {numbers[0]}: the store")
    except (pa.ArrowException, OSError) as error:
        if len(groups) > 1:
            # One by one, to say which.
            return [_tables(files, [group], expressions)[0] for group in groups]
        subject = " and ".join(f"the {name} {expression}" for name, expression in expressions.items())
        raise DatasetInvalid(
            f"{place.url} row group {numbers[0]}: cannot be read, or {subject} fails on its rows: {error}"
        ) from error
    if len(found) != sum(record["rows"] for record in records):
        raise DatasetInvalid(
            f"{place.url} row groups {', '.join(map(str, numbers))}: have {len(found)} rows, the dataset was opened with "
            f"{sum(record['rows'] for record in records)}; the file was replaced: run bigdata-ml validate"
        )
    rows = {record["row_group"]: record["rows"] for record in records}
    starts = np.cumsum([0] + [rows[number] for number in order]).tolist()
    tables = {number: found.slice(start, rows[number]) for number, start in zip(order, starts, strict=False)}
    return [tables[number] for number in numbers]
