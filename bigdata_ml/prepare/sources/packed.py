"""Many small files, or members of archives, read in tasks of about the same number of bytes.

What is to be read is listed once, by us; a task gets a list of stretches of files. So a million tiny images are some hundred
tasks rather than a million, and a large archive is read by many. Lists are held compressed, some ten bytes a stretch.
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

# From batches to batches, on the executors.
Batches = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# Columns of what is read: path as it is called in messages and in the dataset, the bytes, and why there are none.
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
# A file as it is read: path, bytes, and why there are none.
ReadFile = tuple[str, bytes, str | None]
# At most, in a task.
_PACK_BYTES, _PACK_FILES = 32 << 20, 8192
# Of a source that is small: so many tasks a core that none waits long for another, if each has something to do.
_TASKS_A_CORE, _FEW_BYTES, _FEW_FILES = 4, 1 << 20, 64
_WAS_THERE = "; it was there when the files were listed"
# Of batches that go to Spark; one image may be larger.
_BATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a file's bytes lie.

    Attributes:
        url: of the file that holds them.
        path: what it is called.
        offset: of the first byte; of a zip's member that of its local header.
        length: bytes that are stored; −1 is the whole file.
        size: bytes that come of it.
        packing: `plain`, or a zip's member `zip-stored` or `zip-deflated`.
        obstacle: why it cannot be read, as a link to nothing; empty if it can.
    """

    url: str
    path: str
    offset: int = 0
    length: int = -1
    size: int = 0
    packing: str = "plain"
    obstacle: str = ""


def packs(stretches: Iterable[Stretch], *, size: int = _PACK_BYTES, count: int = _PACK_FILES) -> Iterator[list[Stretch]]:
    """Yield lists of stretches that follow one another, each of `size` bytes or `count` files at most, one file in any case."""
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
    """Return the stretches in few bytes, for `unpacked`."""
    columns = [pa.array([getattr(stretch, field.name) for stretch in pack], field.type) for field in _STRETCHES]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _STRETCHES, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(pa.table(columns, schema=_STRETCHES))
    return bytes(sink.getvalue().to_pybytes())


def unpacked(blob: bytes) -> list[Stretch]:
    """Return the stretches that were packed."""
    return [Stretch(**row) for row in pa.ipc.open_stream(blob).read_all().to_pylist()]


def packs_for(spark: SparkSession, stretches: Iterable[Stretch], *, files: int, size: int) -> Iterator[list[Stretch]]:
    """Yield the packs of so many stretches of so many bytes together: enough for every core."""
    tasks = _TASKS_A_CORE * spark.sparkContext.defaultParallelism
    return packs(
        stretches,
        size=min(_PACK_BYTES, max(_FEW_BYTES, -(-size // tasks))),
        count=min(_PACK_FILES, max(_FEW_FILES, -(-files // tasks))),
    )


@dataclass(frozen=True, slots=True)
class Packs:
    """Files that are still to be read, a task each pack.

    Attributes:
        rows: column `pack`, as `packed` makes it.
    """

    rows: DataFrame

    def read(self) -> DataFrame:
        """Return the files: the columns `READ`. A file that cannot be read ends the job, naming it."""
        return self.rows.mapInArrow(_read_batches, READ)

    def read_then(self, function: Batches, schema: StructType) -> DataFrame:
        """Return what `function` makes of batches of the files, in the process that reads them: their bytes go nowhere else."""
        return self.rows.mapInArrow(_ReadThen(function), schema)


def packs_of(spark: SparkSession, stretches: Iterable[Sequence[Stretch]]) -> Packs:
    """Return the packs as rows; one pack at a time is held unpacked."""
    return Packs(a_task_each(spark, map(packed, stretches)))


def a_task_each(spark: SparkSession, blobs: Iterable[bytes]) -> DataFrame:
    """Return rows of a column `pack`, each a partition by itself."""
    schema = pa.schema([pa.field("pack", pa.binary())])
    rows = [pa.record_batch([pa.array([pack], pa.binary())], schema=schema) for pack in blobs]
    limit = "spark.sql.execution.arrow.localRelationThreshold"
    before = str(spark.conf.get(limit))
    # Then each batch is a partition, made without Python; a local table would be dealt out anew.
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
    """Yield files as batches of a bounded number of bytes."""
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
    """Yield each stretch as it is read; a file that several in a row lie in is opened once.

    A member of a zip that does not unpack to what the archive says of it has an obstacle, and the others are read.

    Raises:
        JobRefused: a file that is gone, or shorter than it was.
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
    # One byte more than is declared shows that there are more.
    data = inflater.decompress(_exactly(stream, stretch.length), stretch.size + 1)
    if len(data) != stretch.size:
        raise EOFError(f"it unpacks to {'more' if len(data) > stretch.size else len(data)} bytes, {stretch.size} are declared")
    return data


def _skip_local_header(stream: Any, stretch: Stretch) -> None:
    """Go to a member's data: its local header has 30 bytes, a name and an extra field (PKWARE APPNOTE 4.3.7)."""
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
