"""What was found out about a dataset's rows, kept in a local directory for other processes."""

import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pyarrow as pa

from bigdata_ml.dataset import Dataset
from bigdata_ml.shown import shown

__all__ = ["load_table", "place_of", "save_table"]


def place_of(dataset: Dataset, name: str, cache: str | os.PathLike[str] | None) -> Path | None:
    """Return where a table of that name is kept; None for plain Parquet, whose fingerprint does not tell bytes apart."""
    return Path(cache) / f"{name}.arrow" if cache is not None and dataset.manifest is not None else None


def save_table(table: pa.Table, place: Path) -> None:
    """Write a table beside its place and rename it there; where that cannot be done it is said, and nothing more."""
    beside = place.with_name(f".{place.name}.{uuid4().hex}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(beside), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        beside.replace(place)
    except OSError as error:
        warnings.warn(shown(f"the selection cannot be kept at {place} ({error}); every process finds it anew"), stacklevel=2)
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def load_table(place: Path, columns: Sequence[str]) -> pa.Table | None:
    """Return a kept table, or None where there is none with those columns that can be read."""
    try:
        with pa.OSFile(str(place)) as stream:
            table = pa.ipc.open_file(stream).read_all()
    except (OSError, pa.ArrowException):
        return None
    return table if table.column_names == list(columns) else None
