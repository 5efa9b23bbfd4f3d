"""Quarantine: the refused rows, each with its reason and source."""

from collections.abc import Iterable, Iterator
from contextlib import suppress

import pyarrow as pa

from bigdata_ml.dataset.checks.arrow_file import arrow_batches
from bigdata_ml.dataset.layout import QUARANTINE
from bigdata_ml.dataset.manifest import SideFile
from bigdata_ml.dataset.side_file import read_verified
from bigdata_ml.errors import MetadataUnreadable, StorageUnavailable
from bigdata_ml.storage import Location, writing

__all__ = ["QUARANTINE_SCHEMA", "QuarantineWriter", "count_quarantine", "read_quarantine"]

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("row", pa.string()),
        pa.field("thumbnail", pa.binary()),
    ]
)


class QuarantineWriter:
    """Writes refused rows to one Arrow IPC file: source, reason, detail, row (JSON of a table's row), thumbnail (PNG bytes).

    Used as a context manager it deletes the file when the body raises. A store that does not take it: StorageUnavailable.
    """

    def __init__(self, root: Location, name: str) -> None:
        self.path = f"{QUARANTINE}/{name}"
        self._place = root / self.path
        with writing(self._place):
            root.filesystem.create_dir(self._place.parent.path, recursive=True)
            self._stream = root.filesystem.open_output_stream(self._place.path)
            self._writer = pa.ipc.new_file(self._stream, QUARANTINE_SCHEMA)

    def __enter__(self) -> "QuarantineWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            with suppress(OSError):
                self._stream.close()
            with suppress(OSError, StorageUnavailable):
                self._place.delete()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add refused rows with the columns of `QUARANTINE_SCHEMA`."""
        rows = batch.select(QUARANTINE_SCHEMA.names).cast(QUARANTINE_SCHEMA)
        with writing(self._place):
            self._writer.write_batch(rows)

    def close(self) -> None:
        """Finish the file."""
        with writing(self._place):
            self._writer.close()
            self._stream.close()


def read_quarantine(root: Location, files: Iterable[SideFile]) -> pa.Table:
    """Return all refused rows, with the columns of `QUARANTINE_SCHEMA`.

    Raises:
        ChecksumMismatch: the bytes are not those that were published.
        MetadataUnreadable: a file that is missing or no Arrow IPC file of refused rows.
    """
    read = [(f"{(root / file.path).url}: the quarantine", read_verified(root, file)) for file in files]
    tables = [
        pa.Table.from_batches(arrow_batches(data, QUARANTINE_SCHEMA, place=place), QUARANTINE_SCHEMA) for place, data in read
    ]
    return pa.concat_tables(tables) if tables else QUARANTINE_SCHEMA.empty_table()


def count_quarantine(root: Location, paths: Iterable[str]) -> int:
    """Return the number of refused rows in these files, one batch at a time in memory.

    Raises:
        MetadataUnreadable: as `read_quarantine`.
    """
    return sum(batch.num_rows for path in paths for batch in _batches(root, path))


def _batches(root: Location, path: str) -> Iterator[pa.RecordBatch]:
    place = root / path
    try:
        data = place.read_bytes()
    except OSError as error:
        raise MetadataUnreadable(f"{place.url}: the quarantine cannot be read: {error}") from error
    yield from arrow_batches(data, QUARANTINE_SCHEMA, place=f"{place.url}: the quarantine")
