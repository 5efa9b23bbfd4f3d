"""Read many small files, or members of archives, in tasks of similar size.

The driver lists the files once, and each task gets a list of stretches. A million tiny images take some hundred tasks, and many
tasks read a large archive. Lists stay compressed, about ten bytes per stretch.
"""

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from bigdata_ml.errors import JobRefused
from bigdata_ml.storage import locate, way_out

__all__ = [
    "READ",
    "Packs",
    "ReadFile",
    "Stretch",
    "a_task_each",
    "batches_of",
    "packed",
    "packs",
    "packs_for",
    "packs_of",
    "read_all",
    "unpacked",
]

# A function of batches, run on the executors.
Batches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# Columns of a file: its path in messages and datasets, its bytes, and why it has none.
READ = "path string, content binary, obstacle string"
_ARROW = pa.schema([pa.field("path", pa.string()), pa.field("content", pa.binary()), pa.field("obstacle", pa.string())])
_STRETCHES = pa.schema(
    {
        "url": pa.string(),
        "path": pa.string(),
        "offset": pa.int64(),
        "length": pa.int64(),
        "size": pa.int64(),
        "packing": pa.string(),
        "obstacle": pa.string(),
    }
)
# Path, bytes, and why there are none.
ReadFile = tuple[str, bytes, str | None]
# Limits per task.
_PACK_BYTES, _PACK_FILES = 32 << 20, 8192
# Small sources: several tasks per core balance the load, with at least this much work per task.
_TASKS_A_CORE, _FEW_BYTES, _FEW_FILES = 4, 1 << 20, 64
_WAS_THERE = "; it was there when the files were listed"
# Size of batches sent to Spark; a single image may be larger.
_BATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where the bytes of a file are stored.

    Attributes:
        url: of the containing file.
        path: its name.
        offset: of the first byte, or of the local header of a zip member.
        length: stored bytes; −1 for the whole file.
        size: bytes after unpacking.
        packing: `plain`, or for members of a zip `zip-stored` or `zip-deflated`.
        obstacle: why it cannot be read, such as a broken link; empty if it can.
    """

    url: str
    path: str
    offset: int = 0
    length: int = -1
    size: int = 0
    packing: str = "plain"
    obstacle: str = ""


def packs(stretches: Iterable[Stretch], *, size: int = _PACK_BYTES, count: int = _PACK_FILES) -> Iterator[list[Stretch]]:
    """Yield lists of consecutive stretches of at most `size` bytes and `count` files, and at least one file."""
    pack: list[Stretch] = []
    held = 0
    for stretch in stretches:
        if pack and (held + stretch.size > size or len(pack) == count):
            yield pack
            pack, held = [], 0
        pack.append(stretch)
        held += stretch.size
    if pack:
        yield pack


def packed(pack: Sequence[Stretch]) -> bytes:
    """Return the stretches as compressed bytes, for `unpacked`."""
    columns = [pa.array([getattr(stretch, field.name) for stretch in pack], field.type) for field in _STRETCHES]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _STRETCHES, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(pa.table(columns, schema=_STRETCHES))
    return bytes(sink.getvalue().to_pybytes())


def unpacked(blob: bytes) -> list[Stretch]:
    """Return the stretches in the bytes of `packed`."""
    return [Stretch(**row) for row in pa.ipc.open_stream(blob).read_all().to_pylist()]


def packs_for(spark: SparkSession, stretches: Iterable[Stretch], *, files: int, size: int) -> Iterator[list[Stretch]]:
    """Yield packs that keep every core busy, for `files` stretches of `size` bytes in total."""
    tasks = _TASKS_A_CORE * spark.sparkContext.defaultParallelism
    return packs(
        stretches,
        size=min(_PACK_BYTES, max(_FEW_BYTES, -(-size // tasks))),
        count=min(_PACK_FILES, max(_FEW_FILES, -(-files // tasks))),
    )


@dataclass(frozen=True, slots=True)
class Packs:
    """Files to be read, one task per pack.

    Attributes:
        rows: column `pack`, as `packed` makes it.
    """

    rows: DataFrame

    def read(self) -> DataFrame:
        """Return the files in the columns `READ`. An unreadable file ends the job with its name."""
        return self.rows.mapInArrow(_read_batches, READ)

    def read_then(self, function: Batches, schema: StructType) -> DataFrame:
        """Apply `function` to batches of files in the process that reads them, so that their bytes stay there."""
        return self.rows.mapInArrow(_ReadThen(function), schema)


def packs_of(spark: SparkSession, stretches: Iterable[Sequence[Stretch]]) -> Packs:
    """Return the packs as rows; only one pack at a time is unpacked."""
    return Packs(a_task_each(spark, map(packed, stretches)))


def a_task_each(spark: SparkSession, blobs: Iterable[bytes]) -> DataFrame:
    """Return rows of a column `pack`, one partition per row."""
    schema = pa.schema([pa.field("pack", pa.binary())])
    rows = [pa.record_batch([pa.array([pack], pa.binary())], schema=schema) for pack in blobs]
    limit = "spark.sql.execution.arrow.localRelationThreshold"
    before = str(spark.conf.get(limit))
    # Then each batch is one partition, without Python workers; a local table would be repartitioned.
    spark.conf.set(limit, "0")
    try:
        return spark.createDataFrame(pa.Table.from_batches(rows, schema))
    finally:
        spark.conf.set(limit, before)


@dataclass(frozen=True, slots=True)
class _ReadThen:
    function: Batches

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return self.function(_read_batches(batches))


def _read_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for blob in batch.column(0):
            yield from batches_of(read_all(unpacked(blob.as_py())))


def batches_of(files: Iterable[ReadFile]) -> Iterator[pa.RecordBatch]:
    """Yield files in batches of bounded size in bytes."""
    waiting: list[ReadFile] = []
    held = 0
    for file in files:
        waiting.append(file)
        held += len(file[1])
        if held >= _BATCH_BYTES or len(waiting) == _PACK_FILES:
            yield _batch(waiting)
            waiting, held = [], 0
    if waiting:
        yield _batch(waiting)


def _batch(files: list[ReadFile]) -> pa.RecordBatch:
    columns = zip(*files, strict=True)
    return pa.RecordBatch.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, _ARROW, strict=True)], schema=_ARROW
    )


def read_all(stretches: Iterable[Stretch]) -> Iterator[ReadFile]:
    """Read each stretch; consecutive stretches of the same file share one open stream.

    A zip member that does not unpack to its declared size gets an obstacle; reading continues.

    Raises:
        JobRefused: a file was removed or became shorter.
    """
    opened, stream = "", None
    with ExitStack() as stack:
        for stretch in stretches:
            if stretch.obstacle:
                yield stretch.path, b"", stretch.obstacle
                continue
            if stretch.url != opened:
                stack.close()
                stream = _opened(stretch, stack)
                opened = stretch.url
            yield _read(stream, stretch)


def _opened(stretch: Stretch, stack: ExitStack) -> Any:
    place = locate(stretch.url)
    try:
        return stack.enter_context(place.filesystem.open_input_file(place.path))
    except OSError as error:
        raise JobRefused(f"{stretch.url}: cannot be opened: {error}{way_out(error) or _WAS_THERE}") from error


def _read(stream: Any, stretch: Stretch) -> ReadFile:
    try:
        if stretch.length < 0:
            data = bytes(stream.read(stretch.size + 1))
            if len(data) != stretch.size:
                actual = stream.size() if len(data) > stretch.size else len(data)
                raise EOFError(f"it has {actual} bytes, {stretch.size} were listed: it changes while the job reads it")
            return stretch.path, data, None
        stream.seek(stretch.offset)
        return stretch.path, _PACKINGS[stretch.packing](stream, stretch), None
    except (zlib.error, EOFError) as error:
        if stretch.packing != "plain":
            return stretch.path, b"", f"the archive is damaged there: {error}"
        raise JobRefused(f"{stretch.url}: {stretch.path} cannot be read: {error}") from error
    except OSError as error:
        raise JobRefused(f"{stretch.url}: {stretch.path} cannot be read: {error}{way_out(error)}") from error


def _plain(stream: Any, stretch: Stretch) -> bytes:
    return _exactly(stream, stretch.length)


def _zip_stored(stream: Any, stretch: Stretch) -> bytes:
    _skip_local_header(stream, stretch)
    return _exactly(stream, stretch.length)


def _zip_deflated(stream: Any, stretch: Stretch) -> bytes:
    _skip_local_header(stream, stretch)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    # One byte more than declared detects larger data.
    data = inflater.decompress(_exactly(stream, stretch.length), stretch.size + 1)
    if len(data) != stretch.size:
        raise EOFError(f"it unpacks to {'more' if len(data) > stretch.size else len(data)} bytes, {stretch.size} are declared")
    return data


def _skip_local_header(stream: Any, stretch: Stretch) -> None:
    """Seek to the data of a member: skip its 30-byte local header, name and extra field (PKWARE APPNOTE 4.3.7)."""
    header = _exactly(stream, 30)
    if header[:4] != b"PK\x03\x04":
        raise EOFError("there is no local header where the archive's directory says")
    stream.seek(stretch.offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"))


def _exactly(stream: Any, length: int) -> bytes:
    data = bytes(stream.read(length))
    if len(data) != length:
        raise EOFError(f"the file ends {length - len(data)} bytes early: it was cut short or is still being written")
    return data


_PACKINGS: dict[str, Callable[[Any, Stretch], bytes]] = {
    "plain": _plain,
    "zip-stored": _zip_stored,
    "zip-deflated": _zip_deflated,
}
