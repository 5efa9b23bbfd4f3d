"""Writes one Parquet file with row groups of steered size, checksums and the rows' hash. No Spark here."""

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from bigdata_ml.dataset.fingerprint import combine, hash_rows, sum_of_rows
from bigdata_ml.dataset.layout import part_path
from bigdata_ml.dataset.parquet.footers import byte_range
from bigdata_ml.errors import DatasetInvalid, StorageUnavailable
from bigdata_ml.schema import Codec, Field, Schema, stored_schema, stored_table, type_to_text
from bigdata_ml.schema.arrow import fixed_width
from bigdata_ml.schema.stored import stored_type
from bigdata_ml.storage import Location, writing

__all__ = ["PartFile", "PartWriter", "WriteOptions", "row_bytes"]

# Compressed already.
_ENCODED = (Codec.IMAGE, Codec.COMPRESSED_NDARRAY)
# The least and the greatest of images say nothing, and cost four copies of an image.
_WITHOUT_EXTREMES = (*_ENCODED, Codec.RAW_IMAGE)


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteOptions:
    """How files are written.

    Attributes:
        row_group_bytes: Arrow bytes a row group aims at; reading is by row group, so this is what a reader holds. 1 KiB or more.
        row_group_rows: rows a row group has at most.
        compression: Parquet codec of columns that are not compressed already (encoded images stay as they are).
    """

    row_group_bytes: int = 8 << 20
    row_group_rows: int = 65_536
    compression: str = "zstd"

    def __post_init__(self) -> None:
        if self.row_group_bytes < 1024 or self.row_group_rows < 1:
            raise ValueError(
                f"a row group must have at least 1024 bytes and 1 row, got {self.row_group_bytes} and {self.row_group_rows}"
            )


@dataclass(frozen=True, slots=True)
class PartFile:
    """What was written to one file: its row-group records, rows, bytes and the sum of its rows' hashes."""

    path: str
    split: str | None
    rows: int
    bytes: int
    content: int
    records: tuple[dict[str, Any], ...]


class PartWriter:
    """Writes batches to `root/split=…/name`; `close` returns what was written.

    Used as a context manager it deletes the file when the body raises, so that nothing half-written stays.
    """

    def __init__(self, root: Location, *, split: str | None, name: str, schema: Schema, options: WriteOptions) -> None:
        for field in schema:
            type_to_text(field.type)  # refuses, before anything is written, what Parquet would not give back
        self._path = part_path(split, name)
        self._place = root / self._path
        self._split = split
        self._fields = schema
        self._schema = schema.to_arrow()
        self._options = options
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._held_rows = 0
        self._content: list[int] = []
        self._checksums: list[str] = []
        self._memory: list[int] = []
        with writing(self._place):
            root.filesystem.create_dir(self._place.parent.path, recursive=True)
            self._sink = _HashingSink(root.filesystem.open_output_stream(self._place.path))
            self._writer = self._parquet_writer(schema)

    def _parquet_writer(self, schema: Schema) -> pq.ParquetWriter:
        return pq.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            stored_schema(schema),
            compression={_leaf(field): _compression(field.codec, self._options) for field in schema},
            write_statistics=[_leaf(field) for field in schema if field.codec not in _WITHOUT_EXTREMES],
            # Lets a reader of few columns tell rotten pages without reading the whole row group.
            write_page_checksum=True,
            use_dictionary=[_leaf(field) for field in schema if _is_repeating(field)],
        )

    def __enter__(self) -> "PartWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            # The Parquet writer insists on its footer, and would write it to a closed stream when it is collected.
            self._sink.discard()
            # Where there is no room the store may say so again; what the body raised says more.
            with suppress(OSError):
                self._writer.close()
            with suppress(OSError):
                self._sink.close()
            with suppress(OSError, StorageUnavailable):
                self._place.delete()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows of the schema's columns; a row group is written as soon as one is full.

        Raises:
            StorageUnavailable: the store does not take it; so raises `close`.
        """
        batch = batch.select(self._schema.names).cast(self._schema)
        self._content.append(sum_of_rows(hash_rows(batch, split=self._split)))
        for piece, size in self._pieces(batch):
            self._held.append(piece)
            self._held_bytes += size
            self._held_rows += piece.num_rows
            if self._is_full():
                self._flush()

    def close(self) -> PartFile:
        """Write what is held and the footer, check it against what was meant, and return what was written.

        Raises:
            DatasetInvalid: the file's footer differs from what was written.
        """
        self._flush()
        self._sink.begin_outside()
        with writing(self._place):
            self._writer.close()
            size = self._sink.close()
        return PartFile(
            path=self._path,
            split=self._split,
            rows=sum(self._group(index).num_rows for index in range(len(self._checksums))),
            bytes=size,
            content=combine(self._content),
            records=tuple(self._record(index, size) for index in range(len(self._checksums))),
        )

    def _pieces(self, batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, int]]:
        ends = np.cumsum(row_bytes(batch))
        start = done = 0
        while start < batch.num_rows:
            room = self._options.row_group_bytes - self._held_bytes
            stop = int(np.searchsorted(ends, done + room, side="left")) + 1
            stop = min(stop, start + self._options.row_group_rows - self._held_rows, batch.num_rows)
            size = int(ends[stop - 1]) - done
            yield batch.slice(start, stop - start), size
            start, done = stop, done + size

    def _is_full(self) -> bool:
        options = self._options
        return self._held_bytes >= options.row_group_bytes or self._held_rows >= options.row_group_rows

    def _flush(self) -> None:
        if not self._held:
            return
        table = pa.Table.from_batches(self._held, self._schema)
        self._sink.begin_group()
        with writing(self._place):
            self._writer.write_table(stored_table(table, self._fields), row_group_size=table.num_rows)
        self._checksums.append(self._sink.end_group())
        self._memory.append(table.nbytes)
        self._held, self._held_bytes, self._held_rows = [], 0, 0

    def _group(self, index: int) -> pq.RowGroupMetaData:
        return self._writer.writer.metadata.row_group(index)

    def _record(self, index: int, size: int) -> dict[str, Any]:
        group = self._group(index)
        offset, length = byte_range(group)
        if (offset, length) != self._sink.ranges[index]:
            raise DatasetInvalid(f"{self._place.url}: row group {index} lies at {(offset, length)}, not where it was written")
        return {
            "path": self._path,
            "split": self._split,
            "row_group": index,
            "rows": group.num_rows,
            "offset": offset,
            "length": length,
            "checksum": self._checksums[index],
            "file_bytes": size,
            "file_checksum": self._sink.outside.hexdigest(),
            "memory_bytes": self._memory[index],
        }


class _HashingSink(io.RawIOBase):
    """A stream that hashes what passes: each row group by itself, and everything outside row groups together."""

    def __init__(self, stream: Any) -> None:
        super().__init__()
        self._stream = stream
        self._position = 0
        self._begin = 0
        self._discarding = False
        self.outside = xxhash.xxh3_128()
        self._hash = self.outside
        self.ranges: list[tuple[int, int]] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if not self._discarding:
            self._hash.update(data)
            self._stream.write(data)
        size = memoryview(data).nbytes
        self._position += size
        return size

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        if not self._stream.closed:
            self._stream.flush()

    def discard(self) -> None:
        """Let what is written from now on go nowhere."""
        self._discarding = True

    def begin_group(self) -> None:
        self._hash, self._begin = xxhash.xxh3_128(), self._position

    def end_group(self) -> str:
        self.ranges.append((self._begin, self._position - self._begin))
        return str(self._hash.hexdigest())

    def begin_outside(self) -> None:
        self._hash = self.outside

    def close(self) -> int:  # type: ignore[override]
        """Close the stream and return its length in bytes."""
        if not self._stream.closed:
            self._stream.close()
        super().close()
        return self._position


def row_bytes(batch: pa.RecordBatch) -> np.ndarray:
    """Return the Arrow bytes of each row, int64 [rows]: exact for text and binary, the mean for lists."""
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        kind = column.type
        if _is_text(kind):
            lengths = pa.compute.fill_null(pa.compute.binary_length(column), 0)
            sizes += np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64) + 4
        else:
            # Not get_total_buffer_size: a slice's buffers are those of all it was cut from.
            sizes += fixed_width(kind) or -(-column.nbytes // max(1, len(column)))
    return sizes


def _is_text(kind: pa.DataType) -> bool:
    checks = (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)
    return any(check(kind) for check in checks)


def _compression(codec: Codec, options: WriteOptions) -> str:
    return "none" if codec in _ENCODED else options.compression


def _is_repeating(field: Field) -> bool:
    return field.codec is Codec.SCALAR and not pa.types.is_floating(field.type)


def _leaf(field: Field) -> str:
    """Return the path of a field's values in the Parquet schema."""
    path, kind = field.name, stored_type(field)
    while pa.types.is_nested(kind) or isinstance(kind, pa.FixedShapeTensorType):
        path, kind = f"{path}.list.element", kind.value_type
    return path
