"""A dataset's files as Petastorm asks for them: one directory of numbered files, with metadata made from the row-group table.

So Petastorm reads exactly the files that the manifest names, in the dataset's order, whatever their directories are called and
whether or not its metadata was written beside them; and nothing pickled by others is ever loaded.
"""

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bigdata_ml.dataset import Dataset, PetastormField, PetastormSchema
from bigdata_ml.dataset.layout import COMMON_METADATA
from bigdata_ml.dataset.parquet.footers import read_end
from bigdata_ml.dataset.petastorm.metadata import INDEXES_KEY, ROW_GROUPS_KEY, UNISCHEMA_KEY
from bigdata_ml.dataset.petastorm.pickling import pickle_petastorm_indexes, pickle_petastorm_schema
from bigdata_ml.errors import ChecksumMismatch

__all__ = ["PetastormFiles"]


class PetastormFiles:
    """A filesystem, under the names that Petastorm uses, which holds one directory: `root`.

    Args:
        dataset: whose files.
        fields: the columns that are read.

    Attributes:
        pieces: by index in the dataset: the number that Petastorm gives the row group.
    """

    root = "/dataset"

    def __init__(self, dataset: Dataset, fields: tuple[PetastormField, ...]) -> None:
        self._dataset = dataset
        table = dataset.row_groups.table
        paths, inside = dataset.row_groups.paths, table["row_group"].to_pylist()
        sizes = dict(zip(paths, table["file_bytes"].to_pylist(), strict=True))
        names = {path: f"{number:08d}.parquet" for number, path in enumerate(sizes)}
        self._checksums = dict(zip(paths, table["file_checksum"].to_pylist(), strict=True))
        self._checked: set[str] = set()
        self._files = {names[path]: (path, size) for path, size in sizes.items()}
        counts = dict.fromkeys(sizes, 0)
        for path, number in zip(paths, inside, strict=True):
            counts[path] = max(counts[path], number + 1)
        starts, begin = {}, 0
        for path, count in counts.items():
            starts[path], begin = begin, begin + count
        self.pieces = [starts[path] + number for path, number in zip(paths, inside, strict=True)]
        self._metadata = _metadata_of(fields, {names[path]: count for path, count in counts.items()})

    def isdir(self, path: str) -> bool:
        """Is it the directory?"""
        return path.rstrip("/") == self.root

    def walk(self, path: str) -> Iterator[tuple[str, list[str], list[str]]]:
        """Give the directory with the names of what is in it."""
        yield path, [], [COMMON_METADATA, *self._files]

    def open(self, path: str) -> Any:
        """Open a file for reading.

        Raises:
            ChecksumMismatch: it has not the size it had when the dataset was opened, or another footer than was published.
            OSError: it cannot be opened, or is no whole Parquet file.
        """
        name = path.rsplit("/", 1)[-1]
        if name == COMMON_METADATA:
            return pa.BufferReader(self._metadata)
        stored, size = self._files[name]
        place = self._dataset.location / stored
        stream = place.filesystem.open_input_file(place.path)
        if stream.size() != size:
            actual = stream.size()
            stream.close()
            raise ChecksumMismatch(
                f"{place.url}: the file has {actual} bytes, {size} were published; it was replaced or cut short under the "
                "reader, or is damaged: run bigdata-ml validate"
            )
        if name not in self._checked:
            # Petastorm hands the file to pyarrow, which ends the interpreter on some broken footers.
            actual = read_end(stream).checksum
            if self._checksums[stored] not in (None, actual):
                stream.close()
                wanted = self._checksums[stored]
                raise ChecksumMismatch(
                    f"{place.url}: its footer has the checksum {actual}, {wanted} was published: run bigdata-ml validate"
                )
            self._checked.add(name)
            stream.seek(0)
        return stream


def _metadata_of(fields: tuple[PetastormField, ...], counts: dict[str, int]) -> pa.Buffer:
    written = {
        UNISCHEMA_KEY: pickle_petastorm_schema(PetastormSchema("bigdata_ml", fields)),
        ROW_GROUPS_KEY: json.dumps(counts).encode(),
        # Petastorm asks for indexes before it asks the selector, which needs none.
        INDEXES_KEY: pickle_petastorm_indexes({}),
    }
    sink = pa.BufferOutputStream()
    # The columns are the unischema's; Arrow wants one to write a file.
    pq.write_metadata(pa.schema([pa.field("nothing", pa.null())]).with_metadata(written), sink)
    return sink.getvalue()
