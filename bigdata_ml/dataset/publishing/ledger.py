"""The ledger: facts about each source file, so that the next job need not read unchanged files."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from bigdata_ml.dataset.checks.arrow_file import arrow_batches, arrow_schema
from bigdata_ml.dataset.checks.json import parse_json
from bigdata_ml.dataset.layout import LEDGER
from bigdata_ml.dataset.manifest import SideFile
from bigdata_ml.dataset.side_file import read_verified
from bigdata_ml.errors import MetadataUnreadable
from bigdata_ml.storage import Location, writing

__all__ = ["LEDGER_SCHEMA", "LedgerWriter", "about_ledger", "count_ledger", "ledger_batches"]

_WHOLE = pa.list_(pa.int64())
# Everything after `stored` is as it was before files were compared with each other.
LEDGER_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("modified", pa.int64()),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("stored", pa.bool_(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("warnings", pa.list_(pa.string()), nullable=False),
        *(pa.field(name, pa.int32()) for name in ("height", "width", "channels", "least", "greatest")),
        *(pa.field(name, pa.int64()) for name in ("source_pixels", "looks_like")),
        *(pa.field(name, _WHOLE) for name in ("sums", "squares")),
    ]
)
_ABOUT = b"bigdata_ml"


class LedgerWriter:
    """Writes rows of `LEDGER_SCHEMA` to one Arrow IPC file, compressed by zstd, batch by batch as they come.

    `about`, JSON values, says what holds for all files: it lies in the schema's metadata. A store that does not take it:
    StorageUnavailable.
    """

    def __init__(self, root: Location, name: str, about: Mapping[str, Any]) -> None:
        self.path = f"{LEDGER}/{name}"
        self._place = root / self.path
        with writing(self._place):
            root.filesystem.create_dir(self._place.parent.path, recursive=True)
            self._stream = root.filesystem.open_output_stream(self._place.path)
        schema = LEDGER_SCHEMA.with_metadata({_ABOUT: json.dumps(about, ensure_ascii=False).encode()})
        self._writer = pa.ipc.new_file(self._stream, schema, options=pa.ipc.IpcWriteOptions(compression="zstd"))
        self._schema = schema

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows with the columns of `LEDGER_SCHEMA`."""
        with writing(self._place):
            self._writer.write_batch(batch.select(self._schema.names).cast(self._schema))

    def close(self) -> None:
        """Finish the file."""
        with writing(self._place):
            self._writer.close()
            self._stream.close()


def about_ledger(root: Location, file: SideFile) -> dict[str, Any]:
    """Return what a ledger's writer said of all files; raises as `ledger_batches`."""
    place = f"{(root / file.path).url}: the ledger"
    try:
        return dict(parse_json((arrow_schema(read_verified(root, file), place=place).metadata or {})[_ABOUT]))
    except (KeyError, ValueError, TypeError) as error:
        raise MetadataUnreadable(f"{place} does not say what it was made with") from error


def ledger_batches(root: Location, file: SideFile) -> Iterator[pa.RecordBatch]:
    """Yield a ledger's rows after verifying its checksum.

    Raises:
        ChecksumMismatch: the bytes are not those that were published.
        MetadataUnreadable: a file is missing or is not a ledger.
    """
    place = f"{(root / file.path).url}: the ledger"
    yield from arrow_batches(read_verified(root, file), LEDGER_SCHEMA, place=place)


def count_ledger(root: Location, paths: Iterable[str]) -> int:
    """Return the number of source files in ledgers that were just written.

    Raises:
        MetadataUnreadable: a file is missing or is not a ledger.
    """
    total = 0
    for path in paths:
        place = root / path
        try:
            data = place.read_bytes()
        except OSError as error:
            raise MetadataUnreadable(f"{place.url}: the ledger cannot be read: {error}") from error
        total += sum(batch.num_rows for batch in arrow_batches(data, LEDGER_SCHEMA, place=f"{place.url}: the ledger"))
    return total
