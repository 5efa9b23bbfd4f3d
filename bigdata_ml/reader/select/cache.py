"""What was found out about a dataset's rows, kept in a local directory for other processes."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import xxhash

from bigdata_ml.dataset import Dataset
from bigdata_ml.shown import shown
from bigdata_ml.storage.durable import replace_file
from bigdata_ml.storage.local import read_regular

__all__ = ["load_table", "place_of", "save_table"]

# A kept file is these bytes, the xxh3-128 of the rest, and an Arrow IPC file. Older ones have no checksum.
_MAGIC = b"BDMLSEL2"
_HEAD = len(_MAGIC) + 16


def place_of(dataset: Dataset, name: str, cache: str | os.PathLike[str] | None) -> Path | None:
    """Return where a table of that name is kept; None for plain Parquet, whose fingerprint does not tell bytes apart."""
    return Path(cache) / f"{name}.arrow" if cache is not None and dataset.manifest is not None else None


def save_table(table: pa.Table, place: Path) -> None:
    """Write a table beside its place and rename it there; where that cannot be done it is said, and nothing more."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, lambda file: file.write(_packed(table)))
    except OSError as error:
        warnings.warn(shown(f"the selection cannot be kept at {place} ({error}); every process finds it anew"), stacklevel=2)


def _packed(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue().to_pybytes()
    return b"".join((_MAGIC, xxhash.xxh3_128_digest(data), data))


def load_table(place: Path, columns: Sequence[str]) -> pa.Table | None:
    """Return a kept table, or None where there is none with those columns, or its bytes are not those that were kept."""
    try:
        kept = memoryview(read_regular(place))
        # Compared first: Arrow may end the interpreter over an IPC file with changed bytes.
        if kept[: len(_MAGIC)] != _MAGIC or kept[len(_MAGIC) : _HEAD] != xxhash.xxh3_128_digest(kept[_HEAD:]):
            return None
        table = pa.ipc.open_file(pa.py_buffer(kept[_HEAD:])).read_all()
        table.validate(full=True)
    except (OSError, pa.ArrowException):
        return None
    return table if table.column_names == list(columns) else None
