"""Nulls, constancy and a digest of every column of the train rows, in one pass."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from bigdata_ml.dataset.fingerprint import combine, hash_rows, sum_of_rows
from bigdata_ml.prepare.session.columns import named

__all__ = ["ColumnDigest", "column_digests"]

_REPORT = "place int, rows long, nulls long, digest string, least decimal(20,0), greatest decimal(20,0)"


@dataclass(slots=True)
class ColumnDigest:
    """A summary of a column's values; columns of one type with equal digests have the same values in the same rows.

    Attributes:
        rows, nulls: counts.
        digest: 128 bits, the sum over all rows of a hash of value and row.
        least, greatest: of the hashes of known values; equal if there is only one value.
    """

    rows: int = 0
    nulls: int = 0
    digest: int = 0
    least: int = 1 << 64
    greatest: int = -1

    @property
    def constant(self) -> bool:
        """Whether all values are equal, or all null."""
        return self.nulls == self.rows or (not self.nulls and self.least == self.greatest)

    def merge(self, other: "ColumnDigest") -> "ColumnDigest":
        """Return the digest of both parts."""
        return ColumnDigest(
            self.rows + other.rows,
            self.nulls + other.nulls,
            combine([self.digest, other.digest]),
            min(self.least, other.least),
            max(self.greatest, other.greatest),
        )


def column_digests(rows: DataFrame, columns: Sequence[str]) -> dict[str, ColumnDigest]:
    """Return the digest of each column.

    Args:
        rows: rows with `__place`, which identifies a value's row.
        columns: of any type that fields support.
    """
    wanted = rows.select(named("__place").alias("place"), *(named(name).alias(str(place)) for place, name in enumerate(columns)))
    digests = {name: ColumnDigest() for name in columns}
    for row in wanted.mapInArrow(_digest_batches, _REPORT).collect():
        part = ColumnDigest(row["rows"], row["nulls"], int(row["digest"], 16), int(row["least"]), int(row["greatest"]))
        digests[columns[row["place"]]] = digests[columns[row["place"]]].merge(part)
    return digests


def _digest_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    digests: dict[int, ColumnDigest] = {}
    for batch in batches:
        place = batch.column(0)
        for number, column in enumerate(batch.columns[1:]):
            digests[number] = digests.get(number, ColumnDigest()).merge(_digest(column, place))
    rows = [{"place": number, **asdict(digest), "digest": f"{digest.digest:032x}"} for number, digest in digests.items()]
    yield pa.RecordBatch.from_pylist(rows, schema=_ARROW)


_ARROW = pa.schema(
    [("place", pa.int32()), ("rows", pa.int64()), ("nulls", pa.int64()), ("digest", pa.string())]
    + [(name, pa.decimal128(20, 0)) for name in ("least", "greatest")]
)


def _digest(column: pa.Array, place: pa.Array) -> ColumnDigest:
    tied = pa.RecordBatch.from_arrays([column, place], ["value", "place"])
    digest = sum_of_rows(hash_rows(tied, split=None))
    known = column.drop_null()
    hashes = hash_rows(pa.RecordBatch.from_arrays([known], ["value"]), split=None)[:, 0] if len(known) else np.zeros(0, np.uint64)
    least, greatest = (int(hashes.min()), int(hashes.max())) if len(known) else (1 << 64, -1)
    return ColumnDigest(len(column), column.null_count, digest, least, greatest)
