"""What was found out about a dataset's rows, kept in a local directory for other processes."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyarrow as pa

from bigdata_ml.dataset import Dataset
from bigdata_ml.shown import shown
from bigdata_ml.storage.durable import replace_file
from bigdata_ml.storage.local import read_regular

__all__ = ["load_table", "place_of", "save_table"]


def place_of(dataset: Dataset, name: str, cache: str | os.PathLike[str] | None) -> Path | None:
    """Return where a table of that name is kept; None for plain Parquet, whose fingerprint does not tell bytes apart."""
    return Path(cache) / f"{name}.arrow" if cache is not None and dataset.manifest is not None else None


def save_table(table: pa.Table, place: Path) -> None:
    """Write a table beside its place and rename it there; where that cannot be done it is said, and nothing more."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, lambda file: _write(table, file))
    except OSError as error:
        warnings.warn(shown(f"the selection cannot be kept at {place} ({error}); every process finds it anew"), stacklevel=2)


def _write(table: pa.Table, file: IO[bytes]) -> None:
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def load_table(place: Path, columns: Sequence[str]) -> pa.Table | None:
    """Return a kept table, or None where there is none with those columns that can be read."""
    try:
        table = pa.ipc.open_file(pa.BufferReader(read_regular(place))).read_all()
    except (OSError, pa.ArrowException):
        return None
    return table if table.column_names == list(columns) else None
