"""Row groups from storage, held only as long as a batch needs them."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.dataset import Dataset
from bigdata_ml.errors import DatasetInvalid, SchemaMismatch
from bigdata_ml.reader.plan import StepRows

__all__ = ["GroupFetcher"]


class GroupFetcher:
    """Reads row groups of a dataset and gathers rows from them; groups that the last batch did not touch are let go."""

    def __init__(self, dataset: Dataset, columns: Sequence[str]) -> None:
        self._dataset = dataset
        self._schema = dataset.schema.select(columns).to_arrow()
        self._paths = dataset.row_groups.paths
        self._indices = dataset.row_groups.table["row_group"].to_pylist()
        self._rows = dataset.row_groups.rows
        self._held: dict[int, pa.Table] = {}
        self._metadata = lru_cache(maxsize=64)(self._read_metadata)

    def gather(self, rows: StepRows) -> pa.RecordBatch:
        """Return the rows of a step, in its order.

        Raises:
            DatasetInvalid: a file that is gone, cut short, unreadable or another one, naming it and the row group.
        """
        borders = np.flatnonzero(np.diff(rows.groups, prepend=-1, append=-1))
        used = {int(group): self._group(int(group)) for group in dict.fromkeys(rows.groups.tolist())}
        self._held = used
        pieces = [
            used[int(rows.groups[start])].take(pa.array(rows.rows[start:stop])) for start, stop in pairwise(borders.tolist())
        ]
        table = pa.concat_tables(pieces).combine_chunks()
        columns = [pa.array([], column.type) if not column.num_chunks else column.chunk(0) for column in table.columns]
        if any(column.num_chunks > 1 for column in table.columns):
            raise ValueError(f"a batch of {len(rows.rows)} rows holds more than 2 GiB of text or bytes; take a smaller batch")
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def place(self, group: int, row: int) -> str:
        """Return where a row lies, for messages: file, row group, row."""
        return f"{self._dataset.url}/{self._paths[group]} row group {self._indices[group]} row {row}"

    def _group(self, group: int) -> pa.Table:
        if group in self._held:
            return self._held[group]
        path, index = self._paths[group], self._indices[group]
        place = self._dataset.location / path
        keys = (self._dataset.partitions or {}).get(path, {})
        columns = [name for name in self._schema.names if name not in keys]
        try:
            # Not iter_batches nor a scanner: they keep the whole file (apache/arrow#39808).
            file = pq.ParquetFile(place.path, filesystem=place.filesystem, metadata=self._metadata(path), pre_buffer=False)
            with file:
                table = file.read_row_group(index, columns=columns, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DatasetInvalid(f"{place.url} row group {index}: cannot be read ({error}); run bigdata-ml validate") from error
        if table.num_rows != self._rows[group]:
            raise DatasetInvalid(
                f"{place.url} row group {index}: has {table.num_rows} rows, the dataset was opened with {self._rows[group]}; "
                "the file was replaced: run bigdata-ml validate"
            )
        for name, value in keys.items():
            if name in self._schema.names:
                kind = self._schema.field(name).type
                table = table.append_column(name, pa.array([value] * table.num_rows, kind))
        self._check(table, f"{place.url} row group {index}")
        return table.select(self._schema.names).cast(self._schema)

    def _check(self, table: pa.Table, place: str) -> None:
        for field in self._schema:
            found = table.schema.field(field.name).type if field.name in table.column_names else "missing"
            if found != field.type:
                raise SchemaMismatch(f"{place} field {field.name!r}: is {found}, the schema says {field.type}")
            if not field.nullable and table[field.name].null_count:
                raise SchemaMismatch(f"{place} field {field.name!r}: holds nulls, and the schema allows none there")

    def _read_metadata(self, path: str) -> pq.FileMetaData:
        place = self._dataset.location / path
        return pq.read_metadata(place.path, filesystem=place.filesystem)
